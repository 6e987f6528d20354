"""The proxy check from Python: everything has a default."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from archdsl.errors import WrongUse
from archdsl.schema.space import Space
from archdsl.search.api import absolute, first_of, new_folder, settings_of
from archdsl.search.proxy_check import EPOCHS, Check, check

_TRAINING = (
    *("params_budget", "macs_budget", "memory_budget", "device", "threads"),
    *("time_s", "data", "epochs", "images", "seed"),
)


def checked_proxies(
    space: Space | str | os.PathLike[str] | None = None,
    *,
    networks: int | None = None,
    seeds: int | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    say: Callable[[str], None] = lambda text: None,
    **given: Any,
) -> dict[str, Any]:
    """How well scores and short training rank networks of a space, by full training with several seeds.

    Args:
        space: as of `run`.
        networks: how many to draw, 32 by default.
        seeds: trainings of each, 2 by default.
        out: the check's folder, `runs/TIME-SPACE-check` by default.
        resume: go on with the check in `out`.
        say: is told of every network.
        given: `params_budget`, `macs_budget`, `memory_budget`, `device`, `threads`, `time_s`, `data`, `epochs` (6 by
            default), `images` and `seed`, as of `run`.

    Raises:
        SpecError, MeasureError, RunExists, SearchError: as `run`.
    """
    unmeasured = dict.fromkeys(("latency_budget_ms", "throughput_budget", "batch", "dtype", "mode", "trials"))
    given = {**dict.fromkeys(_TRAINING), **unmeasured, **given}
    given["epochs"] = given["epochs"] or EPOCHS
    if given["data"] is not None:
        given["data"] = absolute(given["data"])
    settings = settings_of(space, **given)
    counts = {"networks": networks, "seeds": seeds}
    try:
        asked = Check(settings=settings, **{name: count for name, count in counts.items() if count is not None})
    except ValidationError as error:
        raise WrongUse(first_of(error)) from None
    if resume and out is None:
        raise WrongUse("name the check to resume by its folder")
    folder = Path(out) if out is not None else new_folder(settings, "-check")
    return check(asked, folder, resume, say)
