"""Checkpoints into a model: whole or not at all."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from archdsl.compile import Backbone, build
from archdsl.errors import WeightsError
from archdsl.language.arguments import wrong_model, wrong_weights
from archdsl.language.document import Spec
from archdsl.load.specs import override
from archdsl.weights.advice import class_tensors, no_classifier, other_form, other_names, other_shapes
from archdsl.weights.checkpoint import Checkpoint, Source, read_checkpoint
from archdsl.weights.fitting import check_names, fits, other_shapes_error
from archdsl.weights.forms import Apart, apart, fresh
from archdsl.weights.names import COUNTERS, published_names, scheme_of
from archdsl.weights.resizing import Resized, built_for, resized

OWN_NAMES = "archdsl"
"""Whose names a checkpoint has that was saved from a model of ours."""


class Imported(NamedTuple):
    """What was loaded, and what was done to it.

    tensors: how many. names: the scheme of published names, or "archdsl" for our own. container and prefix: where the
    weights were. others: further sets of weights in the file. left_out: tensors, by the checkpoint's names, that the
    model has no place for: a classifier where it has none, what stands beside a detector's backbone or a wrapped model.
    resized: tables from another image size. cast: tensors of another dtype than the model's, by dtype. new: tensors
    that keep their initial values: of a new classifier, or of norms that only dense prediction has. not_finite: tensors
    with NaN or infinities. sha256: of the file.
    """

    tensors: int
    names: str
    container: str = ""
    prefix: str = ""
    others: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    resized: tuple[Resized, ...] = ()
    cast: Mapping[str, int] = {}
    new: tuple[str, ...] = ()
    not_finite: tuple[str, ...] = ()
    sha256: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The same facts for programs."""
        return {**self._asdict(), "resized": [one._asdict() for one in self.resized]}


def import_weights(
    model: Backbone,
    source: Source,
    *,
    key: str | None = None,
    image: int | tuple[int, int] | None = None,
    new_head: bool = False,
) -> Imported:
    """Load a checkpoint, under the published names of the spec's `weights` or under ours.

    Nothing may be missing and nothing left over; derived buffers and counters are skipped by name. A model without a
    classifier (features_only, or reset to 0 classes) leaves out a classifier's, and norms that only dense prediction
    has keep their values where the checkpoint has none of them. Values take the dtype of the model. A table that was
    made for another image size is resized (bicubically; position embeddings bilinearly), a published 1x1 convolution
    becomes a Linear, and no other tensor changes its shape.

    Args:
        model: the model to load into.
        source: what `torch.load` gives, or the path of a file. A file is read as data: what its pickle names is never
            imported or run. Training scripts' dictionaries and wrappers' prefixes are seen through.
        key: the key of the weights, where a file holds several sets: dotted where it is nested (`model.state_dict`), or
            the prefix of their names (`teacher`).
        image: the image size that the checkpoint was made for, a side or (height, width); needed only where it was not
            square and the shape of a table does not tell.
        new_head: leave what depends on the number of classes as it is in the model, whatever the checkpoint has.

    Raises:
        WrongUse: there is no such file.
        WeightsError: names that are missing or unexpected, with the nearest of the other side, wrong shapes, or a file
            that is no checkpoint of weights. The model is unchanged then.
        TypeError: the model, the source or the key is something else.
    """
    if not isinstance(model, Backbone):
        raise wrong_model("import_weights", model)
    if not isinstance(source, Mapping | str | os.PathLike):
        raise wrong_weights("import_weights", source)
    if key is not None and not isinstance(key, str):
        raise TypeError(f"key is a text, such as 'ema.state_dict'; got {key!r}")
    match = _matched(model, source, key, new_head)
    found, names, given = match.found, match.names, match.given
    _check(model, match)
    values, tables = _values(model, match, image)
    with torch.no_grad():
        for name, value in values.items():
            match.wanted[name].copy_(value)
    others = [name for name, own in match.wanted.items() if given[names[name]].dtype != own.dtype]
    return Imported(
        len(values),
        match.scheme,
        found.container,
        found.prefix,
        found.others,
        match.left_out + found.left_out,
        tables,
        dict(Counter(_dtype(given[names[name]]) for name in others)),
        match.new,
        tuple(name for name, value in values.items() if not torch.isfinite(value).all()),
        found.sha256,
    )


def import_file(
    spec: Spec,
    source: Source,
    *,
    key: str | None = None,
    image: int | tuple[int, int] | None = None,
    classes: int | None = None,
    features_only: bool = False,
    seed: int = 0,
) -> tuple[Backbone, Imported]:
    """A new model with a checkpoint's weights, as `import_weights`; torch's global random state is left alone.

    With `classes` it has a new classifier for so many, with the initial values of the document's `init` and of `seed`.
    """
    if classes is not None:
        spec = override(spec, [f"classes={classes}"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build(spec, features_only)
    return model, import_weights(model, source, key=key, image=image, new_head=classes is not None)


def dense_from_classifier(spec: Spec, tensors: Mapping[str, Tensor], dense: bool, path: Path) -> Backbone:
    """The dense-prediction build with the weights of a file of ours that holds a classifier.

    Raises:
        WeightsError: the file holds such a build itself (`dense`), from which no classifier follows, or does not fit.
    """
    if dense:
        raise WeightsError(f"{path}: holds a dense-prediction build, which has no classifier; leave out features_only")
    with torch.random.fork_rng(devices=[]):
        model = build(spec, features_only=True)
    floating = next((tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()), torch.float32)
    imported = import_weights(model.to(floating), tensors)
    if imported.new:
        names = ", ".join(sorted({name.rpartition(".")[0] for name in imported.new}))
        warnings.warn(f"{path}: a classifier's file has no norms for dense prediction, new: {names}", stacklevel=3)
    return model


def _published(model: Backbone, names: Iterable[str]) -> dict[str, str]:
    """Our names by the published ones; by themselves where the spec names no scheme."""
    return {name: name for name in names} if scheme_of(model) is None else published_names(model, names)


class _Match(NamedTuple):
    """A checkpoint beside a model: our tensors that are wanted of it, and its own, under the `names` of ours there.

    new: our tensors that it need not have. left_out: its tensors that the model has no place for, and need not have.
    """

    found: Checkpoint
    scheme: str
    names: Mapping[str, str]
    wanted: Mapping[str, Tensor]
    given: Mapping[str, Tensor]
    new: tuple[str, ...]
    left_out: tuple[str, ...]


def _matched(model: Backbone, source: Source, key: str | None, new_head: bool) -> _Match:
    """What a checkpoint offers to a model, and what the model wants of it."""
    ours = {name: tensor for name, tensor in model.state_dict().items() if not name.endswith(COUNTERS)}
    forms, scheme = apart(model), str(model.spec.weights)
    published = _published(model, [*ours, *forms.left])
    own = {name: name for name in published}
    found = read_checkpoint(source, key, {OWN_NAMES: own, scheme: published.values()})
    names, scheme = (own, OWN_NAMES) if found.names == OWN_NAMES or published == own else (published, scheme)
    new = class_tensors(model) & ours.keys() if new_head else set[str]()
    given = _given(model, found, {names[name] for name in ours}, {names[name] for name in new})
    if names is own:
        _rename_shared(given, forms, published)
    new |= fresh(forms, published, {name for name in forms.new if names[name] in given})
    wanted = {name: tensor for name, tensor in ours.items() if name not in new}
    beside = {names[name] for name in forms.left} - {names[name] for name in wanted}
    return _Match(
        found,
        scheme,
        names,
        wanted,
        {name: value for name, value in given.items() if name not in beside},
        tuple(name for name in ours if name in new),
        tuple(found.prefix + name for name in given if name in beside),
    )


def _rename_shared(given: dict[str, Tensor], forms: Apart, published: Mapping[str, str]) -> None:
    """Take for a form's own tensor the one of the other form that is published under the same name."""
    for name in forms.new:
        twin = next((other for other in forms.left if published[other] == published[name]), None)
        if name not in given and twin in given:
            given[name] = given.pop(twin)


def _check(model: Backbone, match: _Match) -> None:
    """Raises `WeightsError` where names are missing or left over, with what to do about it."""
    wanted = {match.names[name]: tensor for name, tensor in match.wanted.items()}
    missing, unexpected = wanted.keys() - match.given.keys(), match.given.keys() - wanted.keys()
    if missing or unexpected:
        names = [name for name in model.state_dict() if not name.endswith(COUNTERS)]
        advice = other_names(model, names, match.found.tensors)
        advice = advice or other_form(model, missing, unexpected)
        check_names(wanted, match.given, advice or no_classifier(model, missing, _published(model, names)))


def _given(model: Backbone, found: Checkpoint, places: set[str], beside: set[str]) -> dict[str, Tensor]:
    """What counts in a checkpoint: what the model has a place for or knows nothing of; no classifier that is new."""
    scheme = scheme_of(model)
    skipped = (COUNTERS, *(scheme.skip if scheme else ()))
    counts = {name for name in found.tensors if name in places or not name.endswith(skipped)}
    return {name: value for name, value in found.tensors.items() if name in counts - beside}


def _values(
    model: Backbone, match: _Match, image: int | tuple[int, int] | None
) -> tuple[dict[str, Tensor], tuple[Resized, ...]]:
    """What goes into the model, by our names, in its shapes and dtypes; and which tables were resized for that."""
    names = match.names
    built = None if image is None else built_for(model, image)
    values, tables, wrong = dict[str, Tensor](), list[Resized](), dict[str, str]()
    for name, own in match.wanted.items():
        value = match.given[names[name]]
        if value.is_floating_point() != own.is_floating_point() or value.is_complex():
            raise WeightsError(f"{names[name]}: the checkpoint has {_dtype(value)} numbers, the model {_dtype(own)}")
        if not fits(value, own) and (made := resized(model, name, value, built)) is not None:
            value = made[0]
            tables.append(made[1])
        if fits(value, own):
            values[name] = value.to(own.dtype).reshape(own.shape)
        else:
            wrong[name] = f"{names[name]}: the checkpoint has {tuple(value.shape)}, the model {tuple(own.shape)}"
    if wrong:
        raise other_shapes_error(
            [*wrong.values()], other_shapes(model, [*wrong], {name: match.given[names[name]] for name in wrong})
        )
    return values, tuple(tables)


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
