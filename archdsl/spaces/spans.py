"""Spans: a block that stands in the place of several positions of a sequence, and where it may stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from archdsl.errors import Keys, Problem
from archdsl.json_types import Json, JsonObject, list_in, object_in
from archdsl.language.searchable_models import SPAN
from archdsl.spaces.variables import alternatives_of, span_of


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


def _problems_of(part: JsonObject, blocks: list[Json], keys: Keys) -> Iterator[Problem]:
    if has_spans(blocks) and "depth" in part:
        rule = "a sequence with spans has no depth: it is as deep as the blocks that are chosen"
        yield Problem((*keys, "depth"), rule, None, "remove it", at_key=True)
    for index, item in enumerate(blocks):
        for inside in ((), ("$repeat",)):
            if span_of(object_in(item).get("$repeat") if inside else item) > 1:
                rule = f"{SPAN} stands in an alternative of a choice between blocks"
                remedy = 'write {"$one_of": [{...}, {"$span": 2, ...}]}'
                yield Problem((*keys, "blocks", index, *inside, SPAN), rule, None, remedy, at_key=True)
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
