"""Tables of latencies as a person reads them: how wrong they are first, then what is in them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from archdsl.latency.tables import Table
from archdsl.render.bench import milliseconds
from archdsl.render.columns import Column, Sheet

MOST_ROWS = 20


def table_sheet(table: Table) -> RenderableType:
    """The parts that take longest, a row each; above them the error on networks held out, below what was measured."""
    longest = sorted(table.times.items(), key=lambda item: -item[1])[:MOST_ROWS]
    told = [part_texts(key) for key, _ in longest]
    columns = [
        Column("part", [Text(name) for name, _ in told], least=24),
        Column("reads", [Text(shapes) for _, shapes in told], drop=1),
        Column("ms", [Text(milliseconds(ms)) for _, ms in longest], right=True),
    ]
    return Sheet(columns, [_rest(table), *_notes(table)], f"{table.space}: {error_text(table)}")


def predictions(found: Sequence[tuple[str, float]], table: Table) -> RenderableType:
    """A row a network: predicted ms a batch and images a second."""
    columns = [
        Column("name", [Text(name) for name, _ in found], least=16),
        Column("predicted ms", [Text(milliseconds(ms)) for _, ms in found], right=True),
        Column("images/s", [Text(f"{table.images_per_second(ms):.0f}") for _, ms in found], right=True),
    ]
    return Sheet(columns, [f"Predicted, not measured; {error_text(table)}.", *_notes(table)])


def error_text(table: Table) -> str:
    """The published error in one line."""
    found = table.accuracy
    errors = f"error {found.mape:.1%} in the mean, {found.p95:.1%} at p95, {found.worst:.1%} at most"
    return f"{errors}, Kendall tau {found.kendall_tau:.3f}, on {found.networks} networks held out"


def part_texts(key: str) -> tuple[str, str]:
    """What a part is, its type first, and what it reads."""
    facts = json.loads(key)
    fields: dict[str, Any] = dict(facts.get("part", facts.get("ends", {})))
    name = fields.pop("type", "ends of a stage")
    plain = {key: value for key, value in fields.items() if value is not None and value is not False and key != "norm"}
    said = " ".join(f"{key}={_brief(value)}" for key, value in plain.items())
    return f"{name} {said}".strip(), " + ".join("x".join(map(str, shape)) for shape in facts["reads"])


def _brief(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("type", "..."))
    return "[...]" if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else str(value)


def _rest(table: Table) -> str:
    more = len(table.times) - MOST_ROWS
    seen = "every point of the space was seen" if table.made["every_point_seen"] else "found by drawing points"
    return (f"and {more} parts more; " if more > 0 else "") + seen + "."


def _notes(table: Table) -> list[str]:
    """What the error is to be compared with, and what was measured on what, how often."""
    own, facts, made = table.setting, table.provenance, table.made
    threads = [f"{own['threads']} thread{'s' * (own['threads'] != 1)}"] if own["threads"] else []
    setting = [f"batch {own['batch']}", own["dtype"], own["runtime"], *threads]
    counted = f"{made['carriers']} networks to time {made['parts_timed']} parts in, {made['calibration']} to calibrate"
    parts_at = made.get("parts_at", own["stat"])
    parts = f"; parts at {parts_at}, which tells whole networks better" if parts_at != own["stat"] else ""
    versions = [f"torch {facts['torch']}"] + [f"driver {facts['driver']}"] * bool(facts["driver"])
    return [
        f"Two halves of the same rounds differ by {table.noise:.1%} in the mean: no prediction can be surer.",
        f"{own['stat']} of {made['rounds']} rounds, ms per batch, {', '.join(setting)}{parts}; {counted}.",
        ", ".join([facts["device_name"], *versions, facts["date"]]),
    ]
