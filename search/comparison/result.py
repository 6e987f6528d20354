"""Networks in the table of a run: what was measured of each, its rank, and how it compares with the winner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from archdsl import late
from archdsl.json_types import Json, JsonObject
from archdsl.search.comparison.reference_run import ReferenceRun
from archdsl.search.evaluate.kept_weights import indistinguishable
from archdsl.search.evaluate.trainings import SeedTraining
from archdsl.search.trial import Trial


class AgainstWinner(NamedTuple):
    """A network beside the winner of the run, trained equally long, on the same validation images."""

    result: Literal["better", "worse", "indistinguishable"]
    """By McNemar's test, two standard errors."""
    winner_accuracy: float
    images: int
    fidelity: str
    """The length of both trainings."""


def against_winner(network: SeedTraining | None, winner: SeedTraining | None) -> AgainstWinner | None:
    """What the test says; None where the two were not trained equally long, or their answers are not known."""
    if network is None or winner is None or network.fidelity != winner.fidelity:
        return None
    if not network.answers or len(network.answers) != len(winner.answers):
        return None
    result: Literal["better", "worse"] = "better" if network.accuracy > winner.accuracy else "worse"
    same = indistinguishable(winner, network)
    return AgainstWinner(
        "indistinguishable" if same else result, winner.accuracy, len(network.answers), network.fidelity
    )


@dataclass(frozen=True)
class Scored:
    """One network in the table of a run."""

    name: str
    trial: Trial | None
    """As measured and shortly trained; None where that failed."""
    longer: Trial | None = None
    """Trained as long as a finalist, where that was asked for."""
    over_budget: str | None = None
    """Why it is outside the budgets."""
    is_over_gate: bool = False
    """Whether it is inside the latency budget, but over the gate: a search would not have trained it."""
    rank: int | None = None
    """By accuracy, among the rows of the table; 1 is the most accurate."""
    against: AgainstWinner | None = None
    not_compared: str | None = None
    """Why it cannot be compared with the winner."""
    failure: str | None = None
    """Why it could not be measured or trained."""

    @property
    def training(self) -> Trial | None:
        """The record that the rank goes by."""
        return self.longer or self.trial

    def as_json(self) -> JsonObject:
        """The facts for programs."""
        trial, longer = self.trial, self.longer
        return {
            "name": self.name,
            "spec": None if trial is None else trial.document,
            "hash": None if trial is None else trial.network_hash,
            "failure": self.failure,
            "rank": self.rank,
            "params": None if trial is None else trial.params,
            "macs": None if trial is None else trial.macs,
            "latency": None if trial is None else trial.latency_ms,
            "inside_budget": None if trial is None else self.over_budget is None,
            "over_budget": self.over_budget,
            "over_gate": self.is_over_gate,
            "measurement": None if trial is None or trial.measurement is None else trial.measurement.as_json(),
            "short": _training_json(trial),
            "longer": _training_json(longer),
            "against_winner": None if self.against is None else dict(self.against._asdict()),
            "not_compared": self.not_compared,
        }


def _training_json(trial: Trial | None) -> Json:
    if trial is None or trial.training is None:
        return None
    return {
        "accuracy": trial.accuracy,
        "error": trial.error,
        "held_out": trial.training.held_out,
        "fidelity": trial.training.fidelity,
        "from_cache": trial.outcome == "cached",
        "training": trial.training.as_json(),
    }


@dataclass(frozen=True)
class Scores:
    """Networks in the table of a run."""

    run: ReferenceRun
    networks: Sequence[Scored]
    conditions: JsonObject
    """What their latencies hold under: device, runtime, threads, batch, dtype and versions."""
    notes: Sequence[str] = ()
    """What differs from the conditions of the run."""

    def _repr_html_(self) -> str:
        """What a notebook shows: what `archdsl score` prints."""
        html: str = late.call("scores_html", self)
        return html

    @property
    def failed(self) -> bool:
        """Whether a network could not be measured or trained."""
        return any(network.failure is not None for network in self.networks)

    @property
    def folder(self) -> Path:
        """Of the run."""
        return self.run.folder

    def as_json(self) -> JsonObject:
        """The facts for programs; `table` is the run's own, the best first."""
        winner, settings = self.run.winner, self.run.settings
        return {
            "run": str(self.folder),
            "space": settings.space["name"],
            "stat": settings.stat,
            "budget_ms": settings.budgets.latency_ms,
            "gate_ms": self.run.gate_ms,
            "winner": None if winner is None else {"name": winner.name, "hash": winner.network_hash},
            "networks": [network.as_json() for network in self.networks],
            "table": [row.as_json() for row in self.run.front],
            "conditions": self.conditions,
            "notes": list(self.notes),
        }
