"""The search from Python: everything has a default but what should be kept."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from archdsl.errors import SearchError, WrongUse
from archdsl.latency.setting import DTYPES, runtime_of
from archdsl.schema.space import Budget, Space, latency_of
from archdsl.search.data.loading import BUILT_IN, DEFAULT
from archdsl.search.doctor.data import in_built_in_data
from archdsl.search.doctor.feasible import require_feasible
from archdsl.search.ladder.known import check_folders
from archdsl.search.results.clock import LEAST_TIME_S
from archdsl.search.results.folder import RunFolder
from archdsl.search.results.progress import Watcher, silent
from archdsl.search.results.result import Result
from archdsl.search.runner import run_search
from archdsl.search.settings import Sampler, Settings
from archdsl.search.training.fidelity import LEAST_STEPS
from archdsl.search.workers.means import Means, Role
from archdsl.spaces import load_space

GPU_SPACE, CPU_SPACE = "lit-dat-224", "lit-dat-64"
_ASKED = frozenset(Settings.model_fields) - {"space"}


def run(
    space: Space | str | os.PathLike[str] | None = None,
    *,
    latency_budget_ms: float | None = None,
    throughput_budget: float | None = None,
    params_budget: float | None = None,
    macs_budget: float | None = None,
    memory_budget: float | None = None,
    device: str | None = None,
    batch: int | None = None,
    dtype: str | None = None,
    runtime: str | None = None,
    threads: int | None = None,
    stat: str | None = None,
    data: str | os.PathLike[str] | None = None,
    epochs: float | None = None,
    images: int | None = None,
    trials: int | None = None,
    time_s: float | None = None,
    sampler: Sampler | None = None,
    seed: int | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    earlier: Sequence[str | os.PathLike[str]] = (),
    workers: int = 1,
    trial_time_s: float | None = None,
    trial_memory: float | None = None,
    storage: str | None = None,
    role: Role = "both",
    watcher: Watcher = silent,
    mode: str | None = None,
) -> Result:
    """Search a space for the most accurate backbones inside the budgets, as measured on this device.

    Args:
        space: a space, its name or its path; by default the shipped one that fits the device.
        latency_budget_ms: the promise, in ms a batch at `stat`. This and the following stand over the space's own
            budgets.
        throughput_budget: the promise as images a second at the batch; a latency budget of batch / throughput. One of
            the two is given.
        params_budget: parameters.
        macs_budget: multiply-adds of one image.
        memory_budget: bytes of weights and peak activations at the batch.
        device: "cpu" or "cuda"; CUDA if there is one.
        batch: images per batch when measured.
        dtype: "float32", "float16" or "bfloat16" when measured.
        runtime: "eager", "graph" or "compile" when measured; "graph" on a GPU, else "eager".
        threads: CPU threads; by default all physical cores if they are 1.5 times faster than one, else one.
        stat: the statistic of the latency: "min", "p10", "p50" (the default) or "p90".
        data: "shapetex" (the default), "digits", a folder of images by class, an `.npz`, a folder that a Hugging Face
            dataset was saved to, or "hf:NAME" of one.
        epochs: length of the short training that gives the proxy accuracy; by default 2, or as many as 150 steps take
            where the data is small.
        images: training images of an epoch; 2,000 by default.
        trials: distinct networks to measure, over all resumes; without it and `time_s`, ten minutes.
        time_s: seconds for everything up to the measured winner, over all resumes; waiting for the device, on which
            another process measures, is not counted. 20 at least.
        sampler: who proposes what to try next: "auto" (the default), "gp", "tpe", "nsga2", "evolution" or "random".
        seed: of sampling, data order and initial weights; 0 by default.
        out: the run's folder, `runs/TIME-SPACE` by default.
        resume: go on with the run in `out`, with its settings; what is given besides must be equal to them, but for
            `trials` and `time_s`. A finished run gives its result again.
        earlier: folders of runs whose trials are taken over where they are points of the space: accuracies that
            were trained alike are known, latencies are measured anew. They do not count as trials.
        workers: trials side by side on this machine, each in a process of its own; with `device="cuda"` each has a GPU
            of its own. This and the following hold for this part of the run alone.
        trial_time_s: seconds that a trial may take before it counts as failed.
        trial_memory: bytes of the host's memory that a worker may take; on a CPU by default its share of most of it.
        storage: the URL of a PostgreSQL database, `postgresql://USER@HOST/DATABASE`: every machine that is given the
            same search with it works on the same study.
        role: "train" for a machine that only trains what others measured, "measure" for one that only measures;
            either needs `storage`.
        watcher: is told of progress.
        mode: the former name of `runtime`.

    Raises:
        WrongUse: `storage` or `role` cannot be so, `runtime` and `mode` differ, or `time_s` is too short.
        SpecError: the space is refused.
        RunExists: `out` holds a run, and `resume` is false.
        MeasureError: the device or the setting is not available here.
        SearchError: the search cannot start or go on.
    """
    means = Means(workers, trial_time_s, trial_memory, storage, role).checked()
    given = {key: value for key, value in locals().items() if key in _ASKED}
    given["runtime"] = runtime_of(runtime, mode)
    started, folders = time.monotonic(), [os.fspath(path) for path in earlier]
    if resume and folders:
        raise WrongUse("a run takes over earlier trials when it begins, not when it is resumed")
    check_folders(folders)
    if time_s is not None and time_s < LEAST_TIME_S and not resume:
        raise WrongUse(too_short(time_s))
    if data is not None:
        given["data"] = absolute(data)
    if resume:
        if out is None:
            raise SearchError("name the run to resume by its folder")
        settings = _resumed(Path(out), space, given)
    else:
        settings = settings_of(space, **given)
        require_feasible(settings)
    folder = Path(out) if out is not None else new_folder(settings)
    return run_search(settings, folder, resume, watcher, started, means=means, earlier=folders)


def too_short(time_s: float) -> str:
    """Why a limit on the time is refused, and the least that makes sense."""
    rule = f"a time limit of {time_s:g} s is too short: starting, training one network and measuring it takes longer"
    return f"{rule}; give at least {LEAST_TIME_S:g} s (--time {LEAST_TIME_S:g}s, time_s={LEAST_TIME_S:g})"


def settings_of(space: Space | str | os.PathLike[str] | None, **given: Any) -> Settings:
    """The settings of a search: what is given, else the space's own budgets, else the defaults.

    Raises:
        SpecError, MeasureError, SearchError: as `run`.
    """
    from archdsl.latency import checked_stat, default_device, default_stat
    from archdsl.latency.setting import Setting

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


def _resumed(folder: Path, space: Space | str | os.PathLike[str] | None, given: dict[str, Any]) -> Settings:
    """The settings of the run in a folder, with what was said now in their place."""
    said = {name: value for name, value in given.items() if value is not None}
    if dtype := said.get("dtype"):
        said["dtype"] = DTYPES.get(dtype, dtype)
    if space is not None:
        said["space"] = document_of(space if isinstance(space, Space) else load_space(space))
    before = RunFolder(folder).settings()
    if said.keys() & {"latency_budget_ms", "throughput_budget"}:
        said |= _promise(said, None, said.get("batch", before.batch))
    limits = {"trials": given["trials"], "time_s": given["time_s"]}
    return _checked(**{**before.model_dump(), **said, **limits})


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
