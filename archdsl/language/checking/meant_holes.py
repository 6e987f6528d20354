"""Choices that are written otherwise than `{"$one_of": [1, 2]}`: a bare list, `{"choice": ...}`, `{"$range": ...}`."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection
from typing import TypeGuard

from archdsl.json_types import Json, JsonObject
from archdsl.language.searchable_models import HOLES, SPAN

BESIDE = ("$name", "$label")
"""Keys that stand beside a hole's own."""
OF_ALTERNATIVES = ("$label", SPAN)
"""Keys that an alternative may have, which are no holes."""
ONLY_IN_SPACES = 'holes stand in the nodes of documents of "kind": "space" only'
WHERE_SPANS_STAND = f'in a space, an alternative in the "blocks" of a sequence may have {SPAN}'

_SPELLINGS = {
    "$one_of": "oneof choice choices choose anyof option options value values enum categorical select list set",
    "$int": "int integer integers intrange randint suggestint",
    "$float": "float floats real uniform loguniform floatrange suggestfloat",
    "$expr": "expr expression formula eval",
    "$same": "same sameas ref equal equals",
    "$repeat": "repeat repeated",
}
"""Other names of holes, without `$` and `_`."""
_RANGES = ("range", "interval", "between", "quniform", "bounds")
_ENDS = (("min", "max"), ("low", "high"), ("start", "stop"), ("start", "end"), ("from", "to"))
_MOST_CHARACTERS = 60


def hole_meant(key: str) -> str | None:
    """The hole that a key means: `$one_of` of `one_of`, `$oneOf` and `$choice`, `$int` of `$range`; None for others."""
    plain = key.removeprefix("$").lower().replace("_", "").replace("-", "")
    if plain in _RANGES:
        return "$int"
    for hole, spellings in _SPELLINGS.items():
        if plain in spellings.split():
            return hole
    close = difflib.get_close_matches(key, HOLES, n=1, cutoff=0.75) if key.startswith("$") else []
    return close[0] if close else None


def misspelt_hole(value: Json) -> str | None:
    """The key by which an object without a type was meant as a hole; None where it was not."""
    keys = list(value) if isinstance(value, dict) and "type" not in value else []
    return next((key for key in keys if key not in (*HOLES, *BESIDE) and hole_meant(key)), None)


def meant_remedy(value: Json, holes: Collection[str], in_nodes: bool) -> str | None:
    """What to write instead of a value that was meant as a choice; None where it was not.

    `holes` are those that may stand there, none outside a space; `in_nodes` tells a node's field from a header's.
    """
    meant = _meant(value, holes)
    if not meant:
        return None
    written = " or ".join(_text(hole) for hole in meant)
    if holes:
        return f"write {written}"
    if not in_nodes:
        return f"write one value; {ONLY_IN_SPACES}"
    return f'write one value; a choice such as {_text(meant[0])} stands in documents of "kind": "space" only'


def _meant(value: Json, holes: Collection[str]) -> list[JsonObject]:
    """The holes that a value may stand for, the likeliest first."""
    if isinstance(value, list):
        nested = any(isinstance(item, list) for item in value)
        choice: JsonObject | None = None if nested else {"$one_of": _alternatives(value)}
        return [hole for hole in (choice, _range(value, holes)) if hole is not None]
    if not isinstance(value, dict):
        return []
    for low, high in _ENDS:
        if {low, high} <= set(value):
            ranged = _range([value[low], value[high]], holes)
            return [ranged] if ranged else []
    key = misspelt_hole(value)
    hole = hole_meant(key) if key is not None else None
    if key is None or hole is None:
        return []
    if hole in ("$int", "$float"):
        ranged = _range(value[key], holes)
        return [ranged] if ranged else [{"$one_of": value[key]}] if isinstance(value[key], list) else []
    return [{hole: _alternatives(value[key]) if hole == "$one_of" else value[key]}]


def _range(ends: Json, holes: Collection[str]) -> JsonObject | None:
    """A range from low to high where the field takes one; outside a space a whole one counts as taken."""
    if not isinstance(ends, list) or len(ends) != 2:
        return None
    low, high = ends
    if not _is_number(low) or not _is_number(high) or low >= high:
        return None
    whole = isinstance(low, int) and isinstance(high, int)
    if whole and ("$int" in holes or not holes):
        return {"$int": ends}
    return {"$float": ends} if "$float" in holes or not holes else None


def _is_number(value: Json) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _alternatives(values: Json) -> Json:
    return values if values != [] else ["..."]


def _text(hole: JsonObject) -> str:
    """A hole as JSON; a long one with dots for what is in it."""
    text = json.dumps(hole, ensure_ascii=True, default=str)
    (key,) = hole
    return text if len(text) <= _MOST_CHARACTERS else f'{{"{key}": [...]}}'
