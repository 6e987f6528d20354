"""The ladder: a candidate falls at the first rung that it fails, the cheapest first; what cannot pass is not trained.

Shapes and constraints, then params, MACs and memory, cost milliseconds and are no trials. Then the latency is measured,
a hard gate, and only what passes is trained.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from archdsl.cost import Count, count
from archdsl.errors import SpecError
from archdsl.schema.canonical import canonical_hash
from archdsl.schema.document import Spec
from archdsl.schema.space import Space
from archdsl.schema.variables import Variable
from archdsl.search import cache
from archdsl.search.child import Failed, Worker, WorkerGone
from archdsl.search.settings import Settings
from archdsl.spaces import draw, point

Record = dict[str, Any]

_MEASURE_S = 120.0
_ATTEMPTS, _FINAL_ATTEMPTS = 3, 8


class Candidate(NamedTuple):
    """A network that holds and is inside the static budgets."""

    spec: Spec
    hash: str
    counted: Count


class Refused(Exception):
    """A candidate that falls before it is measured; `args[0]` is the rung."""


def candidate(space: Space, choose: Callable[[str], Any], settings: Settings) -> Candidate:
    """The network of a choice, if it holds and costs what it may.

    Raises:
        Refused: at the rung "static" or "cost".
    """
    try:
        spec, _ = point(space, choose)
    except SpecError as error:
        raise Refused("static", str(error)) from None
    counted = count(spec)
    budgets = (
        ("params", counted.params, settings.params_budget),
        ("MACs", counted.macs, settings.macs_budget),
        ("memory", counted.memory_bytes(settings.dtype, settings.batch), settings.memory_budget),
    )
    for name, found, budget in budgets:
        if budget is not None and found > budget:
            raise Refused("cost", f"{name} {found:.4g} over {budget:.4g}")
    known = canonical_hash(spec)
    return Candidate(spec.model_copy(update={"name": f"{space.name}-{known[:8]}"[-64:]}), known, counted)


def random_candidate(
    space: Space, variables: dict[str, Variable], settings: Settings, seen: set[str], generator: random.Random
) -> tuple[Candidate, dict[str, Any]] | None:
    """A network that was not tried yet, drawn at random, with its choices; None if 2,000 draws find none."""
    for _ in range(2000):
        choices = {name: draw(variable, generator) for name, variable in variables.items()}
        try:
            found = candidate(space, choices.__getitem__, settings)
        except Refused:
            continue
        if found.hash not in seen:
            return found, choices
    return None


class Latency(NamedTuple):
    """A measured latency at the search's statistic, and where it comes from."""

    ms: float
    unstable: bool
    facts: dict[str, Any]


def measure(worker: Worker, spec: Spec, settings: Settings, goal_ms: float | None = None) -> Latency:
    """The latency of a network, the fastest of up to three readings: what disturbs a measurement only slows it down.

    A reading is repeated where it is unstable, or, with a goal, where it misses that: then up to eight times, with a
    pause between. All readings are told.

    Raises:
        Failed, WorkerGone: as `Worker.ask`.
    """
    setting = {name: getattr(settings, name) for name in ("device", "batch", "dtype", "mode", "threads")}
    readings: list[Latency] = []
    while _another(readings, goal_ms):
        if goal_ms is not None and readings:
            time.sleep(1.0)
        reply = worker.ask({"do": "measure", "spec": spec.to_json(), "setting": setting}, _MEASURE_S)["latency"]
        facts = {key: value for key, value in reply.items() if key != "samples"}
        readings.append(Latency(reply[f"{settings.stat}_ms"], reply["unstable"], facts))
    best = min(readings, key=lambda reading: reading.ms)
    return best._replace(facts=best.facts | {"stat": settings.stat, "readings": [r.ms for r in readings]})


def _another(readings: list[Latency], goal_ms: float | None) -> bool:
    """Whether a further reading could still tell more."""
    if not readings:
        return True
    if goal_ms is None:
        return readings[-1].unstable and len(readings) < _ATTEMPTS
    return min(reading.ms for reading in readings) > goal_ms and len(readings) < _FINAL_ATTEMPTS


class Trained(NamedTuple):
    """A proxy accuracy, and the budget that names it."""

    accuracy: float
    error: float
    seconds: float
    facts: dict[str, Any]
    cached: bool


def train(
    worker: Worker,
    spec: Spec,
    settings: Settings,
    data: dict[str, Any],
    *,
    lengthen: float = 1.0,
    seconds: float | None = None,
    progress: Callable[[float], None] = lambda done: None,
) -> Trained:
    """The proxy accuracy of a network; `lengthen` times the search's epochs.

    Raises:
        Failed: the training did not end in time, or its loss was no number.
        WorkerGone: as `Worker.ask`.
    """
    key = cache.key(
        network=canonical_hash(spec),
        training=settings.training_key(),
        data=data["fingerprint"],
        epochs=settings.epochs * lengthen,
        device=settings.device.partition(":")[0],
        torch=data["torch"],
    )
    if known := cache.get(key):
        return Trained(**known, cached=True)
    request = {
        "do": "train",
        "spec": spec.to_json(),
        "data": data["request"],
        "epochs": settings.epochs * lengthen,
        "images": settings.images,
        "seed": settings.seed,
        "device": settings.device,
        "threads": settings.threads,
        "seconds": seconds,
    }
    started = time.monotonic()
    reply = worker.ask(request, (seconds or 3600) + 60, lambda told: progress(told["progress"]))
    outcome = reply["outcome"]
    if not outcome["finished"]:
        raise Failed("training gave no finite loss" if not outcome["finite"] else "training did not end in time")
    facts = {"fidelity": reply["fidelity"], "data": data["describe"], "seed": settings.seed, "steps": outcome["steps"]}
    facts["threads"] = reply["threads"]
    facts |= {"loss": outcome["loss"], "error": outcome["error"]}
    result = {
        "accuracy": outcome["accuracy"],
        "error": outcome["error"],
        "seconds": time.monotonic() - started,
        "facts": facts,
    }
    cache.put(key, result)
    return Trained(**result, cached=False)


__all__ = ["Candidate", "Failed", "Refused", "WorkerGone", "candidate", "measure", "random_candidate", "train"]
