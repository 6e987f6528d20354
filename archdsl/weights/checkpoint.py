"""Where a checkpoint's weights are: inside which dictionaries, and under which common prefix of their names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from archdsl.errors import WeightsError, nearest, short
from archdsl.weights.archives import Contents, read_file
from archdsl.weights.stored import StandIn, Stored

Source = Mapping[str, Any] | str | os.PathLike[str]
"""A checkpoint: what `torch.load` gives, or the path of a file."""

_CONTAINERS = ("state_dict", "model", "state_dict_ema", "model_ema")
"""Where training scripts put the weights, the one that evaluation reads first."""
_DEEPEST = 3
_WRAPPED = ("module.", "_orig_mod.", "model.")
"""What wrappers put before every name: parallel training, torch.compile, training frameworks."""
_BACKBONE = "backbone."
"""What detectors and segmenters put before the names of theirs; the rest of them is no part of it."""


class Checkpoint(NamedTuple):
    """Tensors by name. container: the keys that lead to them. others: further sets of weights beside them."""

    tensors: dict[str, Tensor]
    container: str = ""
    prefix: str = ""
    left_out: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    sha256: str | None = None


def read_checkpoint(source: Source, key: str | None = None) -> Checkpoint:
    """The weights in a checkpoint, under the names that they have there.

    Args:
        source: what `torch.load` gives, or the path of a file.
        key: the key of the weights, where the file holds several (`model_ema`, `model.state_dict`).

    Raises:
        WrongUse: there is no such file.
        WeightsError: it is no checkpoint, or has no weights there.
    """
    if isinstance(source, Mapping):
        return _found(Contents(source, lambda tensor: tensor, ""), key)._replace(sha256=None)
    path = Path(source)
    contents = read_file(path)
    try:
        return _found(contents, key)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None


def unprefixed(found: Checkpoint, wanted: Iterable[str]) -> Checkpoint:
    """The same weights without what a wrapper or a detector put before every name.

    A prefix that is part of the wanted names stays. Beside a backbone's tensors those of its detector are left out.
    """
    known = tuple(wanted)
    tensors, prefix, left_out = found.tensors, "", found.left_out
    while tensors:
        common = next((one for one in _WRAPPED if all(name.startswith(one) for name in tensors)), None)
        if common is None and any(name.startswith(_BACKBONE) for name in tensors):
            common = _BACKBONE
        if common is None or any(name.startswith(common) for name in known):
            break
        left_out += tuple(prefix + name for name in tensors if not name.startswith(common))
        tensors = {name[len(common) :]: tensor for name, tensor in tensors.items() if name.startswith(common)}
        prefix += common
    return found._replace(tensors=tensors, prefix=prefix, left_out=left_out)


def _found(contents: Contents, key: str | None) -> Checkpoint:
    places = dict(_places(contents.value)) if key is None else {key: _at(contents.value, key)}
    if not places:
        raise WeightsError(f"there are no weights in it; {_told(contents.value)}")
    container, *others = places
    tensors = {}
    for name, value in places[container].items():
        if not isinstance(name, str) or not isinstance(value, Tensor | Stored):
            raise WeightsError(f"{short(name)} is no tensor but {_kind(value)}; name the weights' own key (--key)")
        tensors[name] = contents.tensor(value)
    return Checkpoint(tensors, container, others=tuple(others), sha256=contents.sha256)


def _places(value: Any, place: str = "", depth: int = 0) -> Iterable[tuple[str, Mapping[Any, Any]]]:
    """Every set of weights with the keys that lead to it, the usual one first."""
    if not isinstance(value, Mapping) or depth > _DEEPEST:
        return
    inside = [
        found
        for name in _CONTAINERS
        for found in _places(value.get(name), f"{place}.{name}" if place else name, depth + 1)
    ]
    if inside:
        yield from inside
    elif any(isinstance(item, Tensor | Stored) for item in value.values()):
        yield place, value


def _at(value: Any, key: str) -> Mapping[Any, Any]:
    """What lies at `model.state_dict`."""
    for name in key.split("."):
        if not isinstance(value, Mapping) or name not in value:
            known = [str(item) for item in value] if isinstance(value, Mapping) else []
            raise WeightsError(f"there is no key {short(name)}; {nearest(name, known[:40])}")
        value = value[name]
    if not isinstance(value, Mapping) or not value:
        raise WeightsError(f"what lies at {short(key)} is no dictionary of weights")
    return value


def _told(value: Any) -> str:
    """What a file holds instead."""
    if not isinstance(value, Mapping):
        return f"it holds {_kind(value)}"
    keys = [short(str(key), 40) for key in list(value)[:8]]
    return f"its keys are {', '.join(keys)}{', ...' * (len(value) > 8)}" if keys else "it is an empty dictionary"


def _kind(value: Any) -> str:
    if isinstance(value, StandIn):
        return f"a {value.name}"
    return f"a {type(value).__name__}"
