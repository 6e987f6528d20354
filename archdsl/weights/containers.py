"""The dictionaries of tensors in what a checkpoint holds, and what a key of the user names among them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeGuard

import numpy as np
from torch import Tensor, nn

from archdsl.errors import WeightsError, nearest, short
from archdsl.weights.contents import Held, TensorLike
from archdsl.weights.pickled import Array, Key, StandIn, Stored

Place = tuple[str, ...]
"""The keys that lead to a value."""

_DEEPEST, _MOST_ITEMS = 8, 64
"""Keys that lead to a set of weights; items of a list that are looked at."""
USUAL = ("state_dict", "model", "model_state_dict", "model_state", "module", "net", "network", "weights", "params")
"""Where training scripts put the weights, the likeliest first."""
_AVERAGES = re.compile(
    r"(^|[._-])(ema|teacher|averaged?|avg|swa|momentum|target|shadow)([._-]|$)|(^|\.)encoder_k(\.|$)", re.IGNORECASE
)


def is_average(place: str) -> bool:
    """Whether a place is called as running averages of the weights are: `model_ema`, `teacher.`, `state_dict_ema`."""
    return _AVERAGES.search(place) is not None


def is_tensor(value: Held) -> TypeGuard[TensorLike]:
    """Whether a value holds numbers that a tensor can: torch's, numpy's, or one that a file describes."""
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind in "fiub" and value.dtype.itemsize <= 8
    return isinstance(value, Tensor | Stored) or (isinstance(value, Array) and value.is_numeric)


def tensors_in(values: Mapping[Key, Held]) -> dict[str, TensorLike]:
    """The entries of a dictionary that are tensors under a name."""
    return {name: value for name, value in values.items() if isinstance(name, str) and is_tensor(value)}


def sets_in(value: Held, place: Place = ()) -> Iterator[tuple[Place, Mapping[Key, Held]]]:
    """Every dictionary that holds tensors by name, with the keys that lead to it; none twice."""
    seen: dict[int, Held] = {}  # with the value, so that no other gets its id

    def walk(value: Held, place: Place, depth: int) -> Iterator[tuple[Place, Mapping[Key, Held]]]:
        value = _plain(value)
        inside = _items(value)
        if not inside or depth > _DEEPEST or id(value) in seen:
            return
        seen[id(value)] = value
        if isinstance(value, Mapping) and tensors_in(value):
            yield place, value
        for key, item in inside:
            yield from walk(item, (*place, key), depth + 1)

    yield from walk(value, place, 0)


def held(values: Mapping[str, Held] | Mapping[str, TensorLike]) -> dict[Key, Held]:
    """The entries of a dictionary as one in which every kind of key may stand."""
    return dict[Key, Held](values.items())


def _plain(value: Held) -> Held:
    """A module's tensors by name; any other value as it is."""
    return held(value.state_dict()) if isinstance(value, nn.Module) else value


def _items(value: Held) -> list[tuple[str, Held]]:
    if isinstance(value, Mapping):
        return [(str(key), item) for key, item in value.items() if isinstance(key, str | int)]
    if isinstance(value, list | tuple) and not isinstance(value, Stored | StandIn):
        return [(str(index), item) for index, item in enumerate(value[:_MOST_ITEMS])]
    return []


def at(value: Held, key: str) -> tuple[Place, Held]:
    """What lies at `model.state_dict`: under these keys, or the names that begin so.

    Raises:
        WeightsError: there is nothing.
    """
    inside = _inside(value, key.split("."))
    if inside is not None:
        return inside
    deeper = [(place, _named(values, key)) for place, values in sets_in(value)]
    named = [((*place, key), values) for place, values in deeper if values]
    if len(named) != 1:
        names = [name for name, _ in _items(value)]
        raise WeightsError(f"there is no key {short(key)}; {nearest(key, names[:40])}")
    place, values = named[0]
    return place, held(values)


def _inside(value: Held, parts: Sequence[str]) -> tuple[Place, Held] | None:
    if not parts:
        return (), value
    items = dict(_items(_plain(value)))
    for count in range(len(parts), 0, -1):  # a key may have dots itself
        name = ".".join(parts[:count])
        if name in items and (deeper := _inside(items[name], parts[count:])) is not None:
            return (name, *deeper[0]), deeper[1]
    named = _named(held(items), ".".join(parts))
    return ((".".join(parts),), held(named)) if named else None


def _named(values: Mapping[Key, Held], prefix: str) -> dict[str, TensorLike]:
    """The tensors under names that begin so, by the rest of their names."""
    start = prefix + "."
    return {name[len(start) :]: item for name, item in tensors_in(values).items() if name.startswith(start)}


def kind(value: Held) -> str:
    """What a value is, for a message."""
    return f"a {value.name if isinstance(value, StandIn) else type(value).__name__}"


def what_instead(value: Held) -> str:
    """What a checkpoint holds instead of weights."""
    if not isinstance(value, Mapping):
        return f"it holds {kind(value)}"
    keys = [short(str(key), 40) for key in list(value)[:8]]
    return f"its keys are {', '.join(keys)}{', ...' * (len(value) > 8)}" if keys else "it is an empty dictionary"
