"""A trained network as a row of the search's table and as a point of its plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from archdsl.numbers import accuracy_text
from archdsl.render.columns import Column, Sheet
from archdsl.render.verdict import second_reading

if TYPE_CHECKING:
    from archdsl.json_types import JsonObject
    from archdsl.search.store.front import Record


@dataclass(frozen=True)
class Candidate:
    """What is shown of a trained network."""

    name: str
    network_hash: str
    accuracy: float
    """Proxy accuracy, 0 to 1."""
    error: float | None
    """Its standard error, from the number of validation images alone."""
    latency_ms: float
    params: float
    macs: float
    fidelity: str
    """The length of training that names the accuracy."""
    data: str
    seeds: int
    """Trainings that the accuracy is the mean of."""

    @property
    def accuracy_text(self) -> str:
        """`61.0 ± 1.5 %`"""
        return accuracy_text(self.accuracy, self.error)

    @property
    def point(self) -> tuple[float, float]:
        """(ms, %)"""
        return self.latency_ms, 100 * self.accuracy


def candidate(record: Record) -> Candidate:
    """Of a trial that was trained."""
    proxy = record["provenance"]["proxy"]
    return Candidate(
        name=record["spec"]["name"],
        network_hash=record["hash"],
        accuracy=record["accuracy"],
        error=proxy.get("error"),
        latency_ms=record["latency"],
        params=record["params"],
        macs=record["macs"],
        fidelity=proxy["fidelity"],
        data=proxy.get("data", ""),
        seeds=len(proxy.get("trainings", ())),
    )


def describe(shown: Candidate) -> str:
    """A candidate in one line."""
    costs = f"{shown.params / 1e6:.2f} M params, {shown.macs / 1e6:.0f} M MACs"
    return f"{shown.accuracy_text} at {shown.latency_ms:.2f} ms, {costs}"


def front_table(
    front: Sequence[Candidate], longer: Mapping[str, Candidate], stat: str, attempts: Sequence[JsonObject] = ()
) -> RenderableType:
    """The front, the best first; `longer` are finalists trained longer, by hash, `attempts` who was measured again."""
    again = [second_reading(attempts, row.network_hash) for row in front]
    further = [longer[row.network_hash].accuracy_text if row.network_hash in longer else "" for row in front]
    columns = [
        Column("candidate", [Text(row.name) for row in front]),
        Column("proxy acc.", [Text(row.accuracy_text) for row in front], right=True),
        Column("longer", [Text(text) for text in further], right=True, drop=1),
        Column(f"{stat} ms", [Text(f"{row.latency_ms:.2f}") for row in front], right=True),
        *([Column("again", [Text(text) for text in again], right=True)] if any(again) else []),
        Column("params M", [Text(f"{row.params / 1e6:.2f}") for row in front], right=True, drop=2),
        Column("MACs M", [Text(f"{row.macs / 1e6:.0f}") for row in front], right=True, drop=3),
    ]
    return Sheet(columns)


def proxy_line(first: Candidate, longer: Sequence[Candidate]) -> str:
    """The budgets that the accuracies are named by."""
    seeds = max((row.seeds for row in longer), default=0)
    several = f", the mean of up to {seeds} seeds" if seeds > 1 else ""
    further = f", longer: {longer[0].fidelity}{several}" if longer else ""
    error = "± is one standard error, from the number of validation images alone"
    return f"proxy accuracy after {first.fidelity}{further}; {first.data}; {error}"
