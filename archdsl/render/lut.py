"""Latency tables as a person reads them: their prediction error first, then what is in them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from archdsl.json_types import Json, JsonObject
from archdsl.latency.tables import Table
from archdsl.render.bench import milliseconds
from archdsl.render.columns import Column, Sheet
from archdsl.render.texts import counted

MOST_ROWS = 20


def table_sheet(table: Table) -> RenderableType:
    """The parts that take longest, a row each; above them the error on networks held out, below what was measured."""
    longest = sorted(table.times.items(), key=lambda item: -item[1])[:MOST_ROWS]
    parts = [part_texts(key) for key, _ in longest]
    columns = [
        Column("part", [Text(name) for name, _ in parts], least=24),
        Column("reads", [Text(shapes) for _, shapes in parts], drop=1),
        Column("ms", [Text(milliseconds(ms)) for _, ms in longest], right=True),
    ]
    return Sheet(columns, [_rest(table), *_notes(table)], f"{table.space}: {error_text(table)}")


def predictions(networks: Sequence[tuple[str, float]], table: Table) -> RenderableType:
    """A row a network: predicted ms a batch and images a second."""
    columns = [
        Column("name", [Text(name) for name, _ in networks], least=16),
        Column("predicted ms", [Text(milliseconds(ms)) for _, ms in networks], right=True),
        Column("images/s", [Text(f"{table.images_per_second(ms):.0f}") for _, ms in networks], right=True),
    ]
    return Sheet(columns, [f"Predicted, not measured; {error_text(table)}.", *_notes(table)])


def error_text(table: Table) -> str:
    """The prediction error in one line."""
    accuracy = table.accuracy
    errors = f"mean error {accuracy.mape:.1%}, p95 {accuracy.p95:.1%}, largest {accuracy.worst:.1%}"
    return f"{errors}, Kendall tau {accuracy.kendall_tau:.3f}, on {accuracy.networks} networks held out"


def part_texts(key: str) -> tuple[str, str]:
    """What a part is, its type first, and what it reads."""
    facts = json.loads(key)
    fields: JsonObject = dict(facts.get("part", facts.get("ends", {})))
    name = fields.pop("type", "ends of a stage")
    plain = {key: value for key, value in fields.items() if value is not None and value is not False and key != "norm"}
    values = " ".join(f"{key}={_brief(value)}" for key, value in plain.items())
    return f"{name} {values}".strip(), " + ".join("x".join(map(str, shape)) for shape in facts["reads"])


def _brief(value: Json) -> str:
    if isinstance(value, dict):
        return str(value.get("type", "..."))
    return "[...]" if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else str(value)


def _rest(table: Table) -> str:
    more = len(table.times) - MOST_ROWS
    is_whole = table.made.every_point_seen
    origin = (
        "these are the blocks of every network of the space"
        if is_whole
        else "these are the blocks of the networks that were sampled"
    )
    return (f"and {more} more blocks; " if more > 0 else "") + origin + "."


def _notes(table: Table) -> list[str]:
    """What the error is to be compared with, and what was measured on what, how often."""
    asked, facts, made = table.setting, table.provenance, table.made
    threads = [counted(asked.threads, "thread")] if asked.threads else []
    setting = [f"batch {asked.batch}", asked.dtype, asked.runtime, *["optimized"] * asked.optimize, *threads]
    carriers = f"{made.parts_timed} blocks measured in {made.carriers} networks"
    networks = f"{carriers}, {made.calibration} networks to calibrate"
    parts_at = made.parts_at or asked.stat
    parts = f"; blocks by {parts_at}, which predicts whole networks better" if parts_at != asked.stat else ""
    versions = [f"torch {facts.torch}"] + [f"driver {facts.driver}"] * bool(facts.driver)
    return [
        f"Two halves of the same rounds differ by {table.noise:.1%} on average: no prediction can be more accurate.",
        f"{asked.stat} of {made.rounds} rounds, ms per batch, {', '.join(setting)}{parts}; {networks}.",
        ", ".join([facts.device_name, *versions, facts.date]),
    ]
