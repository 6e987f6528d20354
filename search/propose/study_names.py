"""Under which name machines share a study: that of what is asked for, and of no machine."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from archdsl.data.loading import BUILT_IN
from archdsl.json_types import JsonObject
from archdsl.runtimes.setting import default_runtime, deployment_runtime
from archdsl.search.config import Settings
from archdsl.search.propose.study import FORMAT

_OF_A_MACHINE = {"trials", "time_s", "device", "stat", "threads", "chosen_threads", "data", "asked_budgets"}
"""Settings in which machines that share a study may differ."""
_OLDER = {
    *("space", "latency_budget_ms", "throughput_budget", "params_budget", "macs_budget", "memory_budget"),
    *("batch", "dtype", "epochs", "images", "sampler", "seed"),
}
"""Settings of which an earlier version made the name of a shared study, beside the runtime and the data."""


def name_of(settings: Settings) -> str:
    """The name of the study that a search of such settings shares: the machines may differ in device and limits.

    Each machine has a runtime of its own where none is asked for, so that a machine's default is no part of the name.
    Machines that measure agree on the runtime before a number counts (`opening.agreed`).
    """
    asked = settings.model_dump(mode="json", exclude=_OF_A_MACHINE)
    if not settings.features_only:
        del asked["features_only"]  # the name stays that of studies from before there was a choice
    if not settings.optimize:
        del asked["optimize"]
    if settings.target is None:
        del asked["target"]
    if not settings.also:
        del asked["also"]
    defaults = deployment_runtime(settings.device, settings.dtype).name, default_runtime(settings.device)
    if settings.runtime in defaults:
        asked["runtime"] = "eager"  # what a machine that trains on a CPU has, whatever others measure in
    return _name(settings, asked | {"format": FORMAT})


def older_name_of(settings: Settings) -> str:
    """The name by which machines with an earlier version share the study of such settings; `mode` was its runtime."""
    written = settings.model_dump(mode="json")
    space = dict(written["space"])
    if isinstance(budgets := space.get("budgets"), list):
        space["budgets"] = [_with_mode(budget) for budget in budgets]
    asked = {name: written[name] for name in _OLDER} | {"space": space, "mode": written["runtime"]}
    if settings.sampler == "auto":
        del asked["sampler"]
    return _name(settings, asked)


def _with_mode(facts: JsonObject) -> JsonObject:
    return {"mode" if name == "runtime" else name: value for name, value in facts.items()}


def _name(settings: Settings, asked: JsonObject) -> str:
    data = settings.data if settings.data in BUILT_IN else Path(settings.data).name
    digest = hashlib.sha256(json.dumps(asked | {"data": data}, sort_keys=True).encode()).hexdigest()[:16]
    return f"{settings.space['name']}-{digest}"
