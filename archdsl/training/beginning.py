"""The network that a training begins with: new or from a file, with the data's classes, its frozen parts marked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from archdsl.compile import Backbone, build
from archdsl.data.image_sets import ImageSets
from archdsl.data.labelled import listed
from archdsl.errors import TrainingError, WeightsError, WrongUse, nearest
from archdsl.files import sha256_of
from archdsl.language.document import Spec
from archdsl.load.specs import override
from archdsl.training.normalising import IMAGENET, Normalise, normalise_of, of_data, of_file
from archdsl.weights import import_file, read_facts
from archdsl.weights.facts import ModelFacts, is_ours

if TYPE_CHECKING:
    from torch import Tensor, nn

ALL_BUT_HEAD = "all but head"
_SPELLINGS = (ALL_BUT_HEAD, "all-but-head")


class Beginning(NamedTuple):
    """A network before its first step."""

    model: Backbone
    normalise: Normalise
    parent: str | None
    """SHA-256 of the file that the weights came from."""
    has_new_head: bool
    notes: tuple[str, ...] = ()
    """What a user should know of it."""


def new_network(spec: Spec, data: ImageSets, seed: int) -> Beginning:
    """The network of a spec with initial weights, in the classes and channels of the data.

    Raises:
        WrongUse: the spec states other channels than the data has.
    """
    import torch

    if "channels" in spec.model_fields_set and spec.channels != data.channels:
        raise WrongUse(_wrong_channels(f"the spec '{spec.name}' has channels {spec.channels}", data, spec))
    torch.manual_seed(seed)
    model = build(override(spec, [f"classes={len(data.class_names)}", f"channels={data.channels}"]))
    return Beginning(model, of_data(data), None, has_new_head=True)


def network_from(spec: Spec, file: Path, data: ImageSets, seed: int) -> Beginning:
    """The network of a spec with the weights of a file of ours or of a published checkpoint.

    Its head keeps the classes that it has in common with the data, by name; the others are new.

    Raises:
        WeightsError: the file holds no weights of this network.
        WrongUse: the network reads other channels than the data has.
    """
    if spec.channels != data.channels:
        raise WrongUse(_wrong_channels(f"the weights read {spec.channels} channels", data, spec))
    parent = sha256_of(file)
    facts = _facts(file)
    if facts is not None and facts.classes:
        model, _ = import_file(override(spec, [f"classes={len(facts.classes)}"]), file, seed=seed)
        has_new_head, notes = _with_classes(model, facts.classes, data.class_names, seed)
    else:
        model, has_new_head, notes = _by_number(spec, file, data, seed)
    normalise = of_data(data) if facts is None else of_file(data, facts.preprocessing) or of_data(data)
    if facts is None and data.channels == len(IMAGENET[0]) and spec.weights is not None:
        normalise = normalise_of(data, *IMAGENET)
    return Beginning(model, normalise, parent, has_new_head, notes)


def _wrong_channels(rule: str, data: ImageSets, spec: Spec) -> str:
    remedy = (
        f"use --set channels={data.channels}" if rule.startswith("the spec") else "give weights for as many channels"
    )
    return f"{rule}, but the data {data.name} has {data.channels}; {remedy}, or name other data"


def _facts(file: Path) -> ModelFacts | None:
    """What a file of ours says of itself; None for a published checkpoint."""
    return read_facts(file) if is_ours(file) else None


def _by_number(spec: Spec, file: Path, data: ImageSets, seed: int) -> tuple[Backbone, bool, tuple[str, ...]]:
    """A file that names no classes: its head is kept where it has as many as the data."""
    classes = len(data.class_names)
    if spec.classes == classes:
        try:
            model, _ = import_file(spec, file, seed=seed)
        except WeightsError:
            pass
        else:
            rule = f"{file} names no classes; its {classes:,} are taken to be the data's, in the same order"
            return model, False, (rule,)
    model, _ = import_file(spec, file, classes=classes, seed=seed)
    return model, True, (f"the head is new: {file} names no classes, and the data has {classes:,}",)


def _with_classes(
    model: Backbone, theirs: Sequence[str], ours: Sequence[str], seed: int
) -> tuple[bool, tuple[str, ...]]:
    """Bring the head to the data's classes, by name; whether classes are new, and what is said of it."""
    import torch

    if tuple(theirs) == tuple(ours):
        return False, ()
    head = model.head
    names: tuple[str, ...] = getattr(head, "classifiers", ("fc",))
    before = {name: _rows(head, name) for name in names}
    shared = [name for name in ours if name in theirs]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model.reset_classifier(len(ours))
        for name in names:
            for new, old in zip(_rows(head, name), before[name], strict=True):
                for label in shared:
                    new[ours.index(label)] = old[theirs.index(label)]
    if len(shared) == len(ours):
        dropped = f"; {len(theirs) - len(ours):,} are left out" if len(theirs) > len(ours) else ""
        return False, (f"the head's classes are put into the order of the data's{dropped}",)
    unknown = [name for name in ours if name not in theirs]
    kept = f"{len(shared):,} classes keep their weights" if shared else "none of the weights' classes is in the data"
    return True, (f"the head is replaced: {kept}, new: {listed(unknown)}",)


def _rows(head: Tensor | object, name: str) -> tuple[Tensor, ...]:
    """Weight and bias of a classifier, (classes, C) and (classes,), or none where the head has none of that name."""
    classifier = getattr(head, name, None)
    tensors = (getattr(classifier, "weight", None), getattr(classifier, "bias", None))
    return tuple(tensor.detach() for tensor in tensors if tensor is not None)


def frozen_nodes(model: Backbone, parts: Sequence[str], has_new_head: bool) -> tuple[str, ...]:
    """The nodes that `--freeze` names, in the order of the network; their parameters get no gradients any more.

    Raises:
        WrongUse: there is no such node, nothing would be left to train, or a new head would stay as it is.
    """
    nodes = [name for name, _ in model.named_children()]
    head = next(name for name, module in model.named_children() if module is model.head)
    chosen = set[str]()
    for part in parts:
        if part in _SPELLINGS:
            chosen |= {name for name in nodes if name != head}
        elif part in nodes:
            chosen.add(part)
        else:
            remedy = nearest(part, [*nodes, ALL_BUT_HEAD])
            raise WrongUse(f"cannot freeze '{part}': the network has no node of that name; {remedy}")
    if head in chosen and has_new_head:
        raise WrongUse(f"the head '{head}' is new, and cannot be frozen; leave it out of --freeze")
    if chosen == set(nodes):
        raise WrongUse("every node is frozen, so nothing is left to train; leave one out of --freeze")
    for name, module in model.named_children():
        if name in chosen:
            module.requires_grad_(False)
        elif chosen and name != nodes[0]:
            module.register_forward_pre_hook(_with_gradients)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise TrainingError("the nodes that are not frozen have no parameters; leave one out of --freeze")
    return tuple(name for name in nodes if name in chosen)


def _with_gradients(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Inputs that have gradients: without, torch's GroupNorm crashes the process on maps in the memory layout NHWC."""
    import torch

    if not torch.is_grad_enabled():
        return inputs
    return tuple(x if x.requires_grad else x.detach().requires_grad_() for x in inputs)


def to_training_mode(model: Backbone, frozen: Sequence[str]) -> None:
    """Training mode, but for frozen nodes: their norms keep their statistics, and nothing is dropped."""
    model.train()
    for name, module in model.named_children():
        if name in frozen:
            module.eval()
