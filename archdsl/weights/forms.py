"""What the forms of one network have apart: the classifier, the same without its last layer, dense prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from archdsl.compile import Backbone, build
from archdsl.errors import WeightsError
from archdsl.load.specs import override
from archdsl.weights.names import COUNTERS


class Apart(NamedTuple):
    """Names of tensors, ours.

    left: those of the spec's classifier that a model lacks, and of its dense-prediction build where the model gives
    other maps. new: those that it has and the classifier lacks.
    """

    left: tuple[str, ...] = ()
    new: tuple[str, ...] = ()


def apart(model: Backbone) -> Apart:
    """How a model differs from the classifier of its spec; in nothing, where it is that."""
    if model.num_classes > 0:
        return Apart()
    ours, whole = (_named(built) for built in (model, blank(model, dense=False)))
    others = [*whole, *_of_every_map(model)] if model.features_only and model.spec.features else whole
    left = dict.fromkeys(name for name in others if name not in ours)
    return Apart(tuple(left), tuple(name for name in ours if name not in whole))


def _of_every_map(model: Backbone) -> list[str]:
    """The names of the dense-prediction build that gives the last map of each resolution."""
    with torch.device("meta"):
        return _named(build(override(model.spec, ["features=null"]), features_only=True))


def fresh(forms: Apart, published: Mapping[str, str], present: set[str]) -> set[str]:
    """What a classifier's checkpoint lacks for a dense-prediction build: the names that this alone has.

    Nothing, if the checkpoint has one of them (`present`): it is of such a build itself then. A norm whose published
    name a classifier's norm has as well (Dual-ViT's last) is not new.
    """
    shared = {published[name] for name in forms.left}
    alone = {name for name in forms.new if published[name] not in shared}
    return set() if alone & present else alone


def _named(model: Backbone) -> list[str]:
    return [name for name in model.state_dict() if not name.endswith(COUNTERS)]


def blank(model: Backbone, dense: bool | None = None) -> Backbone:
    """The network of a model's spec in its form, or as a dense-prediction build or a classifier, without memory."""
    with torch.device("meta"):
        built = build(model.spec, model.features_only if dense is None else dense)
        if dense is None and not model.features_only and model.num_classes == 0:
            built.reset_classifier(0)
    return built


def check_savable(model: Backbone) -> None:
    """Raises `WeightsError` where a model's tensors are not those of its spec, so that its file could not be loaded."""
    wrong = unlike_spec(model)
    if not wrong:
        return
    remedy = (
        "use reset_classifier(N) for another number of classes; save a changed network's state_dict with torch.save"
    )
    raise WeightsError(
        f"{len(wrong)} of the model's tensors are not those of its spec, so that the file could not be loaded: "
        f"{wrong[0]}; {remedy}"
    )


def unlike_spec(model: Backbone) -> tuple[str, ...]:
    """For each tensor that is not as in the model's spec, its name and both shapes."""
    expected, actual = blank(model).state_dict(), model.state_dict()
    wrong = [name for name in {**expected, **actual} if _shape(expected, name) != _shape(actual, name)]
    return tuple(f"{name} is {_shape(actual, name)} here and {_shape(expected, name)} in the spec" for name in wrong)


def _shape(state: Mapping[str, Tensor], name: str) -> str:
    return str(tuple(state[name].shape)) if name in state else "absent"


def head_header(model: Backbone) -> dict[str, str]:
    """What a file says of a classifier that was taken off; nothing where it is there."""
    if model.features_only or model.num_classes > 0:
        return {}
    return {"num_classes": "0", "global_pool": str(getattr(model.head, "global_pool", ""))}


def apply_head_header(model: Backbone, header: Mapping[str, str]) -> None:
    """Take a model's classifier off where the file that it is loaded from says so."""
    if header.get("num_classes") == "0":
        pool = header.get("global_pool")
        model.reset_classifier(0, pool if pool in getattr(model.head, "pools", ()) else None)
