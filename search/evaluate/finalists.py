"""Finalists: the most accurate networks of a search, trained longer and with several seeds by successive halving.

A short training says little of which of two good networks is better, and the one that learns faster is often not the
one that learns more. So finalists need not be on the front, which may have left the better one out by a hair.
"""

from __future__ import annotations

import math
from collections import Counter
from statistics import mean
from typing import Any

from archdsl.load.specs import spec_of
from archdsl.numbers import accuracy_text
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.kept_files import remove_unneeded, weights_path
from archdsl.search.evaluate.rungs import train
from archdsl.search.evaluate.trainings import LONGER
from archdsl.search.store.front import ACCURACY, Record, front
from archdsl.search.worker.process import Failed, OutOfTime, WorkerGone
from archdsl.training.fidelity import fidelity_of

LENGTHEN = 3.0
"""How many times longer the finalists are trained."""
FINALISTS = 6
SEEDS = 3
"""Rounds, each with initial weights and data orders of its own; after each the better half goes on."""


def trainings(finalists: int) -> int:
    """Longer trainings of a search with so many networks that could be finalists."""
    return sum(math.ceil(min(finalists, FINALISTS) / 2**number) for number in range(SEEDS))


class Finalists:
    """The finalists of one search, and how far each came."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._rounds = Counter[str]()
        """In how many rounds a network was, by hash."""

    def train(self) -> None:
        """Train the finalists longer, as far as time allows; the records tell how they did."""
        remove_unneeded(self._context, self.may_win(), is_training=False)
        field = self._first()
        if field:
            count = f"{len(field)} finalist{'s' * (len(field) != 1)}"
            self._context.watcher(
                self._context.state, f"training {count} {LENGTHEN:g} times as long, as far as time allows"
            )
        for number in range(SEEDS):
            self._rounds.update(record["hash"] for record in field)
            if not self._round(field, number):
                return
            after = [record for record in field if self._accuracy(record) is not None]
            after.sort(key=lambda record: -(self._accuracy(record) or 0.0))
            field = after[: math.ceil(len(field) / 2)]

    def ranked(self) -> list[Record]:
        """Finalists, those first that came the furthest, the more accurate of these first; then the rest of the front.

        A finalist that was not trained longer is none.
        """
        told = {record["hash"]: self._accuracy(record) for record in self._context.trials}
        finalists = [record for record in self._candidates() if told[record["hash"]] is not None]
        finalists.sort(key=lambda record: (-self._rounds[record["hash"]], -(told[record["hash"]] or 0.0)))
        return finalists + [record for record in self._context.state.front if told[record["hash"]] is None]

    def front(self) -> list[Record]:
        """What is ranked without the finalists that another one beats in everything, by the longer trainings."""
        ranked = self.ranked()
        longer = [
            record | {"accuracy": accuracy} for record in ranked if (accuracy := self._accuracy(record)) is not None
        ]
        kept = {record["hash"] for record in front(longer, self._context.space.objectives)}
        return [record for record in ranked if record["hash"] in kept or self._accuracy(record) is None]

    def may_win(self) -> set[str]:
        """Networks, by hash, whose weights may still be asked for: finalists, those that could be, and the front."""
        longer = {record["hash"] for record in self._context.records if record["rung"] == LONGER}
        return longer | {record["hash"] for record in [*self._first(), *self._context.state.front]}

    def _first(self) -> list[Record]:
        """The most accurate networks; those of the front alone where accuracy is not an objective."""
        candidates = self._candidates() if ACCURACY in self._context.space.objectives else self._context.state.front
        return sorted(candidates, key=lambda record: (-record["accuracy"], record["latency"]))[:FINALISTS]

    def _candidates(self) -> list[Record]:
        """What was trained inside the budget, once a network."""
        kept = {r["hash"]: r for r in self._context.trials if r["accuracy"] is not None and r["inside_budget"]}
        return list(kept.values())

    def _round(self, field: list[Record], number: int) -> bool:
        """Train each finalist with one seed more, if it has not had it; whether there was time for all."""
        context = self._context
        for record in field:
            left = context.clock.left_to_train
            if len(self._trainings(record)) != number:
                continue
            if left is not None and left < LENGTHEN * record["provenance"]["proxy"]["seconds"]:
                return False
            try:
                self._train(record, context.settings.seed + number)
            except OutOfTime:
                return False
            except (Failed, WorkerGone):
                continue
        return True

    def _longer(self, record: Record) -> Record | None:
        """What is known of a finalist that was trained longer: its last record, the mean over the most seeds."""
        known = (r for r in reversed(self._context.records) if r["rung"] == LONGER and r["hash"] == record["hash"])
        return next(known, None)

    def _accuracy(self, record: Record) -> float | None:
        """Of the longer trainings; None where there is none."""
        known = self._longer(record)
        return None if known is None else float(known["accuracy"])

    def _trainings(self, record: Record) -> list[dict[str, Any]]:
        """The longer trainings of a finalist so far, one a seed."""
        known = self._longer(record)
        return [] if known is None else list(known["provenance"]["proxy"].get("trainings", ()))

    def _train(self, record: Record, seed: int) -> None:
        """Train a finalist with one seed more; the record that is added tells the mean over all of them."""
        context, spec = self._context, spec_of(record["spec"])
        epochs = fidelity_of(context.settings, context.data["images"], LENGTHEN).epochs
        context.doing(spec.name, "training the finalists longer")
        trained = train(
            context.worker,
            spec,
            context.settings.model_copy(update={"seed": seed}),
            context.data,
            context.clock,
            lengthen=LENGTHEN,
            progress=context.trained_so_far,
            keep=weights_path(context, record["hash"], seed, epochs),
        )
        own = {"seed": seed, "accuracy": trained.accuracy, "held_out": trained.facts["held_out"]}
        if "answers" in trained.facts:
            own["answers"] = trained.facts["answers"]
        known = [*self._trainings(record), own]
        accuracies = [training["accuracy"] for training in known]
        facts = trained.facts | {"trainings": known, "spread": max(accuracies) - min(accuracies)}
        context.add(
            record
            | {
                "rung": LONGER,
                "outcome": "cached" if trained.cached else "trained",
                "accuracy": mean(accuracies),
                "seconds": round(trained.seconds, 3),
                "provenance": record["provenance"] | {"proxy": facts},
            }
        )
        remove_unneeded(context, self.may_win())
        context.watcher(
            context.state, f"finalist {spec.name}: {_told(accuracies, trained.error)} after {trained.facts['fidelity']}"
        )


def _told(accuracies: list[float], error: float) -> str:
    """`accuracy 61.2 ± 1.5 %, the mean of 3 seeds from 59.8 % to 63.0 %`; the error is that of the last training."""
    text = f"accuracy {accuracy_text(mean(accuracies), error)}"
    if len(accuracies) == 1:
        return text
    least, most = accuracy_text(min(accuracies)), accuracy_text(max(accuracies))
    return f"{text}, the mean of {len(accuracies)} seeds from {least} to {most}"
