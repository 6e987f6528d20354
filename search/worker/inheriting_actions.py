"""A training with a parent: weights taken over, judged in one pass, where it pays fitted again, and fine-tuned.

A network of which nothing survived is trained from initial weights: where its loss is that of chance also after the
fine-tuning, where widths grow, and where the patch is another one.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from archdsl.search.policy.inherit import FineTuningPolicy
from archdsl.search.worker.training_messages import Inherited, Inheriting

if TYPE_CHECKING:
    from archdsl.compile import Backbone
    from archdsl.data.loading import Data
    from archdsl.deriving import Inheritance
    from archdsl.deriving.parents import Parent
    from archdsl.training.accuracy import Evaluation
    from archdsl.training.deadline import Deadline
    from archdsl.training.loop import Progress
    from archdsl.training.recipe import Fidelity, Outcome


class TrainOptions(NamedTuple):
    """How a training goes about, as `archdsl.training.recipe.train` takes it."""

    seed: int
    device: str
    deadline: Deadline | None
    progress: Progress


class Tuned(NamedTuple):
    """What came of a network that was to inherit."""

    outcome: Outcome | None
    """None where it is to be trained from initial weights instead."""
    inherited: Inherited
    fidelity: Fidelity
    """Of the fine-tuning."""


class _Beginning(NamedTuple):
    """A network with the parent's weights."""

    loss: float
    """In nats, on training images, as that of the parent."""
    parent_loss: float
    lr: float
    refitted: int


def fine_tuned(
    model: Backbone,
    inheriting: Inheriting,
    data: Data,
    from_nothing: Fidelity,
    options: TrainOptions,
    refit_ends: Deadline | None = None,
) -> Tuned:
    """A freshly built network inherits and is fine-tuned; `from_nothing` is how long it is trained where it does not.

    A refit does not go beyond `refit_ends`. The model is left with the weights that the outcome tells of.
    """
    fidelity = from_nothing._replace(epochs=inheriting.epochs, is_raised=False)
    parent = parent_of(inheriting)
    model.to(options.device)
    report = _inherit(model, parent, inheriting, data, refit_ends)
    if not inheriting.is_decided and (reason := _hopeless(model, report, inheriting)) is not None:
        return Tuned(None, Inherited(reason=reason), fidelity)
    began = _began(model, parent, report, inheriting, data, options.device)
    blocks = tuple(report.rows)
    inherited = Inherited(began.loss, began.parent_loss, lr=began.lr, refitted=began.refitted, blocks=blocks)
    left_s = 0.0 if options.deadline is None else options.deadline.left_s
    before = _validated(model, data, fidelity) if inheriting.is_decided else None
    if options.deadline is not None:  # an evaluation as long as this one follows if the fine-tuning is undone
        options = options._replace(deadline=options.deadline.sooner(left_s - options.deadline.left_s))
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()} if before is not None else {}
    outcome = _train(model, data, fidelity, began.lr, options)
    if not inheriting.is_decided and _stayed_at_chance(model, data, began.loss, options.device, inheriting.tuning):
        return Tuned(None, Inherited(began.loss, began.parent_loss, "its loss stayed at chance"), fidelity)
    if before is not None and outcome.finished and before.accuracy > outcome.accuracy:
        model.load_state_dict(weights)
        outcome, inherited = _untuned(model, data, fidelity, outcome, before), inherited.untuned()
    return Tuned(outcome, inherited, fidelity)


def inherited_loss(model: Backbone, inheriting: Inheriting, data: Data, device: str) -> Inherited:
    """What a freshly built network keeps of its parent: its loss on training images before any fine-tuning."""
    parent = parent_of(inheriting)
    report = _inherit(model.to(device), parent, inheriting, data)
    if (reason := _hopeless(model, report, inheriting)) is not None:
        return Inherited(reason=reason)
    count = inheriting.tuning.scored_images
    return Inherited(_loss(model, data, device, count), _parent_loss(parent, data, device, count))


def parent_of(inheriting: Inheriting) -> Parent:
    """The parent that a network is to inherit from."""
    return _parent_in(inheriting.parent, Path(inheriting.parent).stat().st_mtime_ns)


def as_parent_reads(data: Data, inheriting: Inheriting) -> Data:
    """The data, normalised as the parent reads it; with its mean and deviation where the parent's file tells none."""
    from archdsl.training.normalising import normalised_as

    return normalised_as(data, parent_of(inheriting).facts.preprocessing)


@cache
def _parent_in(file: str, modified_ns: int) -> Parent:
    """The parent in a run's folder, read once."""
    from archdsl.deriving.parents import read_parent

    return read_parent(file)


def _inherit(
    model: Backbone, parent: Parent, inheriting: Inheriting, data: Data, refit_ends: Deadline | None = None
) -> Inheritance:
    from archdsl.deriving.fitting import RefitSettings
    from archdsl.deriving.inheriting import inherit_from
    from archdsl.deriving.library.covering import DerivedBlock
    from archdsl.deriving.library.derived import derive

    images, settings = None, None
    if inheriting.refit_steps and model.spec.image_size == parent.model.spec.image_size:
        images = data.normalise(data.train_images[: inheriting.refit_images])
        settings = RefitSettings(steps=inheriting.refit_steps, deadline=refit_ends)
    if inheriting.library is None or not inheriting.blocks:
        return inherit_from(model, parent, images, settings, data.class_names)
    blocks = [DerivedBlock(*block) for block in inheriting.blocks]
    return derive(model, parent, blocks, Path(inheriting.library), images, settings, data.class_names)


def _began(
    model: Backbone, parent: Parent, report: Inheritance, inheriting: Inheriting, data: Data, device: str
) -> _Beginning:
    tuning = inheriting.tuning
    loss = _loss(model, data, device, tuning.scored_images)
    parent_loss = _parent_loss(parent, data, device, tuning.scored_images)
    refitted = sum(block.outcome == "fitted" for block in report.refits)
    if inheriting.epochs > tuning.long_epochs:
        lr = tuning.long_lr
    elif loss - parent_loss > tuning.broken_nats:  # a refit that leaves it broken changes nothing of what it needs
        lr = tuning.broken_lr
    else:
        lr = tuning.refitted_lr if refitted else tuning.whole_lr
    return _Beginning(loss, parent_loss, lr, refitted)


def _hopeless(model: Backbone, report: Inheritance, inheriting: Inheriting) -> str | None:
    """Why inheriting does not pay, as far as shapes tell it."""
    if report.is_empty:
        return "nothing of the parent corresponds to it"
    stems = {node.id for node in model.spec.nodes if model.spec.node(node.id).kind == "stem"}
    resized = [tensor for tensor in report.tensors if tensor.state == "resized" and len(tensor.shape) == 4]
    if any(tensor.name.split(".")[0] in stems for tensor in resized):
        return "its patches have another size than the parent's"
    if report.sums["widened"].share > inheriting.tuning.most_widened:
        return "it is wider than the parent"
    return None


def _stayed_at_chance(model: Backbone, data: Data, loss_before: float, device: str, tuning: FineTuningPolicy) -> bool:
    """Whether nothing of the parent was left, and a short fine-tuning brought nothing back."""
    if not _is_at_chance(loss_before, data):
        return False
    return _is_at_chance(_loss(model, data, device, tuning.scored_images), data)


def _is_at_chance(loss: float, data: Data) -> bool:
    from archdsl.deriving.score import AT_CHANCE

    return not loss < AT_CHANCE * math.log(data.classes)


def _loss(model: Backbone, data: Data, device: str, count: int) -> float:
    """Mean cross entropy on `count` training images, more for many classes, with batch norm measured on them."""
    from archdsl.deriving.score import least_images, score

    count = max(count, least_images(data.classes))
    images = data.normalise(data.train_images[:count]).to(device)
    return score(model, images, data.train_labels[:count]).loss


_parent_losses: dict[int, float] = {}


def _parent_loss(parent: Parent, data: Data, device: str, count: int) -> float:
    """Of the parent; computed once."""
    if id(parent) not in _parent_losses:
        _parent_losses[id(parent)] = _loss(parent.model.to(device), data, device, count)
    return _parent_losses[id(parent)]


def _train(model: Backbone, data: Data, fidelity: Fidelity, lr: float, options: TrainOptions) -> Outcome:
    """By the recipe of a short training, with a peak rate of `lr` whatever its batch."""
    from archdsl.training.recipe import train

    return train(model, data, fidelity, lr=lr / math.sqrt(fidelity.batch / 32), **options._asdict())


def _validated(model: Backbone, data: Data, fidelity: Fidelity) -> Evaluation | None:
    from archdsl.training.accuracy import evaluate

    on = data.to(next(model.parameters()).device)
    return evaluate(model, on.normalise, on.val_images, on.val_labels, on.class_names, 2 * fidelity.batch)


def _untuned(model: Backbone, data: Data, fidelity: Fidelity, outcome: Outcome, before: Evaluation) -> Outcome:
    """The outcome of a fine-tuning that was undone: what the network named rightly before it."""
    from archdsl.training.accuracy import evaluate

    on, held = data.to(next(model.parameters()).device), None
    if len(on.held_labels):
        held = evaluate(model, on.normalise, on.held_images, on.held_labels, on.class_names, 2 * fidelity.batch)
    held_out = None if held is None else held.accuracy
    return outcome._replace(
        accuracy=before.accuracy, error=before.error, held_out=held_out, validation=before, held=held
    )
