"""The settings of a search: what was asked for, else the space's own budgets, else the defaults."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from archdsl.data.agreement import in_built_in_data
from archdsl.data.loading import BUILT_IN, DEFAULT
from archdsl.errors import SearchError, WrongUse
from archdsl.load.spaces import load_space
from archdsl.runtimes.setting import DTYPES, runtime_of
from archdsl.search.config import Settings
from archdsl.spaces.space import Budget, Space, latency_of
from archdsl.training.fidelity import LEAST_STEPS

GPU_SPACE, CPU_SPACE = "lit-dat-224", "lit-dat-64"


def settings_of(space: Space | str | os.PathLike[str] | None, **given: Any) -> Settings:
    """The settings of a search: what is given, else the space's own budgets, else the defaults.

    Raises:
        SpecError, MeasureError, SearchError: as `run`.
    """
    from archdsl.latency import checked_stat, default_device, default_stat
    from archdsl.runtimes.setting import Setting

    if not isinstance(space, Space):
        space = load_space(space if space is not None else default_space(given["device"]))
    measured = space.budget("latency") or space.budget("throughput")
    device = given["device"] or (measured and measured.device) or default_device()
    given["runtime"] = runtime_of(given.get("runtime"), given.get("mode"))
    chosen = {name: given[name] or getattr(measured, name, None) for name in ("batch", "dtype", "runtime", "threads")}
    setting = Setting.checked(device, chosen["batch"] or 1, chosen["dtype"] or "float32", chosen["runtime"])
    own = {name: budget.limit if (budget := space.budget(name)) else None for name in ("params", "macs", "memory")}
    in_built_in_data(space, given.get("data") or DEFAULT)  # refused before anything begins
    plain = ("data", "epochs", "images", "trials", "time_s", "sampler", "seed")
    return _checked(
        space=document_of(space),
        **_promise(given, measured, setting.batch),
        params_budget=given["params_budget"] or own["params"],
        macs_budget=given["macs_budget"] or own["macs"],
        memory_budget=given["memory_budget"] or own["memory"],
        device=setting.device,
        stat=checked_stat(given.get("stat") or (measured and measured.stat) or default_stat(setting.device)),
        batch=setting.batch,
        dtype=setting.dtype,
        runtime=setting.runtime,
        threads=chosen["threads"],
        least_steps=0 if given.get("epochs") is not None else LEAST_STEPS,
        **{name: given[name] for name in plain if given.get(name) is not None},
    )


def default_space(device: str | None = None) -> str:
    """The shipped space that fits a device, else the default device."""
    from archdsl.latency import default_device

    return GPU_SPACE if (device or default_device()).startswith("cuda") else CPU_SPACE


def _checked(**fields: Any) -> Settings:
    """Settings of these fields.

    Raises:
        SearchError: one of them is refused.
    """
    try:
        return Settings(**fields)
    except ValidationError as error:
        raise SearchError(first_of(error)) from None


def first_of(error: ValidationError) -> str:
    """What is wrong with the first field that is refused."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    return f"{name}: {first['msg']}; got {first['input']!r}"


def _promise(given: dict[str, Any], own: Budget | None, batch: int) -> dict[str, float | None]:
    """The latency budget, said as images a second where it was asked for so; what is given stands over the space's.

    Raises:
        WrongUse: both are given.
        SearchError: a throughput is not above 0.
    """
    latency, throughput = given.get("latency_budget_ms"), given.get("throughput_budget")
    if latency is not None and throughput is not None:
        raise WrongUse("a throughput budget is a latency budget of batch / throughput; give one of the two")
    if latency is None and throughput is None and own is not None:
        latency, throughput = (own.limit, None) if own.metric == "latency" else (None, own.limit)
    if throughput is not None:
        if throughput <= 0:
            raise SearchError(f"throughput_budget must be above 0 images a second; got {throughput}")
        latency = latency_of(throughput, batch)
    return {"latency_budget_ms": latency, "throughput_budget": throughput}


def document_of(space: Space) -> dict[str, Any]:
    """A space as JSON values, as it was written."""
    return space.model_dump(mode="json", by_alias=True, exclude_unset=True)


def absolute(data: str | os.PathLike[str]) -> str:
    """The path of data as it is named from any folder; a name that is built in stays."""
    path = Path(data).expanduser()
    return str(path.absolute()) if str(data) not in BUILT_IN and path.exists() else str(data)


def new_folder(settings: Settings, what: str = "") -> Path:
    """`runs/TIME-SPACE`, a name that is not taken."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")  # the user's own clock
    path = Path("runs") / f"{stamp}-{settings.space['name']}{what}"
    number = 2
    while path.exists():
        path = Path("runs") / f"{stamp}-{settings.space['name']}{what}-{number}"
        number += 1
    return path


def resumed_settings(before: Settings, space: Space | str | os.PathLike[str] | None, given: dict[str, Any]) -> Settings:
    """The settings of the run in a folder, with what was said now in their place."""
    said = {name: value for name, value in given.items() if value is not None}
    if dtype := said.get("dtype"):
        said["dtype"] = DTYPES.get(dtype, dtype)
    if space is not None:
        said["space"] = document_of(space if isinstance(space, Space) else load_space(space))
    if said.keys() & {"latency_budget_ms", "throughput_budget"}:
        said |= _promise(said, None, said.get("batch", before.batch))
    limits = {"trials": given["trials"], "time_s": given["time_s"]}
    return _checked(**{**before.model_dump(), **said, **limits})
