"""What is said of an object without a type that fits its place, and which types of node fit a place."""

from __future__ import annotations

from archdsl.errors import Keys, Problem, nearest, nearest_only, short
from archdsl.json_types import Json, JsonObject
from archdsl.language import introspection
from archdsl.language.checking.meant_holes import ONLY_IN_SPACES, hole_meant, misspelt_hole
from archdsl.language.nodes import node_models
from archdsl.language.searchable_models import HOLES

_ON_EVERY_NODE = {"id", "type", "from"}


def untyped(keys: Keys, value: Json, fitting: list[str], name: str, in_space: bool) -> Problem:
    """An object without a type, or with one that is not known; `name` is what messages call it.

    `fitting` are the types that may stand there; no other one is proposed.
    """
    offer = f"one of {', '.join(fitting)}"
    if not isinstance(value, dict):
        meant = isinstance(value, str) and value in fitting
        remedy = f'write {{"type": {short(value)}}}' if meant else f'write {{"type": ...}} with {offer}'
        return Problem(keys, f"{name} must be an object", short(value), remedy)
    if "type" not in value:
        return (
            misspelt_type(keys, value, name)
            or _misspelt(keys, value, name, in_space)
            or Problem(keys, f"{name} needs a type", None, f'add "type": {offer}')
        )
    written = value["type"]
    if isinstance(written, list | dict):
        return _several_types(keys, written, in_space)
    if not isinstance(written, str):
        return Problem((*keys, "type"), "type must be a string", short(written), f"write {offer}")
    kind = name.removeprefix("a ").removeprefix("an ")
    return Problem((*keys, "type"), f"no such type of {kind}", short(written), nearest(written, fitting))


def misspelt_type(keys: Keys, value: Json, name: str) -> Problem | None:
    """A type under another key, as `tpye` or `$type`; None where an object has none such."""
    texts = [key for key in value if isinstance(value[key], str)] if isinstance(value, dict) else []
    if not isinstance(value, dict) or "type" in value:
        return None
    key = next((key for key in texts if nearest_only(key.removeprefix("$"), ["type"])), None)
    if key is None:
        return None
    return Problem((*keys, key), f"{name} has no field '{key[:60]}'", None, "did you mean 'type'?", at_key=True)


def _misspelt(keys: Keys, value: JsonObject, name: str, in_space: bool) -> Problem | None:
    """A hole by another name, or one that is written in a backbone; None where an object is none."""
    if not in_space and any(key in value for key in HOLES):
        return Problem(keys, f"{name} must not be a hole", short(value), ONLY_IN_SPACES)
    key = misspelt_hole(value)
    if key is None:
        return None
    remedy = f'write "{hole_meant(key)}"' + ("" if in_space else f"; {ONLY_IN_SPACES}")
    return Problem((*keys, key), f"no such hole: '{key[:60]}'", None, remedy, at_key=True)


def _several_types(keys: Keys, written: Json, in_space: bool) -> Problem:
    """A choice of types, which are alternatives with fields of their own."""
    remedy = 'write alternatives, {"$one_of": [{"type": ...}, {"type": ...}]}'
    place = "" if in_space else f"; {ONLY_IN_SPACES}"
    return Problem((*keys, "type"), "type must be a string", short(written), remedy + place)


def fitting_types(node: Json, index: int, count: int, name: str | None = None) -> list[str]:
    """The types that a node of `count` may have at `index`, sorted: those of the kind that its fields belong to.

    Where fields tell no kind from another, the id does (`stage2`, `semantic_merge1`), else the place: a stem comes
    first, a head last. `name` is the id of a node that is one of several, which has none itself.
    """
    written = node if isinstance(node, dict) else {}
    kinds = _by_fields({key for key in written if key[:1] != "$"} - _ON_EVERY_NODE)
    if len(kinds) > 1:
        node_id = name or written.get("id")
        words = [kind for kind in kinds if isinstance(node_id, str) and kind in node_id]
        if isinstance(node_id, str) and node_id in node_models():
            words = [kind for kind in kinds if kind == node_models()[node_id].kind]  # a node called by its type
        kinds = words[-1:] or [kind for kind in kinds if kind in _by_place(index, count)] or kinds
    return sorted(type_name for type_name, model in node_models().items() if model.kind in kinds)


def _by_fields(fields: set[str]) -> list[str]:
    """The kinds whose types have most of these fields."""
    fields_of: dict[str, set[str]] = {}
    for model in node_models().values():
        fields_of.setdefault(model.kind, set()).update(introspection.fields(model))
    misfits = {kind: len(fields - names) for kind, names in fields_of.items()}
    return [kind for kind in fields_of if misfits[kind] == min(misfits.values())]


def _by_place(index: int, count: int) -> tuple[str, ...]:
    if index == 0:
        return ("stem",)
    return ("head",) if index == count - 1 else ("stage", "merge", "join")
