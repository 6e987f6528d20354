"""The trainings of a network as its records tell them: how long, with which seeds, and what each gave."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from archdsl.search.store.front import Record
from archdsl.training.accuracy import unpacked

LONGER = "train_longer"
"""The rung of a finalist's longer trainings."""


class Training(NamedTuple):
    """One training that finished."""

    seed: int
    epochs: float | None
    """None in the records of earlier versions."""
    fidelity: str
    accuracy: float
    """On the validation images, 0 to 1."""
    answers: tuple[bool, ...]
    """Whether each validation image was named rightly; empty in the records of earlier versions."""
    is_longer: bool


def longest_trainings(records: Iterable[Record], network: str) -> list[Training]:
    """Of the network with this hash, one a seed: its longer trainings, else its short one; empty if it has none."""
    trained = [r for r in records if r["hash"] == network and r["accuracy"] is not None]
    longer = [record for record in trained if record["rung"] == LONGER]
    return trainings_in((longer or trained)[-1]) if trained else []


def trainings_in(record: Record) -> list[Training]:
    """The trainings of one record of a trained network."""
    proxy = record["provenance"].get("proxy") or {}
    single = proxy | {"accuracy": record["accuracy"]}
    per_seed = proxy.get("trainings", [single])
    return [_training(proxy, facts, record["rung"] == LONGER) for facts in per_seed if "seed" in facts]


def chosen(trainings: Sequence[Training]) -> Training | None:
    """The one whose weights are handed over: the most accurate on the validation images, the first of equal ones."""
    return max(trainings, key=lambda training: training.accuracy, default=None)


def _training(proxy: dict[str, Any], facts: dict[str, Any], is_longer: bool) -> Training:
    """The training with one seed, by its facts and those that all seeds of the record share."""
    answers, images = facts.get("answers"), proxy.get("validation_images")
    return Training(
        seed=facts["seed"],
        epochs=proxy.get("epochs"),
        fidelity=str(proxy.get("fidelity", "a training of unknown length")),
        accuracy=facts["accuracy"],
        answers=unpacked(answers, images) if answers and images else (),
        is_longer=is_longer,
    )
