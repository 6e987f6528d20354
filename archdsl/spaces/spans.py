"""Spans: a block that stands in the place of several positions of a sequence, and where it may stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from archdsl.errors import Keys, Problem
from archdsl.json_types import Json, JsonObject, Scalar, list_in, object_in
from archdsl.language.checking.meant_holes import WHERE_SPANS_STAND
from archdsl.language.searchable_models import SPAN
from archdsl.spaces.variables import alternatives_of, label_of, name_of, span_of


def span_problems(nodes: Iterable[JsonObject]) -> Iterator[Problem]:
    """Spans that cover what is not there, or what is no single block; and a depth beside them, which they decide."""
    for index, node in enumerate(nodes):
        parts: list[tuple[Keys, JsonObject]] = [(("nodes", index), node)]
        if "$one_of" in node:
            written = enumerate(alternatives_of(node))
            parts = [(("nodes", index, "$one_of", place), object_in(other)) for place, other in written]
        for keys, part in parts:
            if "blocks" in part:
                yield from _problems_of(part, list_in(part["blocks"]), keys)


def has_spans(blocks: Iterable[Json]) -> bool:
    """Whether one of the alternatives in a list of blocks is a span."""
    return any(span_of(alternative) > 1 for item in blocks for alternative in block_alternatives(item))


def block_alternatives(item: Json) -> list[Json]:
    """What an item of a list of blocks offers; empty for what is no choice."""
    return alternatives_of(item) if isinstance(item, dict) and "$one_of" in item else []


def reached(blocks: list[Json]) -> set[int]:
    """The positions that no choice of spans before them covers always."""
    positions = {0}
    for index, item in enumerate(blocks):
        if index in positions:
            positions |= {index + span_of(alternative) for alternative in block_alternatives(item) or [None]}
    return positions & set(range(len(blocks)))


def written_place(blocks: list[Json], path: str, choices: Mapping[str, Scalar], number: int) -> Keys:
    """Where a block that came out is written, by its number: `(2,)` of a block, `(2, "$one_of", 0)` of an alternative.

    `path` is the list's, as it begins the names of the variables in it.
    """
    came_out, index = 0, 0
    while index < len(blocks):
        item, place = object_in(blocks[index]), f"{path}.{index}"
        copies, span, inside = 1, 1, tuple[str | int, ...]()
        if "$one_of" in item:
            labels = [label_of(alternative) for alternative in alternatives_of(item)]
            chosen = labels.index(choices[name_of(item, place)])
            span, inside = span_of(alternatives_of(item)[chosen]), ("$one_of", chosen)
        elif "$repeat" in item:
            times = item["$times"]
            copied = choices[name_of(times, f"{place}.times")] if isinstance(times, dict) else times
            assert isinstance(copied, int)
            copies, inside = copied, ("$repeat",)
        if number < came_out + copies:
            return (index, *inside)
        came_out, index = came_out + copies, index + span
    return ()


def _problems_of(part: JsonObject, blocks: list[Json], keys: Keys) -> Iterator[Problem]:
    if has_spans(blocks) and "depth" in part:
        rule = "a sequence with spans has no depth: it is as deep as the blocks that are chosen"
        yield Problem((*keys, "depth"), rule, None, "remove it", at_key=True)
    for index, item in enumerate(blocks):
        for inside in ((), ("$repeat",)):
            if span_of(object_in(item).get("$repeat") if inside else item) > 1:
                rule = f"a block that is no alternative has no {SPAN}"
                yield Problem((*keys, "blocks", index, *inside, SPAN), rule, None, WHERE_SPANS_STAND, at_key=True)
        for place, alternative in enumerate(block_alternatives(item)):
            problem = _problem_of(blocks, index, span_of(alternative))
            if problem is not None:
                yield problem._replace(keys=(*keys, "blocks", index, "$one_of", place, SPAN))


def _problem_of(blocks: list[Json], index: int, span: int) -> Problem | None:
    covered = blocks[index : index + span]
    if len(covered) < span:
        rule = f"a span ends within its sequence, where {len(covered)} of {len(blocks)} positions are left"
        shorter = f"use {len(covered)}" if len(covered) > 1 else f"remove {SPAN}"
        return Problem((), rule, str(span), f"{shorter}, or move it to an earlier position")
    repeated = next((index + place for place, item in enumerate(covered) if "$repeat" in object_in(item)), None)
    if repeated is not None:
        rule = f"a span covers single blocks; blocks[{repeated}] is a $repeat"
        return Problem((), rule, str(span), "write its copies one by one, or use a shorter span")
    return None
