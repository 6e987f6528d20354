"""One network after the other: measured as a candidate at the gate is, and trained as the run's networks were."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

from archdsl.language.document import Spec
from archdsl.numbers import accuracy_text, plain_text
from archdsl.runtimes.by_name import runs_files
from archdsl.search.baselines import Baseline, counted_baseline
from archdsl.search.comparison.reference_run import ReferenceRun
from archdsl.search.comparison.result import AgainstWinner, Scored, against_winner
from archdsl.search.config import Settings
from archdsl.search.evaluate.inheriting import long_inheritance, short_inheritance
from archdsl.search.evaluate.measuring import measure
from archdsl.search.evaluate.rungs import Trained, identity, train
from archdsl.search.evaluate.trainings import chosen, trainings_in
from archdsl.search.loaded_data import DataFacts
from archdsl.search.network import AnyNetwork, TimmNetwork
from archdsl.search.policy import Policy
from archdsl.search.store.cache import training_key
from archdsl.search.store.clock import Clock
from archdsl.search.store.folder import RunFolder
from archdsl.search.store.parent import PARENT_WEIGHTS, stored_parent
from archdsl.search.training_record import SeedAccuracy
from archdsl.search.trial import Outcome, Trial
from archdsl.search.worker.process import Failed, WorkerGone
from archdsl.search.worker.slot import WorkerProtocol
from archdsl.search.worker.training_messages import CountRequest, Inheriting
from archdsl.training.fidelity import fidelity_of

Say = Callable[[str], None]


@dataclass(frozen=True)
class Scoring:
    """What every network of one call is measured and trained with."""

    run: ReferenceRun
    worker: WorkerProtocol
    policy: Policy
    data: DataFacts
    say: Say

    @property
    def settings(self) -> Settings:
        """Of the run, without its limits: they held for the search."""
        return self.run.settings.model_copy(update={"time_s": None, "trials": 1})

    def scored(self, network: AnyNetwork, label: str, is_longer: bool) -> Scored:
        """A network's row; one that cannot be measured or trained says why."""
        try:
            baseline = counted_baseline(network, self._counted)
            trial = self._measured(baseline, label)
            trial = self._trained(network, trial, label)
            longer = self._trained_longer(network, trial, label) if is_longer else None
        except (Failed, WorkerGone) as error:
            return Scored(label, None, failure=str(error))
        latency_ms, budget = trial.latency_ms or 0.0, self.settings.budgets.latency_ms
        over = baseline.over_budget(self.settings)
        if not self.settings.budgets.allows_ms(latency_ms):
            over = f"{self.settings.stat} {latency_ms:.2f} ms exceeds the budget of {plain_text(budget or 0.0)} ms"
        gate_ms = self.run.gate_ms
        is_over_gate = over is None and gate_ms is not None and latency_ms > gate_ms
        against, reason = self._against(longer or trial, is_longer)
        return Scored(label, trial, longer, over, is_over_gate, against=against, not_compared=reason)

    def ranked(self, networks: Sequence[Scored]) -> list[Scored]:
        """The networks with their ranks in the table of the run, in which all of them stand.

        A rank is 1 more than the rows that are more accurate; longer trainings are ranked among longer ones alone, and
        in a run whose networks inherited only what inherited has a rank.
        """
        longer = self.run.longer
        is_longer = any(network.longer is not None for network in networks)
        rows = [longer.get(row.network_hash) if is_longer else row for row in self.run.front]
        records = [*rows, *(network.training for network in networks)]
        ranked = list[Scored]()
        for network in networks:
            mine = network.training
            alike = (
                [] if mine is None else [each for each in records if each and each.is_inherited == mine.is_inherited]
            )
            rank = None
            if mine is not None and (not self.run.inherited or mine.is_inherited):
                rank = 1 + sum((each.accuracy or 0.0) > (mine.accuracy or 0.0) for each in alike)
            ranked.append(replace(network, rank=rank))
        return ranked

    def _counted(self, network: TimmNetwork) -> tuple[int, int]:
        """Params and MACs of a network that has to be built for it."""
        reply = self.worker.ask(CountRequest(network.to_json()), self.policy.silence.score_s)
        return reply.params, reply.macs

    def _measured(self, baseline: Baseline, label: str) -> Trial:
        self.say(f"{label}: measuring in {self.settings.runtime} on {self.settings.measuring_place}")
        clock, settings = Clock(self.settings, self.policy), self.settings
        with _exported(settings) as file:
            ms, measurement = measure(
                self.worker, baseline.network, settings, self.policy, clock, self.run.gate_ms, self.say, file
            )
        trial = replace(baseline.trial(0), origin=None)
        inside = settings.budgets.allows_ms(ms)
        return replace(trial, latency_ms=ms, measurement=measurement, inside_budget=inside, outcome="measured")

    def _trained(self, network: AnyNetwork, trial: Trial, label: str) -> Trial:
        beginning = beginning_of(self.run, self.policy, self.data) if isinstance(network, Spec) else None
        trained = self._train(network, label, self.settings.seed, lengthen=1.0, beginning=beginning)
        outcome: Outcome = "cached" if trained.is_cached else "trained"
        self.say(f"{label}: accuracy {accuracy_text(trained.accuracy, trained.training.error)}{_of_cache(trained)}")
        return replace(trial, rung="train", outcome=outcome, accuracy=trained.accuracy, training=trained.training)

    def _trained_longer(self, network: AnyNetwork, trial: Trial, label: str) -> Trial:
        """As a finalist: with as many seeds as the winner was trained with, else with all that a finalist may have."""
        policy, winner = self.policy.finalists, self.run.winner
        record = None if winner is None else self.run.longer.get(winner.network_hash)
        seeds = policy.seeds if record is None else len(trainings_in(record))
        lengthen, beginning = policy.lengthen, None
        if trial.is_inherited:
            beginning = self._long_beginning()
            lengthen = beginning.epochs / fidelity_of(self.settings, self.data.images).epochs
        per_seed, last = list[SeedAccuracy](), None
        for seed in range(self.settings.seed, self.settings.seed + max(seeds, 1)):
            last = self._train(network, label, seed, lengthen, beginning)
            training = last.training
            per_seed.append(SeedAccuracy(seed, last.accuracy, training.held_out, training.answers))
            accuracy = accuracy_text(last.accuracy, training.error)
            self.say(f"{label}: accuracy {accuracy} after {training.fidelity}, seed {seed}{_of_cache(last)}")
        assert last is not None
        accuracies = [each.accuracy for each in per_seed]
        spread = max(accuracies) - min(accuracies)
        training = replace(last.training, per_seed=tuple(per_seed), spread=spread)
        return replace(trial, rung="train_longer", accuracy=mean(accuracies), training=training)

    def _long_beginning(self) -> Inheriting:
        """As the finalists of the run that inherited began, for as many epochs; for as many as may be without any."""
        parent, policy = stored_parent(RunFolder(self.run.folder)), self.policy.inheritance
        assert parent is not None, "what inherited has a parent"
        finished = (record for record in self.run.longer.values() if record.is_inherited)
        trainings = [record.training for record in finished if record.training is not None]
        lengths = (training.planned_epochs or training.epochs for training in trainings)
        epochs = next((each for each in lengths if each is not None), policy.most_epochs)
        return long_inheritance(parent, str((self.run.folder / PARENT_WEIGHTS).absolute()), policy, epochs)

    def _train(
        self, network: AnyNetwork, label: str, seed: int, lengthen: float, beginning: Inheriting | None = None
    ) -> Trained:
        said = 0.0

        def progress(share: float) -> None:
            nonlocal said
            if share >= said + self.policy.time.told_share:
                said = share
                self.say(f"{label}: training {share:.0%}")

        self.say(f"{label}: training" + (f" {plain_text(lengthen)} times as long, seed {seed}" if lengthen > 1 else ""))
        settings = self.settings.model_copy(update={"seed": seed})
        clock = Clock(settings, self.policy)
        return train(
            self.worker,
            network,
            settings,
            self.policy.silence,
            self.data,
            clock,
            lengthen=lengthen,
            progress=progress,
            inheriting=beginning,
        )

    def _against(self, record: Trial, is_longer: bool) -> tuple[AgainstWinner | None, str | None]:
        """How it compares with the winner, or why that cannot be told."""
        winner = self.run.winner
        if winner is None:
            return None, "the run has no winner"
        if winner.network_hash == record.network_hash:
            return None, "it is the winner's network"
        if other_conditions(self.run, self.policy, self.data):
            return None, "the winner was trained under other conditions"
        against = against_winner(chosen(trainings_in(record)), self.run.winner_training(is_longer))
        if against is None and self.run.inherited and not record.is_inherited:
            return None, "it was trained from initial weights, and the networks of the run inherited from a parent"
        training = self.run.winner_training(is_longer)
        if against is None and training is not None and training.planned_epochs is not None:
            return None, f"the winner was trained for {training.fidelity}, and this network longer"
        how = "longer" if is_longer else "shortly"
        return against, None if against is not None else f"the winner's answers after being trained {how} are not known"


def beginning_of(run: ReferenceRun, policy: Policy, data: DataFacts) -> Inheriting | None:
    """How the networks of the run began with the weights of its parent; None where they did not."""
    parent = stored_parent(RunFolder(run.folder)) if run.inherited else None
    if parent is None:
        return None
    file = str((run.folder / PARENT_WEIGHTS).absolute())
    return short_inheritance(parent, file, run.settings, policy.inheritance, data.images)


def other_conditions(run: ReferenceRun, policy: Policy, data: DataFacts) -> str | None:
    """What differs between the training of the run's networks and a training now; None where nothing does."""
    trained = next((record for record in run.records if record.training is not None and not record.is_longer), None)
    training = None if trained is None else trained.training
    if trained is None or training is None or training.key is None:
        return None
    beginnings = (None, identity(beginning_of(run, policy, data)))
    if training.key in [training_key(trained.network_hash, run.settings, data, 1.0, each) for each in beginnings]:
        return None
    if training.torch != data.torch:
        return f"the networks of the run were trained with torch {training.torch}, these with {data.torch}"
    return "the data, the device type or the training recipe is not that of the run"


def _of_cache(trained: Trained) -> str:
    return " (accuracy from the cache)" * trained.is_cached


@contextmanager
def _exported(settings: Settings) -> Iterator[Path | None]:
    """Where the exported file of a network is kept meanwhile; None where the runtime runs modules."""
    if not runs_files(settings.runtime):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
        yield Path(folder) / "network.onnx"
