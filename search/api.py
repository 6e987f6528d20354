"""The search from Python: everything has a default but what should be kept."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from archdsl.errors import SearchError, WrongUse
from archdsl.runtimes.setting import runtime_of
from archdsl.search.defaults import absolute, new_folder, resumed_settings, settings_of
from archdsl.search.doctor.feasible import require_feasible
from archdsl.search.loop.session import run_search
from archdsl.search.propose.warm_start import check_folders
from archdsl.search.request import Role, Sampler, SettingsRequest
from archdsl.search.store.clock import LEAST_TIME_S
from archdsl.search.store.folder import RunFolder
from archdsl.search.store.progress import Watcher, silent
from archdsl.search.store.result import Result
from archdsl.search.worker.machine_options import MachineOptions
from archdsl.spaces.space import Space


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
    options = MachineOptions(workers, trial_time_s, trial_memory, storage, role).checked()
    request = SettingsRequest(
        latency_budget_ms=latency_budget_ms,
        throughput_budget=throughput_budget,
        params_budget=params_budget,
        macs_budget=macs_budget,
        memory_budget=memory_budget,
        device=device,
        batch=batch,
        dtype=dtype,
        runtime=runtime_of(runtime, mode),
        threads=threads,
        stat=stat,
        data=None if data is None else absolute(data),
        epochs=epochs,
        images=images,
        trials=trials,
        time_s=time_s,
        sampler=sampler,
        seed=seed,
    )
    started, folders = time.monotonic(), [os.fspath(path) for path in earlier]
    _check(request, resume, folders)
    if resume:
        if out is None:
            raise SearchError("name the run to resume by its folder")
        settings = resumed_settings(RunFolder(Path(out)).settings(), space, request)
    else:
        settings = settings_of(space, request)
        require_feasible(settings)
    folder = Path(out) if out is not None else new_folder(settings)
    return run_search(settings, folder, resume, watcher, started, options=options, earlier=folders)


def _check(request: SettingsRequest, resume: bool, earlier: Sequence[str]) -> None:
    """Refuse what cannot be, before anything is read of the space.

    Raises:
        WrongUse: a run that is resumed is to take over trials, or the time is too short.
        SearchError: an earlier run cannot be read.
    """
    if resume and earlier:
        raise WrongUse("a run takes over earlier trials when it begins, not when it is resumed")
    check_folders(earlier)
    if request.time_s is not None and request.time_s < LEAST_TIME_S and not resume:
        raise WrongUse(too_short(request.time_s))


def too_short(time_s: float) -> str:
    """Why a limit on the time is refused, and the least that makes sense."""
    rule = f"a time limit of {time_s:g} s is too short: starting, training one network and measuring it takes longer"
    return f"{rule}; give at least {LEAST_TIME_S:g} s (--time {LEAST_TIME_S:g}s, time_s={LEAST_TIME_S:g})"
