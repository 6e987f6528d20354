"""`archdsl.inherit`: the weights of a trained network taken over into another one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from archdsl.compile import Backbone
from archdsl.deriving.axes import Axis, absent, same
from archdsl.deriving.counterparts import NodePair, node_pairs
from archdsl.deriving.fitting import RefitSettings
from archdsl.deriving.parents import Parent, ParentLike, read_parent
from archdsl.deriving.refitting import check_images, check_runs, refit_blocks
from archdsl.deriving.report import Inheritance, InheritedTensor, RefittedBlock
from archdsl.deriving.walking import Taken, Walk
from archdsl.errors import WeightsError, WrongUse
from archdsl.language.arguments import wrong_model
from archdsl.optimizing.forms import FORMS
from archdsl.weights.forms import unlike_spec
from archdsl.weights.names import COUNTERS


def inherit(
    model: Backbone,
    parent: ParentLike,
    *,
    refit: Tensor | None = None,
    steps: int = 120,
    lr: float = 3e-3,
    batch: int = 32,
    seed: int = 0,
    classes: Sequence[str] | None = None,
    parent_classes: Sequence[str] | None = None,
    key: str | None = None,
    image: int | tuple[int, int] | None = None,
) -> Inheritance:
    """Take over the weights of a trained network into another one, as far as the two correspond.

    Nodes are matched by their ids, else by their kind and order; modules by what they hold. Equal tensors are copied.
    Where the parent has more blocks, the first and the last are kept and those between evenly; where it has fewer, the
    additional ones start as the identity. Narrower tensors are even slices and whole heads (arXiv:2311.18823), with the
    same channels wherever one is read or written. Wider ones keep the old part and start so that the function is kept:
    exactly where the new width is a multiple of the old one, nearly elsewhere. Tables are resized. A mixer of another
    type is new. Both networks keep their mode, dtype and device; where an error is raised, the model is unchanged.

    With images the kept blocks, merges and a changed stem are then fitted again from front to back, each on its own
    inputs inside the new network, to the parent's activation behind the removed blocks that follow it; no labels are
    needed. Batch norm is measured again. A block whose output has another shape than the parent's is left as it is.

    Args:
        model: what `build` gave; it is changed in place.
        parent: a model, the path of a `.safetensors` of archdsl, or a pair of a spec (or its name) and a published
            checkpoint, a file or a state dict, with any number of classes.
        refit: images (N, channels, H, W) of the size that the model's spec has, normalised as the parent reads them;
            some hundreds to 2,000. They are held with a few maps of one block at a time.
        steps: of each block's fit; 40 for a quick one.
        lr: peak rate of the fit, AdamW with warm-up and cosine.
        batch: images of a step.
        seed: orders the images; equal seeds give equal weights.
        classes: names in the order of the model's logits. Rows of the classifier are then matched by name.
        parent_classes: the parent's names; by default what its file says.
        key: where a checkpoint has several sets of weights, as in `import_weights`.
        image: the image size that a checkpoint was made for, as in `import_weights`.

    Raises:
        WrongUse: a model without memory or in its inference form, images or settings that do not hold, no such file.
        WeightsError: the parent's weights are not those of its spec, or it reads other channels than the model.
        TypeError: the model or the parent is something else.
    """
    _check_model(model)
    settings = RefitSettings(steps=steps, lr=lr, batch=batch, seed=seed)
    settings.check()
    source = read_parent(parent, key, image)
    if refit is not None:
        check_images(model, refit)
        check_runs(source.model, refit)
    return inherit_from(model, source, refit, settings, classes, parent_classes)


def inherit_from(
    model: Backbone,
    source: Parent,
    refit: Tensor | None = None,
    settings: RefitSettings | None = None,
    classes: Sequence[str] | None = None,
    parent_classes: Sequence[str] | None = None,
    has_new_classes: bool = False,
    pairs: Sequence[NodePair] | None = None,
    fitted: Mapping[str, Tensor] | None = None,
) -> Inheritance:
    """As `inherit`, from a parent that was read; with `has_new_classes` the classifier is new whatever its size.

    `pairs` say which nodes and blocks correspond, where that is known otherwise than by their names and kinds. `fitted`
    are tensors that are taken in the place of what the parent gives.
    """
    _check_pair(model, source.model)
    names = parent_classes if parent_classes is not None else source.facts.classes
    rows, notes = _class_rows(model, source.model, classes, names)
    if has_new_classes and rows is not None:
        rows, notes = absent(model.num_classes, source.model.num_classes), ["classifier: new, as asked for"]
    pairs = node_pairs(model, source.model) if pairs is None else pairs
    taken = Walk(model, source.model, rows, source.built).run(pairs)
    for name, tensor in (fitted or {}).items():
        taken.values[name] = taken.values[name]._replace(value=tensor, note="fitted")
    state = dict(_state(model))
    with torch.no_grad():
        for name, tensor in state.items():
            tensor.copy_(taken.values[name].value)
    refits: tuple[RefittedBlock, ...] = ()
    if refit is not None:
        refits = refit_blocks(model, source.model, pairs, refit, settings or RefitSettings())
    shapes = {name: tuple(tensor.shape) for name, tensor in _state(source.model)}
    tensors = tuple(_tensor(name, tensor, taken, shapes) for name, tensor in state.items())
    report = Inheritance(model.spec.name, source.name, tensors, _dropped(source, taken), _blocks(model, pairs), refits)
    return _noted(report, notes, source.model, model)


def _noted(report: Inheritance, notes: list[str], parent: Backbone, model: Backbone) -> Inheritance:
    theirs, ours = next(parent.parameters()), next(model.parameters())
    if theirs.dtype != ours.dtype:
        notes = [*notes, f"cast from {theirs.dtype} to {ours.dtype}"]
    if report.is_empty:
        notes = [*notes, "nothing could be inherited: the two networks have no tensor in common"]
    return Inheritance(
        report.name, report.parent, report.tensors, report.dropped, report.blocks, report.refits, tuple(notes)
    )


def _check_model(model: Backbone) -> None:
    if not isinstance(model, Backbone):
        raise wrong_model("inherit", model)
    if any(tensor.is_meta for tensor in model.state_dict().values()):
        raise WrongUse("inherit needs a model with memory; this one is on the meta device: call model.to_empty first")
    forms = tuple(FORMS)
    if any(isinstance(module, forms) and type(module) not in FORMS for module in model.modules()):
        raise WrongUse("inherit changes weights, which an inference form has made tables of; inherit, then optimize")


def _check_pair(model: Backbone, parent: Backbone) -> None:
    for which, each in (("model", model), ("parent", parent)):
        if wrong := unlike_spec(each):
            raise WeightsError(f"{len(wrong)} of the {which}'s tensors are not those of its spec: {wrong[0]}")
    if any(tensor.is_meta for tensor in parent.state_dict().values()):
        raise WrongUse("the parent is on the meta device, without weights; load them first")
    if model is parent:
        raise WrongUse("the model and the parent are the same object; build a second one")
    if model.spec.channels != parent.spec.channels:
        raise WeightsError(
            f"the model reads {model.spec.channels} channels, the parent {parent.spec.channels}; "
            f"set channels={parent.spec.channels}"
        )


def _class_rows(
    model: Backbone, parent: Backbone, ours: Sequence[str] | None, theirs: Sequence[str] | None
) -> tuple[Axis | None, list[str]]:
    """The rows of the classifier: by name where both know names, as they are where the numbers agree, else new."""
    if model.num_classes == 0 or parent.num_classes == 0:
        return None, []
    count, of = model.num_classes, parent.num_classes
    for names, number, whose in ((ours, count, "classes"), (theirs, of, "parent_classes")):
        if names is not None and (isinstance(names, str) or len(names) != number or len(set(names)) != number):
            got = "a text" if isinstance(names, str) else f"{len(names)}, {len(set(names))} of them different"
            raise WrongUse(f"{whose} must be {number} different names; got {got}")
    if ours is not None and theirs is not None:
        places = {name: place for place, name in enumerate(theirs)}
        index = torch.tensor([places.get(name, -1) for name in ours])
        matched = int((index >= 0).sum())
        return Axis(index, of, label="matched by name"), [f"classifier: {matched} of {count} classes matched by name"]
    if count == of:
        return same(count), []
    return absent(count, of), [f"classifier: new, for {count} classes instead of {of}"]


def _state(model: Backbone) -> Iterator[tuple[str, Tensor]]:
    """All tensors but counters, which are those that `Walk` gives values for."""
    for name, tensor in model.state_dict(keep_vars=False).items():
        if not name.endswith(COUNTERS):
            yield name, tensor


def _parameters(model: Backbone) -> Mapping[str, int]:
    return {name: parameter.numel() for name, parameter in model.named_parameters()}


def _tensor(name: str, tensor: Tensor, taken: Taken, shapes: Mapping[str, tuple[int, ...]]) -> InheritedTensor:
    made, source = taken.values[name], taken.sources.get(name)
    shape = shapes[source] if source is not None else None
    return InheritedTensor(
        name,
        made.state,
        tuple(tensor.shape),
        tensor.numel() if not name.endswith(_STATISTICS) else 0,
        source,
        shape,
        made.note,
    )


_STATISTICS = (".running_mean", ".running_var")


def _dropped(source: Parent, taken: Taken) -> tuple[InheritedTensor, ...]:
    used = set(taken.sources.values()) | source.built
    counts = _parameters(source.model)
    return tuple(
        InheritedTensor(name, "dropped", tuple(tensor.shape), counts.get(name, 0))
        for name, tensor in _state(source.model)
        if name not in used
    )


def _blocks(model: Backbone, pairs: Sequence[NodePair]) -> tuple[tuple[str, str | None], ...]:
    """Every node, and under a stage every block, with the parent's."""
    parts: list[tuple[str, str | None]] = []
    for pair in pairs:
        blocks = [
            (f"{pair.name}.blocks.{place}", f"{pair.parent}.blocks.{source}" + " (identity)" * (place in pair.extra))
            for place, source in enumerate(pair.blocks)
        ]
        state = [name for name, _ in _state(model) if name.startswith(f"{pair.name}.")]
        if not pair.blocks or any(f"{pair.name}.blocks." not in name for name in state):
            parts.append((pair.name, pair.parent))
        parts += blocks
    return tuple(parts)
