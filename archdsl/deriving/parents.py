"""The trained network that another one inherits from: a model, a file of ours, or a checkpoint with its spec."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from archdsl import zoo
from archdsl.compile import Backbone, build
from archdsl.errors import ArchError, WeightsError, WrongUse
from archdsl.language.arguments import wrong_weights
from archdsl.language.document import Spec
from archdsl.load.model_header import MODEL
from archdsl.load.specs import load_spec, override
from archdsl.weights.advice import class_tensors
from archdsl.weights.checkpoint import Source, read_checkpoint
from archdsl.weights.facts import ModelFacts, read_facts
from archdsl.weights.importing import import_weights
from archdsl.weights.matching import matched
from archdsl.weights.model_file import load_model

Published: TypeAlias = tuple["Spec | str | os.PathLike[str]", Source]
"""The spec of a checkpoint (or its zoo name, or its path), and the checkpoint: a file or a state dict."""
ParentLike: TypeAlias = "Backbone | str | os.PathLike[str] | Published"


@dataclass(frozen=True)
class Parent:
    """A trained network.

    built: names of tensors that it was only built with, which its checkpoint does not have. sha256: of its file.
    """

    model: Backbone
    name: str
    facts: ModelFacts = field(default_factory=ModelFacts)
    built: frozenset[str] = frozenset()
    sha256: str | None = None


def read_parent(parent: ParentLike, key: str | None = None, image: int | tuple[int, int] | None = None) -> Parent:
    """The parent in any of its forms.

    Raises:
        WrongUse: there is no such file or zoo name.
        WeightsError: the file is no checkpoint, or its weights are not those of its spec.
        TypeError: it is something else.
    """
    if isinstance(parent, Backbone):
        return Parent(parent, parent.spec.name)
    if isinstance(parent, str | os.PathLike):
        return _own_file(Path(parent))
    if isinstance(parent, tuple) and len(parent) == 2:
        spec, source = parent
        if isinstance(spec, str | os.PathLike):
            spec = load_spec(spec)
        if not isinstance(source, Mapping | str | os.PathLike):
            raise wrong_weights("inherit", source)
        if isinstance(spec, Spec):
            return published_parent(spec, source, key, image)
    raise _wrong_parent(parent)


def _wrong_parent(value: object) -> TypeError:
    inside = next((name for name in ("module", "_orig_mod") if isinstance(getattr(value, name, None), Backbone)), None)
    remedy = f"; use its .{inside}" if inside else ""
    if isinstance(value, Spec):
        remedy = "; a spec has no weights: give (spec, checkpoint)"
    elif isinstance(value, dict):
        remedy = "; a state dict needs its spec: give (spec, state_dict)"
    wanted = "a model that archdsl.build made, the path of a .safetensors of archdsl, or a pair (spec, checkpoint)"
    return TypeError(f"inherit takes as parent {wanted}; got {_kind(value)}{remedy}")


def _kind(value: object) -> str:
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _own_file(path: Path) -> Parent:
    if str(path) in zoo.names():
        raise WrongUse(f"{path} is a published backbone without weights; give a checkpoint too: ('{path}', checkpoint)")
    if path.suffix != MODEL and not path.exists():
        load_model(path)  # says that there is no such file
    if path.suffix != MODEL:
        raise WeightsError(f"{path}: is no {MODEL} of archdsl; give its spec too: parent=(spec, {str(path)!r})")
    model = load_model(path)
    return Parent(model, path.name, read_facts(path))


def published_parent(
    spec: Spec, source: Source, key: str | None = None, image: int | tuple[int, int] | None = None
) -> Parent:
    """A checkpoint in the network of its spec, with as many classes as it has, as a classifier or for dense prediction.

    Raises:
        WeightsError: it is not of this spec in either form.
    """
    try:
        return _loaded(spec, source, key, image, dense=False)
    except WeightsError as first:
        try:
            return _loaded(spec, source, key, image, dense=True)
        except ArchError:
            raise first from None


def _loaded(spec: Spec, source: Source, key: str | None, image: int | tuple[int, int] | None, dense: bool) -> Parent:
    has_classifier = False
    if not dense:
        classes = _classes(spec, source, key)
        has_classifier = classes is not None
        if classes is not None and classes != spec.classes:
            spec = override(spec, [f"classes={classes}"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build(spec, dense).eval()
    imported = import_weights(model, source, key=key, image=image, new_head=not dense and not has_classifier)
    return Parent(model, spec.name, built=frozenset(imported.new), sha256=imported.sha256)


def _classes(spec: Spec, source: Source, key: str | None) -> int | None:
    """How many classes a checkpoint's classifier has; None where it has none."""
    with torch.device("meta"):
        model = build(spec)
    match = matched(model, source, key, new_head=False)
    theirs = (match.theirs.get(match.names[name]) for name in class_tensors(model))
    return next((len(tensor) for tensor in theirs if tensor is not None and tensor.dim()), None)


def parent_of_file(
    spec: Spec, file: Path, key: str | None = None, image: int | tuple[int, int] | None = None, named: str | None = None
) -> Parent:
    """The parent in a file, for a network of `spec`: a model of ours, or a checkpoint of a spec that is known.

    Tried are the spec that is `named`; else `spec` itself, and the published backbones.

    Raises:
        WrongUse: there is no such file or zoo name.
        WeightsError: the file is no checkpoint, or of none of these.
    """
    if named is None and file.suffix == MODEL and _is_ours(file):
        return _own_file(file)
    if named is not None:
        return published_parent(load_spec(named), file, key, image)
    tensors = read_checkpoint(file, key).tensors
    for candidate in (spec, *_published(spec)):
        if _fits(candidate, tensors):
            return published_parent(candidate, file, key, image)
    raise WeightsError(f"{file}: is neither of {spec.name} nor of a published backbone; name its spec (--parent SPEC)")


def published_name(spec: Spec, file: Path, key: str | None = None) -> str | None:
    """The zoo name of the published backbone whose checkpoint a file is; None where it is of none, or no checkpoint.

    Those whose names are of the scheme of `spec` are tried first.
    """
    try:
        tensors = read_checkpoint(file, key).tensors
    except WeightsError:
        return None
    return next((candidate.name for candidate in _published(spec) if _fits(candidate, tensors)), None)


def _is_ours(file: Path) -> bool:
    try:
        read_facts(file)
    except WeightsError:
        return False
    return True


def _published(spec: Spec) -> Iterable[Spec]:
    """The published backbones, first those whose tensors have names of the same scheme."""
    return sorted((load_spec(name) for name in zoo.names()), key=lambda each: each.weights != spec.weights)


def _fits(spec: Spec, tensors: Mapping[str, Tensor]) -> bool:
    """Whether a checkpoint has the tensors of a spec, in its number of classes and in either form."""
    for dense in (False, True):
        try:
            with torch.device("meta"):
                model = build(spec, dense)
            match = matched(model, tensors, None, new_head=False)
        except ArchError:  # other names, or no map to hand out
            return False
        there = {name: match.theirs.get(match.names[name]) for name in match.wanted}
        pairs = {name: (value.shape, match.wanted[name].shape) for name, value in there.items() if value is not None}
        classifier = set() if dense else _classifier(model)
        if not all(name in classifier or _same(name, *shapes) for name, shapes in pairs.items()):
            return False
        unexpected = match.theirs.keys() - {match.names[name] for name in match.wanted}
        if not unexpected and there.keys() - pairs.keys() <= classifier:
            return True
    return False


def _classifier(model: Backbone) -> set[str]:
    """Names of the tensors of a classifier's last Linears."""
    *_, last = model._schedule
    layers = getattr(model.head, "classifiers", ("fc",))
    return {f"{last.name}.{layer}.{key}" for layer in layers for key in ("weight", "bias")}


def _same(name: str, theirs: torch.Size, ours: torch.Size) -> bool:
    """Tables may be of another image size; a Linear may be a convolution 1x1."""
    return name.endswith(".table") or theirs == ours or theirs == (*ours, 1, 1)
