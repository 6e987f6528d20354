"""The trainings of a network as its records tell them: how long, with which seeds, and what each gave."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from archdsl.search.training_record import SeedAccuracy, Training
from archdsl.search.trial import Trial
from archdsl.training.accuracy import unpacked


class SeedTraining(NamedTuple):
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
    planned_epochs: float | None = None
    """Where it was shortened to end in time."""


def longest_trainings(records: Iterable[Trial], network_hash: str) -> list[SeedTraining]:
    """Of a network, one a seed: its longer trainings, else its short one; empty if it has none."""
    record = chosen_record(records, network_hash)
    return [] if record is None else trainings_in(record)


def chosen_record(records: Iterable[Trial], network_hash: str) -> Trial | None:
    """The last record of a network's longer trainings, else of its short one; None if it was not trained."""
    trained = [record for record in records if record.network_hash == network_hash and record.accuracy is not None]
    longer = [record for record in trained if record.is_longer]
    return (longer or trained)[-1] if trained else None


def trainings_in(record: Trial) -> list[SeedTraining]:
    """The trainings of one record of a trained network."""
    training = record.training
    if training is None or record.accuracy is None:
        return []
    per_seed = training.per_seed
    if not per_seed and training.seed is not None:
        per_seed = (SeedAccuracy(training.seed, record.accuracy, training.held_out, training.answers),)
    return [_of_seed(training, each, record.is_longer) for each in per_seed]


def chosen(trainings: Sequence[SeedTraining]) -> SeedTraining | None:
    """The one whose weights are handed over: the most accurate on the validation images, the first of equal ones."""
    return max(trainings, key=lambda training: training.accuracy, default=None)


def _of_seed(training: Training, each: SeedAccuracy, is_longer: bool) -> SeedTraining:
    """The training with one seed, by its own facts and those that all seeds of the record share."""
    images = training.validation_images
    return SeedTraining(
        seed=each.seed,
        epochs=training.epochs if each.epochs is None else each.epochs,
        fidelity=each.fidelity or training.fidelity or "a training of unknown length",
        accuracy=each.accuracy,
        answers=unpacked(each.answers, images) if each.answers and images else (),
        is_longer=is_longer,
        planned_epochs=training.planned_epochs if each.epochs is None else each.planned_epochs,
    )
