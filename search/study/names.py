"""The names of studies that machines share: what must be asked for alike, so that they meet in the database."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from archdsl.latency.setting import default_runtime
from archdsl.search.data.loading import BUILT_IN
from archdsl.search.settings import Settings


def name_of(settings: Settings) -> str:
    """The name of the study that a search of such settings shares: the machines may differ in device and limits.

    Each device has a runtime of its own where none is asked for, so that a device's default is no part of the name.
    """
    is_default = settings.runtime == default_runtime(settings.device)
    return former_name_of(settings.model_copy(update={"runtime": "eager"}) if is_default else settings)


def former_name_of(settings: Settings) -> str:
    """The name that earlier versions gave a study, whose runtime, `mode` then, was `eager` on every device."""
    asked = settings.model_dump(mode="json", exclude={"trials", "time_s", "device", "stat", "threads", "data"})
    if settings.sampler == "auto":
        del asked["sampler"]  # a study of an earlier version keeps its name
    asked = _under_former_names(asked)
    asked["data"] = settings.data if settings.data in BUILT_IN else Path(settings.data).name
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
    return f"{settings.space['name']}-{digest}"


def _under_former_names(asked: dict[str, Any]) -> dict[str, Any]:
    """Settings as earlier versions wrote them, which called the runtime `mode`, in the space's budgets too."""
    space = dict(asked["space"])
    if isinstance(budgets := space.get("budgets"), list):
        space["budgets"] = [_with_mode(budget) for budget in budgets]
    return _with_mode(asked) | {"space": space}


def _with_mode(facts: dict[str, Any]) -> dict[str, Any]:
    return {"mode" if name == "runtime" else name: value for name, value in facts.items()}
