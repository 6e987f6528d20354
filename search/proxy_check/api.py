"""The proxy check from Python: everything has a default."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from archdsl.errors import WrongUse
from archdsl.load.spaces import load_space
from archdsl.search.defaults import absolute, document_of, first_of, new_folder, settings_of
from archdsl.search.proxy_check.check import EPOCHS, FULL_STEPS, Check, check
from archdsl.search.proxy_check.folder import CheckFolder
from archdsl.spaces.space import Space

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
    earlier: Sequence[str] = (),
    say: Callable[[str], None] = lambda text: None,
    **given: Any,
) -> dict[str, Any]:
    """How well scores and short training rank networks of a space, by full training with several seeds.

    Args:
        space: as of `run`.
        networks: how many to draw, 32 by default.
        seeds: trainings of each, 2 by default.
        out: the check's folder, `runs/TIME-SPACE-check` by default.
        resume: go on with the check in `out`, as it was asked for; what is given besides must be equal, but for
            `networks` and `time_s`.
        earlier: checks on the same data, of the same length, by whose networks those of this one are told too; folders,
            or files of what they told.
        say: is told of every network.
        given: `params_budget`, `macs_budget`, `memory_budget`, `device`, `threads`, `time_s`, `data`, `epochs` (6 by
            default, or as many as 450 steps take), `images` and `seed`, as of `run`.

    Raises:
        SpecError, MeasureError, RunExists, SearchError: as `run`.
    """
    if resume and out is None:
        raise WrongUse("name the check to resume by its folder")
    said = {name: value for name, value in given.items() if value is not None}
    if said.get("data") is not None:
        said["data"] = absolute(said["data"])
    counts: dict[str, Any] = {
        name: count for name, count in (("networks", networks), ("seeds", seeds)) if count is not None
    }
    if earlier:
        counts["earlier"] = tuple(earlier)
    try:
        asked = _resumed(Path(out), space, said, counts) if resume and out is not None else _new(space, said, counts)
    except ValidationError as error:
        raise WrongUse(first_of(error)) from None
    folder = Path(out) if out is not None else new_folder(asked.settings, "-check")
    return check(asked, folder, resume, say)


def _new(space: Space | str | os.PathLike[str] | None, said: dict[str, Any], counts: dict[str, Any]) -> Check:
    """A check as it is asked for, with defaults for all else."""
    unmeasured = dict.fromkeys(("latency_budget_ms", "throughput_budget", "batch", "dtype", "runtime", "trials"))
    given = {**dict.fromkeys(_TRAINING), **unmeasured, "epochs": EPOCHS, **said}
    settings = settings_of(space, **given)
    if "epochs" not in said:
        settings = settings.model_copy(update={"least_steps": FULL_STEPS})
    return Check.model_validate({"settings": settings, **counts})


def _resumed(
    folder: Path, space: Space | str | os.PathLike[str] | None, said: dict[str, Any], counts: dict[str, Any]
) -> Check:
    """The check in a folder, with what was said now in its place; whether that is allowed is seen to later."""
    before = CheckFolder(folder).asked()
    if space is not None:
        said = said | {"space": document_of(space if isinstance(space, Space) else load_space(space))}
    kept = before["settings"]
    settings = {**(kept if isinstance(kept, dict) else {}), "time_s": None, **said}
    return Check.model_validate({**before, "settings": settings, **counts})
