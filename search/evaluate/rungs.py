"""The rungs of the ladder that cost time: a latency measured (`measuring.py`), a proxy accuracy trained, in a worker.

A candidate falls at the first rung that it fails, the cheapest first. Shapes and constraints, then params, MACs and
memory, cost milliseconds and are no trials (`candidates.py`), and neither is what the search has learned to be surely
too slow (`predict.py`). Then the latency is measured, a hard gate; what passes is scored at initialisation, and only
what is not among the lowest scores, where these rank well, is trained; and a training goes on only while its running
loss is among the better half, where that ranks well (`training/halving.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from archdsl.language.canonical import canonical_hash
from archdsl.language.document import Spec
from archdsl.search.config import Settings
from archdsl.search.store import cache
from archdsl.search.store.cache import training_key
from archdsl.search.store.clock import Clock
from archdsl.search.worker.process import Failed, Hung, OutOfTime, Progress, Reply
from archdsl.search.worker.slot import WorkerProtocol
from archdsl.training.fidelity import Fidelity, fidelity_of

_SCORE_SILENCE_S, _TRAIN_SILENCE_S, _LATE_S = 120.0, 600.0, 15.0


class Halted(Exception):
    """A training was broken off, as its running loss was over a limit; `facts` tell of it as of any other."""

    def __init__(self, facts: dict[str, Any]) -> None:
        super().__init__()
        self.facts = facts


def scored(
    worker: WorkerProtocol, spec: Spec, settings: Settings, data: dict[str, Any], clock: Clock
) -> dict[str, Any]:
    """The `scores` of a network at initialisation (`scores/`), by name, and the `seconds` that they took.

    Raises:
        OutOfTime, Failed, WorkerGone: as `measure`.
    """
    own = {name: getattr(settings, name) for name in ("seed", "device")}
    request = {"do": "score", "spec": spec.to_json(), "data": data["request"], **own}
    reply = asked(worker, request, _SCORE_SILENCE_S, clock.left)
    return {name: reply[name] for name in ("scores", "seconds")}


class Trained(NamedTuple):
    """A proxy accuracy, and the budget that names it."""

    accuracy: float
    error: float
    seconds: float
    facts: dict[str, Any]
    cached: bool
    not_kept: str | None = None
    """Why the weights could not be written that were to be kept."""


_CACHED = ("accuracy", "error", "seconds", "facts")
"""What the cache holds of a training; never its weights."""


def train(
    worker: WorkerProtocol,
    spec: Spec,
    settings: Settings,
    data: dict[str, Any],
    clock: Clock,
    *,
    lengthen: float = 1.0,
    progress: Callable[[float], None] = lambda done: None,
    limits: Mapping[int, float] | None = None,
    keep: Path | None = None,
    anew: bool = False,
) -> Trained:
    """The proxy accuracy of a network; `lengthen` times the search's epochs.

    `limits` are running losses, by mark, above which the training is broken off; what is known is known all the same.
    `keep` is where the weights are written; what the cache knows has none, and is trained only where `anew`.

    Raises:
        Halted: it was broken off.
        OutOfTime: the training did not end while there was time.
        Failed: its loss was no number, or as `Worker.ask`.
        WorkerGone: as `Worker.ask`.
    """
    key = training_key(canonical_hash(spec), settings, data, lengthen)
    earlier = None if anew else cache.get(key)
    if earlier is not None and earlier.keys() == set(_CACHED):
        return Trained(**earlier, cached=True)
    started, left = time.monotonic(), clock.left_to_train
    fidelity = fidelity_of(settings, data["images"], lengthen)
    request = _training(spec, settings, data, fidelity, None if left is None else max(left, 1))
    request |= {"limits": list((limits or {}).items()), "keep": None if keep is None else str(keep)}
    reply = asked(worker, request, _TRAIN_SILENCE_S, clock.left, lambda told: progress(told["progress"]))
    outcome = reply["outcome"]
    if not outcome["finite"]:
        raise Failed("training gave no finite loss")
    if not outcome["finished"] and outcome["halted"] is None:
        raise OutOfTime
    seconds = time.monotonic() - started
    facts = {"fidelity": str(fidelity), "data": data["describe"], "seed": settings.seed}
    facts |= {"threads": reply["threads"], "device": settings.device, "torch": data["torch"], "seconds": seconds}
    facts |= {name: outcome[name] for name in ("steps", "loss", "error", "held_out")} | {"key": key}
    facts["running"] = [round(loss, 4) for loss in outcome["running"]]
    facts |= {"epochs": fidelity.epochs, "batch": fidelity.batch, "autocast": outcome.get("autocast")}
    if outcome["halted"] is not None:
        raise Halted(facts | {"halted": outcome["halted"]})
    facts |= _answers(outcome)
    result = {"accuracy": outcome["accuracy"], "error": outcome["error"], "seconds": seconds, "facts": facts}
    cache.put(key, result)
    return Trained(**result, cached=False, not_kept=reply.get("not_kept"))


def _answers(outcome: Reply) -> dict[str, Any]:
    """Which validation images are named rightly, for comparing networks, and how many images accuracies are of."""
    validation, held = outcome.get("validation"), outcome.get("held")
    if validation is None:
        return {}
    images = {"validation_images": validation["images"], "held_out_images": held["images"] if held else 0}
    return {"answers": validation["answers"], **images}


def _training(spec: Spec, settings: Settings, data: dict[str, Any], fidelity: Fidelity, seconds: float | None) -> Reply:
    """The request that trains a network for at most so many seconds."""
    own = {name: getattr(settings, name) for name in ("images", "seed", "device", "threads")}
    return {
        "do": "train",
        "spec": spec.to_json(),
        "data": data["request"],
        "epochs": fidelity.epochs,
        "batch": fidelity.batch,
        "seconds": seconds,
        **own,
    }


def asked(
    worker: WorkerProtocol, request: Reply, most_s: float, left: float | None, progress: Progress | None = None
) -> Reply:
    """The reply to a request that may be silent for `most_s` seconds, and not much beyond the search's time."""
    timeout_s = most_s if left is None else min(most_s, max(left, 0) + _LATE_S)
    try:
        return worker.ask(request, timeout_s, progress)
    except Hung:
        if timeout_s < most_s:
            raise OutOfTime from None
        raise
