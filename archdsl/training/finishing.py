"""The end of a training: the network is evaluated and written to a file that says how it came about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from archdsl.data.labelled import Division
from archdsl.files import installed_version, sha256_of
from archdsl.json_types import JsonObject
from archdsl.numbers import accuracy_text
from archdsl.training.accuracy import Evaluation
from archdsl.training.named_recipes import Recipe
from archdsl.training.options import TrainingOptions
from archdsl.training.processes import Processes, wait_for_all
from archdsl.training.unfinished import log_file, state_file

if TYPE_CHECKING:
    from archdsl.training.beginning import Beginning
    from archdsl.training.session import Session
    from archdsl.weights.facts import ModelFacts


class KeptSplit(NamedTuple):
    """How images were split for an earlier training."""

    seed: int
    division: Division


@dataclass(frozen=True)
class Trained:
    """A finished training: what was written, and how accurate it is."""

    file: Path
    name: str
    recipe: str
    epochs: float
    steps: int
    batch: int
    seconds: float
    data: str
    """What the images are, and how they were split."""
    validation: Evaluation
    """Of the weights in the file, on images that no step was trained with."""
    held_out: Evaluation | None
    """As `validation`, on images that nothing was chosen by; None where there are none."""
    steps_of_epoch: int = 0
    """Steps in which every training image is seen once."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why the network may be of no use, a sentence each."""
        lines, judged = [], self.held_out or self.validation
        if self.steps < self.steps_of_epoch:
            of = f"the {self.steps_of_epoch:,} steps of one epoch"
            lines.append(f"{self.steps:,} of {of} were trained, so that some images were never seen; give more time")
        if judged.accuracy < judged.chance + 2 * judged.error:
            lines.append(
                f"the accuracy of {accuracy_text(judged.accuracy, judged.error)} is not above chance, which is "
                f"{judged.chance:.1%}, by two standard errors: train for longer, or with other data"
            )
        return tuple(lines)

    def as_json(self) -> JsonObject:
        """The same facts for programs."""
        sets = {"validation": self.validation, "held_out": self.held_out}
        facts: JsonObject = {
            "file": str(self.file),
            "log": str(log_file(self.file)),
            "name": self.name,
            "recipe": self.recipe,
            "epochs": round(self.epochs, 3),
            "steps": self.steps,
            "batch": self.batch,
            "seconds": round(self.seconds, 3),
            "data": self.data,
        }
        for name, measured in sets.items():
            facts[name] = (
                None
                if measured is None
                else {"accuracy": measured.accuracy, "standard_error": measured.error, "images": measured.images}
            )
        facts["warnings"] = [*self.warnings]
        return facts

    def lines(self) -> list[str]:
        """The same facts as a person reads them."""
        epochs = f"{self.epochs:.4g} epoch{'s' * (self.epochs != 1)}"
        length = (
            f"{epochs}, {self.steps:,} step{'s' * (self.steps != 1)} of {self.batch:,} images, {self.seconds:.0f} s"
        )
        lines = [f"{self.file}: {self.name}, recipe {self.recipe}, {length}", self.data]
        lines.append(_accuracy_line("validation accuracy", self.validation, "not used for training"))
        if self.held_out is not None:
            lines.append(_accuracy_line("held-out accuracy", self.held_out, "not used for training or selection"))
        return lines


def _accuracy_line(what: str, measured: Evaluation, which: str) -> str:
    return f"{what}: {accuracy_text(measured.accuracy, measured.error)} on {measured.images:,} images, {which}"


def finish(
    session: Session, beginning: Beginning, options: TrainingOptions, augmentation: str, kept: KeptSplit | None
) -> Trained:
    """Evaluate, write the file, and remove the state.

    Raises:
        NotFinite: the network answers with numbers that are not finite.
    """
    from archdsl.training.session import NotFinite
    from archdsl.weights.model_file import save_model

    results: tuple[Evaluation | None, Evaluation | None] = (None, None)
    if session.group.is_first:
        results = session.evaluate(session.data.validation), session.evaluate(session.data.held_out)
    results = _shared(session.group, results)
    validation, held_out = results
    if validation is None:
        raise NotFinite("a logit of the trained network is not finite; use a lower --lr")
    if session.group.is_first:
        facts = _facts(session, beginning, options, augmentation, kept, validation, held_out)
        with session.averaged():
            save_model(session.model, options.out, beginning.parent, facts=facts)
        state_file(options.out).unlink(missing_ok=True)
        if session.board is not None:
            session.board.close()
    wait_for_all(session.group)
    recipe = options.recipe
    assert isinstance(recipe, Recipe)
    return Trained(
        file=options.out,
        name=session.model.spec.name,
        recipe=recipe.name,
        epochs=session.done / session.course.steps_of_epoch,
        steps=session.done,
        batch=session.course.batch,
        seconds=session.clock.seconds,
        data=session.data.description,
        validation=validation,
        held_out=held_out,
        steps_of_epoch=session.course.steps_of_epoch,
    )


def _shared(
    group: Processes, results: tuple[Evaluation | None, Evaluation | None]
) -> tuple[Evaluation | None, Evaluation | None]:
    """What the first process found, in all of them."""
    import torch.distributed as dist

    if group.number == 1:
        return results
    shared = [results]
    dist.broadcast_object_list(shared, 0)
    return shared[0]


def _facts(
    session: Session,
    beginning: Beginning,
    options: TrainingOptions,
    augmentation: str,
    kept: KeptSplit | None,
    validation: Evaluation,
    held_out: Evaluation | None,
) -> ModelFacts:
    """What the file says of itself."""
    import torch

    from archdsl.training.saving import measured, preprocessing
    from archdsl.weights.facts import Accuracy, DataFacts, ModelFacts, Provenance

    data, recipe = session.data, options.recipe
    assert isinstance(recipe, Recipe)
    normalise, split = beginning.normalise, kept or KeptSplit(options.seed, Division(options.images))
    return ModelFacts(
        classes=data.class_names,
        preprocessing=preprocessing(data.sample, normalise.mean, normalise.std, data.scaled_by),
        accuracy=Accuracy(
            validation=measured(validation),
            held_out=None if held_out is None else measured(held_out),
            data=DataFacts(name=data.name, fingerprint=data.fingerprint),
        ),
        provenance=Provenance(
            parent=beginning.parent,
            recipe=recipe.name,
            epochs=session.done / session.course.steps_of_epoch,
            images=len(data.train.labels),
            batch=session.course.batch,
            steps=session.done,
            seed=options.seed,
            split_seed=split.seed,
            split_images=split.division.images,
            device=str(session.device),
            autocast=None if session.autocast is None else str(session.autocast).removeprefix("torch."),
            threads=torch.get_num_threads(),
            torch=torch.__version__,
            archdsl=installed_version(),
            lr=max(session.update.peaks),
            teacher=None if options.teacher is None else sha256_of(options.teacher),
            frozen=session.frozen,
            processes=session.group.number,
            augmentation=augmentation.removeprefix("augmentation: "),
        ),
    )
