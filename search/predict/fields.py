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
    values_by_place = dict[str, float]()
    nodes = document["nodes"]
    for node in nodes if isinstance(nodes, list) else ():
        if isinstance(node, dict):
            values_by_place.update(_of({name: value for name, value in node.items() if name != "id"}, str(node["id"])))
    return values_by_place


def described(document: JsonObject, params: float, macs: float) -> Fields:
    """What a network is, its params and MACs among that."""
    return {**fields(document), "params": math.log1p(params), "MACs": math.log1p(macs)}


def field_columns(seen: Sequence[Fields]) -> Floats:
    """(networks, fields): of mean 0 and variance 1; without those in which all are alike.

    A number that a network does not have is taken for the mean of the others, a word for absent.
    """
    columns = [
        standardised(_column(name, seen)) for name in sorted({name for of_network in seen for name in of_network})
    ]
    kept = [column for column in columns if column.any()]
    return np.column_stack(kept) if kept else np.zeros((len(seen), 0))


def _of(value: Json, place: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _of(inner, f"{place}.{name}")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _of(inner, f"{place}.{index}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield place, math.copysign(math.log1p(abs(value)), value)
    else:
        yield f"{place}{_IS}{value}", 1.0


def _column(name: str, seen: Sequence[Fields]) -> Floats:
    if _IS in name:
        return np.array([of_network.get(name, 0.0) for of_network in seen])
    numbers = [of_network[name] for of_network in seen if name in of_network]
    return np.array([of_network.get(name, sum(numbers) / len(numbers)) for of_network in seen])
