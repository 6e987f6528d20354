"""A checkpoint beside the model that it is for: which tensors go where, and what to say where they do not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from torch import Tensor

from archdsl.compile import Backbone
from archdsl.errors import WeightsError
from archdsl.weights.advice import class_tensors, no_classifier, other_form, other_names, other_shapes
from archdsl.weights.checkpoint import Checkpoint, Source, read_checkpoint
from archdsl.weights.fitting import check_names, fits, other_shapes_error
from archdsl.weights.forms import Apart, apart, fresh
from archdsl.weights.names import COUNTERS, published_names, scheme_of
from archdsl.weights.resizing import Resized, built_for, resized

OWN_NAMES = "archdsl"
"""Whose names a checkpoint has that was saved from a model of ours."""


def _published(model: Backbone, names: Iterable[str]) -> dict[str, str]:
    """Our names by the published ones; by themselves where the spec names no scheme."""
    return {name: name for name in names} if scheme_of(model) is None else published_names(model, names)


class Match(NamedTuple):
    """A checkpoint beside a model: our tensors that are wanted of it, and its own, under the `names` of ours there.

    new: our tensors that it need not have. left_out: its tensors that the model has no place for, and need not have.
    """

    checkpoint: Checkpoint
    scheme: str
    names: Mapping[str, str]
    wanted: Mapping[str, Tensor]
    theirs: Mapping[str, Tensor]
    new: tuple[str, ...]
    left_out: tuple[str, ...]


def matched(model: Backbone, source: Source, key: str | None, new_head: bool) -> Match:
    """What a checkpoint offers to a model, and what the model wants of it."""
    ours = {name: tensor for name, tensor in model.state_dict().items() if not name.endswith(COUNTERS)}
    forms, scheme = apart(model), str(model.spec.weights)
    published = _published(model, [*ours, *forms.left])
    unchanged = {name: name for name in published}
    checkpoint = read_checkpoint(source, key, {OWN_NAMES: unchanged, scheme: published.values()})
    names, scheme = (
        (unchanged, OWN_NAMES) if checkpoint.names == OWN_NAMES or published == unchanged else (published, scheme)
    )
    new = class_tensors(model) & ours.keys() if new_head else set[str]()
    theirs = _given(model, checkpoint, {names[name] for name in ours}, {names[name] for name in new})
    if names is unchanged:
        _rename_shared(theirs, forms, published)
    new |= fresh(forms, published, {name for name in forms.new if names[name] in theirs})
    wanted = {name: tensor for name, tensor in ours.items() if name not in new}
    beside = {names[name] for name in forms.left} - {names[name] for name in wanted}
    return Match(
        checkpoint,
        scheme,
        names,
        wanted,
        {name: value for name, value in theirs.items() if name not in beside},
        tuple(name for name in ours if name in new),
        tuple(checkpoint.prefix + name for name in theirs if name in beside),
    )


def _rename_shared(theirs: dict[str, Tensor], forms: Apart, published: Mapping[str, str]) -> None:
    """Take for a form's own tensor the one of the other form that is published under the same name."""
    for name in forms.new:
        twin = next((other for other in forms.left if published[other] == published[name]), None)
        if name not in theirs and twin in theirs:
            theirs[name] = theirs.pop(twin)


def check(model: Backbone, match: Match) -> None:
    """Raises `WeightsError` where names are missing or left over, with what to do about it."""
    wanted = {match.names[name]: tensor for name, tensor in match.wanted.items()}
    missing, unexpected = wanted.keys() - match.theirs.keys(), match.theirs.keys() - wanted.keys()
    if missing or unexpected:
        names = [name for name in model.state_dict() if not name.endswith(COUNTERS)]
        advice = other_names(model, names, match.checkpoint.tensors)
        advice = advice or other_form(model, missing, unexpected)
        check_names(wanted, match.theirs, advice or no_classifier(model, missing, _published(model, names)))


def _given(model: Backbone, checkpoint: Checkpoint, places: set[str], beside: set[str]) -> dict[str, Tensor]:
    """What counts in a checkpoint: what the model has a place for or knows nothing of; no classifier that is new."""
    scheme = scheme_of(model)
    skipped = (COUNTERS, *(scheme.skip if scheme else ()))
    counts = {name for name in checkpoint.tensors if name in places or not name.endswith(skipped)}
    return {name: value for name, value in checkpoint.tensors.items() if name in counts - beside}


def values_for(
    model: Backbone, match: Match, image: int | tuple[int, int] | None
) -> tuple[dict[str, Tensor], tuple[Resized, ...]]:
    """What goes into the model, by our names, in its shapes and dtypes; and which tables were resized for that."""
    names = match.names
    built = None if image is None else built_for(model, image)
    values, tables, wrong = dict[str, Tensor](), list[Resized](), dict[str, str]()
    for name, ours in match.wanted.items():
        value = match.theirs[names[name]]
        if value.is_floating_point() != ours.is_floating_point() or value.is_complex():
            raise WeightsError(
                f"{names[name]}: the checkpoint has {dtype_name(value)} numbers, the model {dtype_name(ours)}"
            )
        if not fits(value, ours) and (made := resized(model, name, value, built)) is not None:
            value = made[0]
            tables.append(made[1])
        if fits(value, ours):
            values[name] = value.to(ours.dtype).reshape(ours.shape)
        else:
            wrong[name] = f"{names[name]}: the checkpoint has {tuple(value.shape)}, the model {tuple(ours.shape)}"
    if wrong:
        raise other_shapes_error(
            [*wrong.values()], other_shapes(model, [*wrong], {name: match.theirs[names[name]] for name in wrong})
        )
    return values, tuple(tables)


def dtype_name(tensor: Tensor) -> str:
    """`float32` of `torch.float32`."""
    return str(tensor.dtype).removeprefix("torch.")
