"""A search replayed from the recorded table: the search itself is the real one, its worker answers from the table."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from optuna.storages import InMemoryStorage
from table import SPACE, Row, read, settings_of

from archdsl.language.canonical import canonical_hash
from archdsl.load.spaces import load_space
from archdsl.load.specs import spec_of
from archdsl.search.evaluate.context import Context
from archdsl.search.loop.session import Search
from archdsl.search.policy import SHIPPED
from archdsl.search.propose import study as local
from archdsl.search.store.folder import RunFolder
from archdsl.search.store.progress import State
from archdsl.search.worker.process import Failed, Progress
from archdsl.search.worker.request import Request
from archdsl.training.running_loss import MARKS

STAT = "p10"

Reply = dict[str, Any]
R = TypeVar("R")


class Evaluation(NamedTuple):
    """One network that an optimiser paid for: its hash, and the seconds that all of it took so far."""

    hash: str
    seconds: float
    is_trained: bool


def latency_of(row: Row) -> float:
    """The fastest reading, in ms."""
    return float(min(reading[f"{STAT}_ms"] for reading in row["readings"]))


def cost_of(row: Row, *, is_measured_only: bool = False, is_scored: bool = True) -> float:
    """Seconds that the table took for a network: one reading, the scores, the training."""
    seconds = float(row["readings"][0]["seconds"]) + (row["score_seconds"] if is_scored else 0.0)
    return seconds if is_measured_only else seconds + row["training"]["seconds"]


class Replayed:
    """Answers as a worker would, from the table; `spent` are the seconds that it would have taken."""

    def __init__(self, table: Mapping[str, Row]) -> None:
        self._table, self._provenance, self.spent = table, read()["provenance"], 0.0

    def ask(self, request: Request[R], timeout_s: float, progress: Progress | None = None) -> R:
        """The reply to one request.

        Raises:
            Failed: it was not recorded, as a training of another length.
        """
        reply: Reply = getattr(self, f"_{request.do}")(request.as_json())
        return request.reply(reply)

    def stop(self) -> None:
        """There is nothing to end."""

    def _row(self, request: Reply) -> Row:
        return self._table[canonical_hash(spec_of(request["spec"]))]

    def _hello(self, request: Reply) -> Reply:
        runtime = self._provenance["mode"]  # what it was called when the table was recorded
        return {"device": "cpu", "stat": STAT, "provenance": {**self._provenance, "runtime": runtime}}

    def _data(self, request: Reply) -> Reply:
        sizes = {"images": 2000, "validation": 1000, "held_out": 1000}
        return {"classes": 20, "channels": 3, "chance": 0.05, "describe": "recorded", "fingerprint": "0" * 16, **sizes}

    def _measure(self, request: Reply) -> Reply:
        row = self._row(request)
        self.spent += cost_of(row, is_measured_only=True, is_scored=False)
        return {"latency": {"samples_ms": [latency_of(row)] * 40, "provenance": self._provenance}}

    def _threads(self, request: Reply) -> Reply:
        return {"threads": 1}

    def _score(self, request: Reply) -> Reply:
        row = self._row(request)
        self.spent += row["score_seconds"]
        return {"scores": row["scores"], "seconds": {}}

    def _train(self, request: Reply) -> Reply:
        training = self._row(request)["training"]
        if f"{request['epochs']:g} epoch" not in training["fidelity"]:
            raise Failed("a training of this length was not recorded")
        running = training["running"]
        halted = next((mark for mark, limit in request["limits"] if running[mark - 1] > limit), None)
        self.spent += training["seconds"] * (halted or MARKS) / MARKS
        outcome = {**training, "running": running[: halted or MARKS], "halted": halted}
        outcome |= {"finite": True, "finished": halted is None}
        return {"outcome": outcome, "fidelity": training["fidelity"], "threads": 1}


def replayed(
    table: Mapping[str, Row], budget_ms: float, evaluations: int, seed: int, **others: Any
) -> list[Evaluation]:
    """What a search of the recorded space evaluates, in order; its own time is counted as it passes."""
    evaluated, worker, started = list[Evaluation](), Replayed(table), time.monotonic()

    def watch(state: State, line: str | None) -> None:
        for record in context.trials[len(evaluated) :]:
            spent = worker.spent + time.monotonic() - started
            evaluated.append(Evaluation(record.network_hash, spent, record.accuracy is not None))

    local.open_storage = lambda url, locked_s: InMemoryStorage()  # type: ignore[attr-defined]  # no disk to wait for
    space = load_space(SPACE)
    settings = settings_of(space, latency_budget_ms=budget_ms, trials=evaluations, seed=seed, **others)
    with tempfile.TemporaryDirectory() as place:
        os.environ["ARCHDSL_CACHE"] = str(Path(place) / "cache")
        folder = RunFolder(Path(place) / "run")
        folder.begin(settings, False, ())
        context = Context(settings, SHIPPED, folder, watch, new_worker=lambda: worker)
        Search(context).run()
        folder.release()
    return evaluated


def read_table() -> dict[str, Row]:
    """The recorded networks by hash."""
    return {row["hash"]: row for row in read()["rows"]}
