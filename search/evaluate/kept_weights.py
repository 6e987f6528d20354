"""The weights that are handed over for a network, how good these very weights are, and whether that says anything."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple, Protocol

from archdsl.errors import ArchError
from archdsl.load.specs import spec_of
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.inheriting import inheriting
from archdsl.search.evaluate.kept_files import weights_path
from archdsl.search.evaluate.rungs import train
from archdsl.search.evaluate.trainings import SeedTraining, chosen, chosen_record, longest_trainings, trainings_in
from archdsl.search.loaded_data import DataFacts
from archdsl.search.network import network_of
from archdsl.search.trial import Trial
from archdsl.search.worker.process import Failed
from archdsl.search.worker.training_messages import Inheriting
from archdsl.training.accuracy import PerClass, balanced_accuracy, unpacked
from archdsl.training.fidelity import fidelity_of
from archdsl.weights.facts import Accuracy, Measured, ModelFacts, Provenance, read_facts

ERRORS = 2.0
"""Standard errors that a difference must exceed to be one."""


class Seeds(NamedTuple):
    """Validation accuracies over the seeds of a network's longest training."""

    number: int
    mean: float
    least: float
    most: float


class KeptWeights(NamedTuple):
    """The weights that are handed over for a network, and the accuracy of these very weights."""

    path: Path
    seed: int
    validation_accuracy: float
    validation_images: int
    validation_error: float
    """Binomial standard error, as all of these: of the number of images alone."""
    held_out_accuracy: float | None
    """On images that nothing was chosen by; None where nothing is held out."""
    held_out_images: int
    held_out_error: float | None
    fidelity: str
    epochs: float
    answers: tuple[bool, ...]
    """Whether each validation image is named rightly."""
    per_class: dict[str, dict[str, tuple[int, int]] | None]
    """Of "validation" and "held_out", None where nothing is held out: by class how many are named rightly, of how
    many.
    """
    trained_seeds: Seeds
    float32: tuple[float, float | None] | None = None
    """Where all of this is of a quantised file, the validation and held-out accuracy of the weights themselves."""

    @property
    def accuracy(self) -> float:
        """That by which the weights are judged: on held-out images where there are any, else validation images."""
        return self.validation_accuracy if self.held_out_accuracy is None else self.held_out_accuracy

    @property
    def error(self) -> float:
        """The standard error of `accuracy`."""
        return self.validation_error if self.held_out_error is None else self.held_out_error

    @property
    def balanced_accuracy(self) -> dict[str, float | None]:
        """The mean of the classes' recalls, by the set of images as in `per_class`."""
        return {of: None if classes is None else balanced_accuracy(classes) for of, classes in self.per_class.items()}


def weights_of(context: Context, record: Trial) -> KeptWeights:
    """The weights that are handed over for a trained network: of its longest trainings that of the best validation
    accuracy, else of its short training.

    Where their file is not here, since the training came from the cache, from another machine or from an earlier
    version, or the file was removed, the network is trained again, as long and with the same seed; a training on
    another number of threads may give other weights, and the accuracy is that of these.

    Raises:
        OutOfTime: there was no time to train it.
        Failed: it was not trained before, or its weights cannot be written, or as `train`.
        WorkerGone: as `train`.
    """
    trainings = longest_trainings(context.records, record.network_hash)
    training = chosen(trainings)
    if training is None:
        raise Failed("the network was not trained in this search")
    fingerprint = None if context.data is None else context.data.fingerprint
    path = weights_path(context, record.network_hash, training.seed, _epochs(context, training))
    facts = _facts(path, training.seed, fingerprint)
    if facts is None:
        _train_again(context, record, training, path)
        facts = _facts(path, training.seed, fingerprint)
    if facts is None:
        raise Failed(f"{path}: the weights that were written cannot be read")
    return _kept(path, facts, training, trainings)


def retraining_s(context: Context, record: Trial) -> float:
    """Seconds that training a network again for its weights takes, as long as its training took; 0 if they are here."""
    trained = chosen_record(context.records, record.network_hash)
    training = None if trained is None else chosen(trainings_in(trained))
    if trained is None or trained.training is None or training is None or training.epochs is None:
        return 0.0
    if weights_path(context, record.network_hash, training.seed, training.epochs).is_file():
        return 0.0
    return context.policy.final_reading.start_s + (trained.training.seconds or trained.seconds)


class Judged(Protocol):
    """A training whose answers can be compared: `KeptWeights`, and `SeedTraining` as a record tells it."""

    @property
    def fidelity(self) -> str:
        """The length of the training."""
        ...

    @property
    def answers(self) -> tuple[bool, ...]:
        """Whether each validation image is named rightly."""
        ...


def indistinguishable(winner: Judged, other: Judged) -> bool:
    """Whether the validation images cannot tell two networks apart that were trained equally long.

    McNemar's test: of the images that one of the two names rightly, b the first and c the second, the difference of b
    and c is at most two of its standard errors, sqrt(b + c).
    """
    if winner.fidelity != other.fidelity or not winner.answers or len(winner.answers) != len(other.answers):
        return False
    pairs = list(zip(winner.answers, other.answers, strict=True))
    b, c = pairs.count((True, False)), pairs.count((False, True))
    return abs(b - c) <= ERRORS * math.sqrt(b + c)


def recorded_training(context: Context, record: Trial) -> SeedTraining | None:
    """What the records tell of the training that `weights_of` would hand over, for comparing without its weights."""
    return chosen(longest_trainings(context.records, record.network_hash))


def beats_chance(kept: KeptWeights, chance: float) -> bool:
    """Whether the accuracy is two standard errors above that of always naming the largest class."""
    return kept.accuracy - ERRORS * kept.error > chance


class _Facts(NamedTuple):
    """What a file of a trained network must tell."""

    accuracy: Accuracy
    provenance: Provenance


def _facts(path: Path, seed: int, fingerprint: str | None) -> _Facts | None:
    """What a file tells of its weights; None where there is none, or it is of something else."""
    if not path.is_file():
        return None
    try:
        facts: ModelFacts = read_facts(path)
    except ArchError:
        return None
    accuracy, provenance = facts.accuracy, facts.provenance
    if accuracy is None or provenance is None or accuracy.validation.answers is None or provenance.seed != seed:
        return None
    if fingerprint is not None and accuracy.data.fingerprint != fingerprint:  # the data has changed since
        return None
    return _Facts(accuracy, provenance)


def _epochs(context: Context, training: SeedTraining) -> float:
    """Of a training; of one of an earlier version, which did not tell them, by the search's settings.

    Raises:
        Failed: the search ended before its data was loaded.
    """
    if training.epochs is not None:
        return training.epochs
    return fidelity_of(context.settings, _data(context).images, _lengthen(context, training)).epochs


def _lengthen(context: Context, training: SeedTraining) -> float:
    """How many times longer than a short training one was."""
    if training.planned_epochs is not None and training.epochs is not None:
        return training.epochs / fidelity_of(context.settings, _data(context).images).epochs
    return context.policy.finalists.lengthen if training.is_longer else 1.0


def _data(context: Context) -> DataFacts:
    if context.data is None:
        raise Failed("its weights were not kept, and the search ended before the data was loaded")
    return context.data


def _train_again(context: Context, record: Trial, training: SeedTraining, path: Path) -> None:
    """Train a network as it was trained, for its weights, by a worker of its own: those of the search may be gone."""
    data, spec = _data(context), spec_of(record.document)
    text = f"training {spec.name} again, since its weights were not kept"
    context.doing(text, "training the winner")
    context.watcher(context.state, text)
    worker = context.new_worker()
    try:
        trained = train(
            worker,
            spec,
            context.settings.model_copy(update={"seed": training.seed}),
            context.policy.silence,
            data,
            context.clock,
            lengthen=_lengthen(context, training),
            progress=context.trained_so_far,
            keep=path,
            anew=True,
            inheriting=_inheriting(context, record, training),
        )
    finally:
        worker.stop()
    if trained.not_kept is not None:
        raise Failed(f"the weights cannot be written to {path}: {trained.not_kept}")


def _inheriting(context: Context, record: Trial, training: SeedTraining) -> Inheriting | None:
    """How the training began that is done again."""
    chosen_one = chosen_record(context.records, record.network_hash)
    if chosen_one is None or not chosen_one.is_inherited:
        return None
    network = network_of(record.document)
    return inheriting(context, training.epochs if training.is_longer else None, network)


def _kept(path: Path, facts: _Facts, training: SeedTraining, trainings: list[SeedTraining]) -> KeptWeights:
    validation, held = facts.accuracy.validation, facts.accuracy.held_out
    accuracies = [each.accuracy for each in trainings]
    mean = sum(accuracies) / len(accuracies)
    return KeptWeights(
        path=path,
        seed=training.seed,
        validation_accuracy=validation.accuracy,
        validation_images=validation.images,
        validation_error=validation.standard_error,
        held_out_accuracy=None if held is None else held.accuracy,
        held_out_images=0 if held is None else held.images,
        held_out_error=None if held is None else held.standard_error,
        fidelity=training.fidelity,
        epochs=facts.provenance.epochs,
        answers=unpacked(validation.answers or "", validation.images),
        per_class={"validation": _per_class(validation), "held_out": None if held is None else _per_class(held)},
        trained_seeds=Seeds(len(accuracies), mean, min(accuracies), max(accuracies)),
    )


def _per_class(measured: Measured) -> PerClass:
    return dict(measured.per_class)
