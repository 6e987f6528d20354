"""What a network is, as numbers: every field of its spec, so that a block that is added brings its own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from archdsl.json_types import Json, JsonObject
from archdsl.search.predict.ranks import Floats, standardised

Fields = Mapping[str, float]
_IS = " is "


def fields(document: JsonObject) -> Fields:
    """By place: the logarithm of each number, and 1 for each word that stands there. `document` is a spec as JSON."""
    found = dict[str, float]()
    nodes = document["nodes"]
    for node in nodes if isinstance(nodes, list) else ():
        if isinstance(node, dict):
            found.update(_of({name: value for name, value in node.items() if name != "id"}, str(node["id"])))
    return found


def field_columns(seen: Sequence[Fields]) -> Floats:
    """(networks, fields): of mean 0 and variance 1; without those in which all are alike.

    A number that a network does not have is taken for the mean of the others, a word for absent.
    """
    columns = [standardised(_column(name, seen)) for name in sorted({name for found in seen for name in found})]
    kept = [column for column in columns if column.any()]
    return np.column_stack(kept) if kept else np.zeros((len(seen), 0))


def _of(value: Json, place: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for name, own in value.items():
            yield from _of(own, f"{place}.{name}")
    elif isinstance(value, list | tuple):
        for index, own in enumerate(value):
            yield from _of(own, f"{place}.{index}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield place, math.copysign(math.log1p(abs(value)), value)
    else:
        yield f"{place}{_IS}{value}", 1.0


def _column(name: str, seen: Sequence[Fields]) -> Floats:
    if _IS in name:
        return np.array([found.get(name, 0.0) for found in seen])
    known = [found[name] for found in seen if name in found]
    return np.array([found.get(name, sum(known) / len(known)) for found in seen])
