"""How a candidate of a search with a parent begins: with its weights, fitted again and fine-tuned as a policy says."""

from __future__ import annotations

from dataclasses import replace

from archdsl.language.document import Spec
from archdsl.numbers import plain_text
from archdsl.search.config import Settings
from archdsl.search.evaluate.context import Context
from archdsl.search.network import AnyNetwork
from archdsl.search.policy.inherit import InheritancePolicy
from archdsl.search.store.parent import PARENT_WEIGHTS, Parent
from archdsl.search.worker.training_messages import Inheriting
from archdsl.training.fidelity import BATCH, batch_on


def inheriting(
    context: Context, finish_epochs: float | None = None, network: AnyNetwork | None = None
) -> Inheriting | None:
    """How a candidate begins with the parent's weights; None where the search has no parent, or gave it up.

    A finalist has a refit, and `finish_epochs` of fine-tuning. A `network` that is made of the library's blocks begins
    with them.
    """
    beginning = _inheriting(context, finish_epochs)
    if beginning is None or context.library is None or not isinstance(network, Spec):
        return beginning
    blocks = context.library.blocks_of(network)
    if not any(block.key for block in blocks):
        return beginning
    library = context.library.library
    return replace(
        beginning,
        library=str(library.folder.absolute()),
        library_sha256=library.index.identity.sha256,
        blocks=tuple((block.stage, block.first, block.span, block.key) for block in blocks),
    )


def _inheriting(context: Context, finish_epochs: float | None) -> Inheriting | None:
    parent, policy = context.parent, context.policy.inheritance
    if parent is None or not (finish_epochs or context.inherits):
        return None
    settings = context.settings
    file = str((context.folder.path / PARENT_WEIGHTS).absolute())
    if finish_epochs:
        return long_inheritance(parent, file, policy, finish_epochs)
    short = short_inheritance(parent, file, settings, policy, context.loaded.images)
    return replace(short, begins_anew=context.tries_others)


def long_inheritance(parent: Parent, file: str, policy: InheritancePolicy, epochs: float) -> Inheriting:
    """How a finalist begins with the weights in `file`: fitted again, then fine-tuned for so many epochs."""
    refit = policy.refit_steps, policy.refit_images
    return Inheriting(file, parent.sha256, epochs, *refit, policy.fine_tuning, is_decided=True)


def cannot_inherit(policy: InheritancePolicy, reason: str) -> str:
    """Why a network is not trained in a short search that has others which inherit."""
    long = plain_text(policy.others_from_s / 60)
    return f"{reason}, and initial weights are for searches of {long} minutes and longer"


def short_inheritance(
    parent: Parent, file: str, settings: Settings, policy: InheritancePolicy, images: int
) -> Inheriting:
    """How a candidate begins with the weights in `file` and is tuned for the search's steps; `images` are loaded."""
    images = min(settings.images, images)
    batch = batch_on(settings.device, policy.steps * BATCH / images, images)
    return Inheriting(file, parent.sha256, round(policy.steps * batch / images, 3), tuning=policy.fine_tuning)
