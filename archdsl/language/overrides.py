"""Overrides: `stage3.alpha=0.5`, `head.token_label=false`, `image=256`, made in a document with defaults filled in."""

from __future__ import annotations

import json
from collections.abc import Iterable

from archdsl.errors import Keys, Problem, SpecError, nearest, short
from archdsl.json_types import Json, JsonObject, objects_in, text_in
from archdsl.language.document import Spec
from archdsl.language.header import Header

_NODE_ONLY = {"id", "type", "from"}


def apply(spec: Spec, assignments: list[str]) -> JsonObject:
    """The document, defaults written out, with every assignment made; not yet checked again.

    Raises:
        SpecError: an assignment cannot be read or names what the document does not have.
    """
    document: JsonObject = spec.model_dump(mode="json", by_alias=True)
    problems = [problem for text in assignments if (problem := _assign(document, text)) is not None]
    if problems:
        raise SpecError(problems)
    return document


def without_left_over(spec: Spec, problems: Iterable[Problem]) -> list[Problem]:
    """Problems of a document with overrides; fields that a node's former type had and its new one has not are one."""
    told: list[Problem] = []
    left: dict[Keys, list[Problem]] = {}
    for problem in problems:
        place = problem.keys[:-1]
        if problem.at_key and len(problem.keys) == 3 and _had(spec, problem.keys):
            if place not in left:
                told.append(problem)
            left.setdefault(place, []).append(problem)
        else:
            told.append(problem)
    return [_left_over(spec, left[problem.keys[:-1]]) if problem.keys[:-1] in left else problem for problem in told]


def _had(spec: Spec, keys: Keys) -> bool:
    """Whether the backbone before the overrides has a field of a node."""
    index, name = keys[1], keys[2]
    return isinstance(index, int) and index < len(spec.nodes) and name in type(spec.nodes[index]).model_fields


def _left_over(spec: Spec, problems: list[Problem]) -> Problem:
    index = problems[0].keys[1]
    assert isinstance(index, int)
    node = spec.nodes[index]
    *others, last = (f"'{problem.keys[-1]}'" for problem in problems)
    names, fields = (f"{', '.join(others)} and {last}", "fields") if others else (last, "field")
    owner = problems[0].rule.partition(" has no field")[0]
    rule = f"{owner} has no {fields} {names}, which the {node.type} of {node.id} has"
    remedy = "an override cannot remove a field: write the whole node in a document of your own"
    return Problem(problems[0].keys[:2], rule, None, remedy)


def _assign(document: JsonObject, text: str) -> Problem | None:
    target, equals, written = text.partition("=")
    keys = target.strip().split(".")
    if not equals or not all(keys):
        return _refused(text, "an override is written NODE.FIELD=VALUE or FIELD=VALUE", None)
    value = _value(written.strip())
    if isinstance(value, SpecError):
        return _refused(text, "the value is no JSON this language reads", value.problems[0].rule)
    nodes = {text_in(node["id"]): node for node in objects_in(document["nodes"])}
    if len(keys) == 1:
        header = {field.alias or name for name, field in Header.model_fields.items()}
        having = [name for name, node in nodes.items() if keys[0] in node]
        if having and keys[0] not in header:
            rule = f"the document has no field '{keys[0]}'; its nodes have"
            return _refused(text, rule, f"name the node, as in {having[0]}.{keys[0]}")
        return _set(document, keys, value, text, "the document", header)
    if keys[0] in nodes:
        return _set_in_node(nodes[keys[0]], keys[1:], value, text, keys[0])
    if isinstance(field := document.get(keys[0]), dict):
        return _set(field, keys[1:], value, text, keys[0])
    return _refused(text, f"no node is called {short(keys[0])}", nearest(keys[0], nodes))


def _set_in_node(node: JsonObject, keys: list[str], value: Json, text: str, owner: str) -> Problem | None:
    """A field of a node; on a sequence, a field that is not its own goes to every block that has it."""
    if "blocks" in node and keys[0] not in node:
        blocks = objects_in(node["blocks"])
        having = [block for block in blocks if keys[0] in block]
        if having:
            failed = [_set(block, list(keys), value, text, owner) for block in having]
            return next((problem for problem in failed if problem is not None), None)
        inside = {field for block in blocks for field in block} - _NODE_ONLY
        return _set(node, keys, value, text, f"{owner} ({node['type']})", nearby=inside)
    return _set(node, keys, value, text, f"{owner} ({node['type']})")


def _set(
    target: Json,
    keys: list[str],
    value: Json,
    text: str,
    owner: str,
    absent: Iterable[str] = (),
    nearby: Iterable[str] = (),
) -> Problem | None:
    """Set a nested field that exists: objects by name, lists by index.

    `absent` are fields that the outermost object may have and has not; `nearby` are further names to propose.
    """
    for depth, key in enumerate(keys):
        last = depth == len(keys) - 1
        if isinstance(target, list) and key.isdigit() and int(key) < len(target):
            if last:
                target[int(key)] = value
            target, nearby = target[int(key)], ()
            continue
        names = {*target, *(absent if depth == 0 else ())} if isinstance(target, dict) else set[str]()
        if not isinstance(target, dict) or key not in names:
            if depth:
                owner = f"{'.'.join((owner.partition(' ')[0], *keys[:depth]))} ({_kind(target)})"
            return _refused(text, f"{owner} has no field '{key}'", nearest(key, {*names, *nearby}))
        if last:
            target[key] = _filled(target[key], value) if key in target else value
        target, nearby = target.get(key), ()
    return None


def _kind(value: Json) -> str:
    """What a value is called where something inside it is asked for: its type, a list, or the value itself."""
    if isinstance(value, dict):
        return str(value.get("type", "an object"))
    return f"a list of {len(value)}" if isinstance(value, list) else short(value)


def _filled(old: Json, new: Json) -> Json:
    """A bare word for an object with a type chooses the type: `mlp=dwconv`."""
    return {"type": new} if isinstance(old, dict) and "type" in old and isinstance(new, str) else new


def _value(text: str) -> Json | SpecError:
    """The value as JSON, else as a bare word; a SpecError for JSON that documents may not hold either."""
    from archdsl.language.text.reader import read

    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    try:
        return read(('{"value": ' + text + "}").encode("utf-8", "replace"), "override")["value"]
    except SpecError as error:
        return error


def _refused(text: str, rule: str, remedy: str | None) -> Problem:
    return Problem((), rule, short(text), remedy, file="--set")
