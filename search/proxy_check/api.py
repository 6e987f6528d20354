"""The proxy check from Python: everything has a default."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from archdsl.errors import WrongUse
from archdsl.json_types import JsonObject
from archdsl.load.spaces import load_space
from archdsl.search.defaults import absolute, document_of, first_of, new_folder, settings_of
from archdsl.search.proxy_check.check import EPOCHS, FULL_STEPS, Check, check
from archdsl.search.proxy_check.folder import CheckFolder
from archdsl.search.proxy_check.result import CheckResult
from archdsl.search.request import SettingsRequest
from archdsl.search.worker.process import check_system
from archdsl.spaces.space import Space


def checked_proxies(
    space: Space | str | os.PathLike[str] | None = None,
    *,
    networks: int | None = None,
    seeds: int | None = None,
    params_budget: float | None = None,
    macs_budget: float | None = None,
    memory_budget: float | None = None,
    device: str | None = None,
    threads: int | None = None,
    time_s: float | None = None,
    data: str | os.PathLike[str] | None = None,
    epochs: float | None = None,
    images: int | None = None,
    seed: int | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    earlier: Sequence[str] = (),
    say: Callable[[str], None] = lambda text: None,
) -> CheckResult:
    """How well scores and short training rank networks of a space, by full training with several seeds.

    Args:
        space: as of `run`.
        networks: how many to draw, 32 by default.
        seeds: trainings of each network, one per seed, 2 by default.
        params_budget: as of `run`, like the next two; networks are drawn inside them.
        macs_budget: multiply-adds of one image.
        memory_budget: bytes of weights and peak activations.
        device: as of `run`, like `threads` and `data`.
        threads: CPU threads.
        time_s: seconds after which the check ends with what is done; no limit by default.
        data: training data by its name or path.
        epochs: length of a full training; 6 by default, or as many as 450 steps take where the data is small.
        images: training images of an epoch; 2,000 by default.
        seed: of the first training, and of drawing the networks; 0 by default.
        out: the check's folder, `runs/TIME-SPACE-check` by default.
        resume: continue the check in `out`, with its settings; what is given besides must be equal to them, but for
            `networks` and `time_s`.
        earlier: checks on the same data, of the same length, to fit the predictor on as well; folders, or their JSON.
        say: is called with a line for every network.

    Raises:
        SpecError, MeasureError, RunExists, SearchError: as `run`.
    """
    check_system()
    if resume and out is None:
        raise WrongUse("give the folder of the check to resume (out=)")
    request = SettingsRequest(
        params_budget=params_budget,
        macs_budget=macs_budget,
        memory_budget=memory_budget,
        device=device,
        threads=threads,
        time_s=time_s,
        data=None if data is None else absolute(data),
        epochs=epochs,
        images=images,
        seed=seed,
    )
    counts: JsonObject = {name: n for name, n in (("networks", networks), ("seeds", seeds)) if n is not None}
    if earlier:
        counts["earlier"] = list(earlier)
    try:
        asked = (
            _resumed(Path(out), space, request, counts) if resume and out is not None else _new(space, request, counts)
        )
    except ValidationError as error:
        raise WrongUse(first_of(error)) from None
    folder = Path(out) if out is not None else new_folder(asked.settings, "-check")
    return check(asked, folder, resume, say)


def _new(space: Space | str | os.PathLike[str] | None, request: SettingsRequest, counts: JsonObject) -> Check:
    """A check as it is asked for, with defaults for all else. It measures no latency: its runtime needs no package."""
    request = replace(request, runtime="eager")
    if request.epochs is not None:
        settings = settings_of(space, request)
    else:
        settings = settings_of(space, replace(request, epochs=EPOCHS)).model_copy(update={"least_steps": FULL_STEPS})
    return Check.model_validate({"settings": settings, **counts})


def _resumed(
    folder: Path, space: Space | str | os.PathLike[str] | None, request: SettingsRequest, counts: JsonObject
) -> Check:
    """The check in a folder, with what is named now in its place; whether that is allowed is seen to later."""
    before = CheckFolder(folder).asked()
    named: JsonObject = {"time_s": None, **request.named}
    if space is not None:
        named["space"] = document_of(space if isinstance(space, Space) else load_space(space))
    kept = before["settings"]
    settings = {**(kept if isinstance(kept, dict) else {}), **named}
    return Check.model_validate({**before, "settings": settings, **counts})
