"""Finalists: the most accurate networks of a search, trained longer and with several seeds by successive halving.

A short training says little of which of two good networks is better, and the one that learns faster is often not the
one that learns more. So finalists need not be on the front, which may have left the better one out by a hair.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from statistics import mean

from archdsl.load.specs import spec_of
from archdsl.numbers import accuracy_text, plain_text
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.finish_length import in_time, lengthen_that_fits, longer_s
from archdsl.search.evaluate.inheriting import inheriting
from archdsl.search.evaluate.kept_files import remove_unneeded, weights_path
from archdsl.search.evaluate.kept_weights import retraining_s
from archdsl.search.evaluate.rungs import train
from archdsl.search.policy.evaluate import FinalistPolicy
from archdsl.search.store.front import ACCURACY, by_accuracy, front
from archdsl.search.training_record import SeedAccuracy
from archdsl.search.trial import Trial
from archdsl.search.worker.process import Failed, OutOfTime, WorkerGone
from archdsl.training.fidelity import fidelity_of


def trainings(finalists: int, policy: FinalistPolicy) -> int:
    """Longer trainings of a search with so many networks that could be finalists."""
    return sum(math.ceil(min(finalists, policy.count) / 2**number) for number in range(policy.seeds))


class Finalists:
    """The finalists of one search, and how far each came."""

    def __init__(self, context: Context) -> None:
        self._context, self._policy = context, context.policy.finalists
        self._lengthen = self._policy.lengthen
        self._rounds = Counter[str]()
        """In how many rounds a network was, by hash."""
        self._is_announced = False

    def train(self) -> None:
        """Train the finalists longer, as far as time allows; the records tell how they did."""
        remove_unneeded(self._context, self.may_win(), is_training=False)
        self.keep_time()
        field = self._first()
        if self._context.inherits:
            if not field:
                self._announce("no network was trained inside the budgets")
                return
            field = self._that_fit(field)
            if not field:
                left_s = max(self._context.clock.left_to_train or 0.0, 0.0)
                left = f"{left_s:.0f} s are left" if left_s >= 1 else "no time is left"
                self._announce(f"{left} before the winner must be measured")
                return
        for number in range(self._policy.seeds):
            self._rounds.update(trial.network_hash for trial in field)
            if not self._round(field, number):
                return
            after = [trial for trial in field if self._accuracy(trial) is not None]
            after.sort(key=lambda trial: -(self._accuracy(trial) or 0.0))
            field = after[: math.ceil(len(field) / 2)]

    def _that_fit(self, field: list[Trial]) -> list[Trial]:
        """The best of the finalists of a search with a parent: as many as can be fine-tuned for long enough, else one.

        All are for equally long; in less time than a short training, initial weights would learn no more than they did.
        """
        heirs, enough = _inherited(field), self._context.policy.inheritance.enough_epochs
        short = fidelity_of(self._context.settings, self._context.loaded.images).epochs
        for finalists in (field, *(heirs[:count] for count in range(len(heirs), 0, -1))):
            lengthen = lengthen_that_fits(self._context, finalists)
            if lengthen is not None and (lengthen * short >= enough or len(finalists) == 1):
                self._lengthen = lengthen
                return finalists if lengthen > 1 else _inherited(finalists)
        return []

    def ranked(self) -> list[Trial]:
        """Finalists, those first that came the furthest, the more accurate of these first; then the rest of the front.

        A finalist that was not trained longer is none.
        """
        accuracies = {trial.network_hash: self._accuracy(trial) for trial in self._context.trials}
        finalists = [trial for trial in self._candidates() if accuracies[trial.network_hash] is not None]
        finalists.sort(key=lambda t: (-self._rounds[t.network_hash], -(accuracies[t.network_hash] or 0.0)))
        return finalists + [trial for trial in self._context.state.front if accuracies[trial.network_hash] is None]

    def front(self) -> list[Trial]:
        """What is ranked without the finalists that another one beats in everything, by the longer trainings."""
        ranked = self.ranked()
        longer = [
            replace(trial, accuracy=accuracy) for trial in ranked if (accuracy := self._accuracy(trial)) is not None
        ]
        kept = {trial.network_hash for trial in front(longer, self._context.space.objectives)}
        return [trial for trial in ranked if trial.network_hash in kept or self._accuracy(trial) is None]

    def keep_time(self) -> None:
        """Keep the time that training the likely winner again takes, if its weights are not here."""
        context = self._context
        if context.options.role != "train":
            likely = next(iter(self.ranked()), None)
            context.clock.keep_for_retraining(0.0 if likely is None else retraining_s(context, likely))

    def may_win(self) -> set[str]:
        """Networks, by hash, whose weights may still be asked for: finalists, those that could be, and the front."""
        longer = {record.network_hash for record in self._context.records if record.is_longer}
        return longer | {trial.network_hash for trial in [*self._first(), *self._context.state.front]}

    def _first(self) -> list[Trial]:
        """The most accurate networks; those of the front alone where accuracy is not an objective."""
        candidates = self._candidates() if ACCURACY in self._context.space.objectives else self._context.state.front
        ranked = sorted(candidates, key=by_accuracy)
        alike = [trial for trial in ranked if self._context.is_ranked(trial)]
        others = [trial for trial in ranked if not self._context.is_ranked(trial)]
        policy = self._context.policy.inheritance
        count = policy.finalists if self._context.inherits else self._policy.count
        if not alike or not others:
            return ranked[:count]
        return alike[: count - policy.others] + others[: policy.others]

    def _candidates(self) -> list[Trial]:
        """What was trained inside the budget, once a network."""
        trials = (trial for trial in self._context.trials if trial.can_win)
        trained = (trial for trial in trials if trial.accuracy is not None and trial.inside_budget)
        return list({trial.network_hash: trial for trial in trained}.values())

    def _round(self, field: list[Trial], number: int) -> bool:
        """Train each finalist with one seed more, if it has not had it; whether there was time for all."""
        context = self._context
        waiting, is_whole = [trial for trial in field if len(self._per_seed(trial)) == number], True
        while waiting:
            trial = waiting.pop(0)
            left = context.clock.left_to_train
            needed_s = self._needed_s(trial, number)
            if left is not None and left < needed_s:
                self._announce(f"that takes about {needed_s:.0f} s, and {max(left, 0):.0f} s are left for it")
                return False
            self._announce()
            try:
                self._train(trial, context.settings.seed + number, waiting)
            except OutOfTime:
                context.watcher(context.state, f"finalist {trial.name}: the time ended during its longer training")
                is_whole = False
            except (Failed, WorkerGone):
                continue
        return is_whole

    def _needed_s(self, trial: Trial, number: int) -> float:
        """About the seconds without which a finalist's training does not begin.

        The first one of a network that inherited becomes shorter where the time is, down to the least that pays.
        """
        lengthen, inheritance = self._lengthen, self._context.policy.inheritance
        if trial.is_inherited and number == 0:
            short = fidelity_of(self._context.settings, self._context.loaded.images).epochs
            lengthen = min(lengthen, inheritance.least_epochs / short)
        return longer_s(self._context, trial, lengthen)

    def _announce(self, why_not: str = "") -> None:
        """Say once that finalists are trained longer, or why none is."""
        longer = f"trained {plain_text(self._policy.lengthen)} times as long"
        if self._context.inherits:
            epochs = fidelity_of(self._context.settings, self._context.loaded.images, self._lengthen).epochs
            length = f"{plain_text(epochs)} epoch{'s' * (epochs != 1)}"
            longer = f"fine-tuned for {length}" if not why_not else "fine-tuned longer"
        line = f"no finalist is {longer}: {why_not}" if why_not else f"finalists are {longer}, while there is time"
        if not self._is_announced:
            self._context.watcher(self._context.state, line)
        self._is_announced = True

    def _longer(self, trial: Trial) -> Trial | None:
        """What is known of a finalist that was trained longer: its last record, the mean over the most seeds."""
        records = reversed(self._context.records)
        return next((r for r in records if r.is_longer and r.network_hash == trial.network_hash), None)

    def _accuracy(self, trial: Trial) -> float | None:
        """Of the longer trainings; None where there is none."""
        longer = self._longer(trial)
        return None if longer is None else longer.accuracy

    def _per_seed(self, trial: Trial) -> tuple[SeedAccuracy, ...]:
        """The longer trainings of a finalist so far, one a seed."""
        longer = self._longer(trial)
        return () if longer is None or longer.training is None else longer.training.per_seed

    def _train(self, trial: Trial, seed: int, waiting: Sequence[Trial]) -> None:
        """Train a finalist with one seed more; the record that is added tells the mean over all of them.

        Time is left for those that wait.
        """
        context, spec = self._context, spec_of(trial.document)
        epochs = fidelity_of(context.settings, context.loaded.images, self._lengthen).epochs
        keep = weights_path(context, trial.network_hash, seed, epochs)
        context.doing(spec.name, "training the finalists longer")
        trained = train(
            context.worker,
            spec,
            context.settings.model_copy(update={"seed": seed}),
            context.policy.silence,
            context.loaded,
            context.clock,
            lengthen=self._lengthen,
            progress=context.trained_so_far,
            keep=keep,
            inheriting=inheriting(context, epochs, spec) if trial.is_inherited else None,
            in_time=in_time(context, trial, self._lengthen, waiting),
        )
        last = trained.training
        if last.planned_epochs is not None and last.epochs is not None and keep.is_file():
            keep.replace(weights_path(context, trial.network_hash, seed, last.epochs))
        length = last.fidelity, last.epochs, last.planned_epochs
        per_seed = *self._per_seed(trial), SeedAccuracy(seed, trained.accuracy, last.held_out, last.answers, *length)
        accuracies = [each.accuracy for each in per_seed]
        context.add(
            replace(
                trial,
                rung="train_longer",
                outcome="cached" if trained.is_cached else "trained",
                accuracy=mean(accuracies),
                seconds=round(trained.seconds, 3),
                training=replace(last, per_seed=per_seed, spread=max(accuracies) - min(accuracies)),
            )
        )
        remove_unneeded(context, self.may_win())
        self.keep_time()
        text = f"finalist {spec.name}: {_accuracies_text(accuracies, last.error)} after {last.fidelity}"
        context.watcher(context.state, text + " (accuracy from the cache)" * trained.is_cached)


def _accuracies_text(accuracies: list[float], error: float | None) -> str:
    """`accuracy 61.2 ± 1.5 %, the mean of 3 seeds from 59.8 % to 63.0 %`; the error is that of the last training."""
    text = f"accuracy {accuracy_text(mean(accuracies), error)}"
    if len(accuracies) == 1:
        return text
    least, most = accuracy_text(min(accuracies)), accuracy_text(max(accuracies))
    return f"{text}, the mean of {len(accuracies)} seeds from {least} to {most}"


def _inherited(trials: list[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.is_inherited]
