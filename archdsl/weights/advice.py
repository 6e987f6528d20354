"""What to do about a checkpoint that does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from archdsl.compile import Backbone, build
from archdsl.errors import SpecError, WeightsError
from archdsl.families.schemes import SCHEMES
from archdsl.load.specs import override
from archdsl.weights.forms import apart, blank
from archdsl.weights.names import names_by, published_names, scheme_of

_NEW_HEAD = "ask for a new one (new_head=True, archdsl import --classes N)"


def _mostly(names: Iterable[str], tensors: Mapping[str, Tensor]) -> bool:
    """Whether more than half of the names are there."""
    are_there = [name in tensors for name in names]
    return sum(are_there) * 2 > len(are_there)


def other_names(model: Backbone, ours: Iterable[str], tensors: Mapping[str, Tensor]) -> str:
    """Whose names a checkpoint has, where they are not those of the spec's `weights`."""
    names = {scheme: names_by(SCHEMES[scheme], model, ours).values() for scheme in SCHEMES}
    theirs = [scheme for scheme in SCHEMES if _mostly(names[scheme], tensors)]
    if not theirs or model.spec.weights in theirs:
        return ""
    return f"its names are those of '{theirs[0]}'; set weights={theirs[0]}"


def other_shapes(model: Backbone, wrong: Sequence[str], tensors: Mapping[str, Tensor]) -> str:
    """The remedy where only the classifier is wrong, or a table whose shape does not tell its size."""
    if not model.features_only and class_tensors(model).issuperset(wrong):
        classes = tensors[wrong[0]].shape[0] if tensors[wrong[0]].dim() else 1
        return f"set classes={classes} to keep its classifier, or {_NEW_HEAD}"
    if any(name.endswith(".table") for name in wrong):
        how = "image=, archdsl import --image HxW"
        return f"say which image size its tables were made for, if it was not square ({how})"
    return ""


def no_classifier(model: Backbone, missing: Iterable[str], published: Mapping[str, str]) -> str:
    """The remedy where nothing but the classifier is missing."""
    lacking = set(missing)
    if model.features_only or not lacking:
        return ""
    names = class_tensors(model)
    if lacking <= names | {published[name] for name in names if name in published}:
        return f"the checkpoint has no classifier; {_NEW_HEAD}"
    return ""


def other_form(model: Backbone, missing: Iterable[str], unexpected: Iterable[str]) -> str:
    """The remedy where a classifier is given what a dense-prediction build has. The names are the checkpoint's."""
    if model.features_only or model.num_classes == 0:
        return ""
    try:
        dense = blank(model, dense=True)
    except SpecError:  # it has no map to hand out
        return ""
    forms = apart(dense)
    left, new = set(forms.left), set(forms.new)
    if scheme_of(model) is not None:
        left, new = left | set(published_names(model, left).values()), new | set(published_names(dense, new).values())
    fits = set(unexpected) and new.issuperset(unexpected) and left.issuperset(missing)
    return (
        "the checkpoint is of a dense-prediction build; load it as one (features_only=True, --features-only)"
        if fits
        else ""
    )


def class_tensors(model: Backbone) -> set[str]:
    """Names of the tensors whose shape depends on the number of classes.

    Raises:
        WeightsError: a dense-prediction build, which has none.
    """
    if model.features_only:
        raise WeightsError("a backbone built with features_only has no classifier; leave out classes or features_only")
    classes = model.spec.classes
    here, there = (_shapes(model, number) for number in (classes, classes - 1 if classes > 1 else 2))
    return {name for name in here if here[name] != there[name]}


def _shapes(model: Backbone, classes: int) -> dict[str, torch.Size]:
    with torch.device("meta"):
        built = build(override(model.spec, [f"classes={classes}"]))
    return {name: tensor.shape for name, tensor in built.state_dict().items()}
