"""The search from Python: everything has a default but what should be kept."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from archdsl.errors import SearchError, WrongUse
from archdsl.numbers import plain_text
from archdsl.runtimes.setting import runtime_of
from archdsl.runtimes.target import Target
from archdsl.search.baselines import Source, baseline_documents, check_baselines, several, weights_notes
from archdsl.search.config import Settings
from archdsl.search.defaults import (
    NO_LIBRARY,
    NO_PARENT,
    absolute,
    default_note,
    new_folder,
    resumed_settings,
    settings_of,
)
from archdsl.search.doctor.feasible import require_feasible
from archdsl.search.loop.session import run_search
from archdsl.search.policy import SHIPPED
from archdsl.search.propose.warm_start import check_folders
from archdsl.search.request import Role, Sampler, SettingsRequest
from archdsl.search.store.folder import RunFolder
from archdsl.search.store.progress import Watcher, silent
from archdsl.search.store.result import Result
from archdsl.search.trial import BESIDE
from archdsl.search.worker.machine_options import MachineOptions
from archdsl.search.worker.process import check_system
from archdsl.spaces.space import Space


def run(
    space: Space | str | os.PathLike[str] | None = None,
    *,
    latency_budget_ms: float | None = None,
    latency_share: float | None = None,
    parent: str | os.PathLike[str] | None = None,
    library: str | os.PathLike[str] | None = None,
    throughput_budget: float | None = None,
    params_budget: float | None = None,
    macs_budget: float | None = None,
    memory_budget: float | None = None,
    device: str | None = None,
    batch: int | None = None,
    dtype: str | None = None,
    runtime: str | None = None,
    target: str | None = None,
    features_only: bool | None = None,
    optimize: bool | None = None,
    threads: int | None = None,
    stat: str | None = None,
    data: str | os.PathLike[str] | None = None,
    epochs: float | None = None,
    images: int | None = None,
    trials: int | None = None,
    time_s: float | None = None,
    sampler: Sampler | None = None,
    seed: int | None = None,
    also: Source | Sequence[Source] = (),
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
        space: a space, its name or its path; by default the shipped one for the device.
        latency_budget_ms: maximum latency of one batch in ms, at `stat`. This and the following budgets replace those
            of the space.
        latency_share: maximum latency as a share of the parent's, measured in the same runtime: 0.6 for 60 %.
        parent: a trained network, the path of a `.safetensors` of ours, whose weights candidates inherit; "none" for
            none. By default the one that the space names, if it does: `lit-dat-64` has one that ships. It is brought to
            the data's classes first. Where the space names none and `time_s` is at least 900, one of the space's seeds
            is trained first.
        library: the folder that `archdsl library build` made of the parent: its best networks for the budget are tried
            first, and candidates made of its blocks begin with these as they were fitted. Without a space the search is
            over the library's. "none" for none. By default one is fitted in the folder of the run, in 30 % of the time
            at most, where there is a parent that exceeds the budgets, the space is no space of your own, and the time
            is at least 300 s.
        throughput_budget: minimum images per second at the batch: a latency budget of batch / throughput. Only one of
            the two may be given.
        params_budget: maximum parameters.
        macs_budget: maximum multiply-adds of one image.
        memory_budget: maximum bytes of weights and peak activations at the batch.
        device: "cpu", "cuda" or "cuda:N"; CUDA by default if there is one.
        batch: images per batch when measured; 1 by default.
        dtype: "float32" (the default), "float16", "bfloat16" or "int8" when measured. "int8" is for runtimes that run
            files, and the accuracy of the quantised file decides which finalist wins.
        runtime: what executes the network when measured: "eager", "graph", "compile", "onnxruntime" or "openvino". By
            default "graph" on a GPU; on a CPU "onnxruntime" where its packages are installed, else "eager".
        target: another machine, "ssh://user@host", that measures on its CPU, in "onnxruntime" (then the default) or
            "openvino"; networks are exported and trained here.
        features_only: measure the backbone for dense prediction, which gives maps and has no head: the latency budget
            is its, and so is `winner.onnx`. Accuracy, params and MACs stay those of the classifier.
        optimize: measure the inference form of every network (`archdsl.optimize`), in runtimes that run files the file
            exported from it, which is then `winner.onnx`. `winner.safetensors` stays the network as it was trained.
        threads: CPU threads; by default all physical cores if they are 1.5 times faster than one, else 1.
        stat: the statistic of the latency: "min", "p10", "p50" (the default) or "p90".
        data: training data: "shapetex" (the default), "digits", a folder with a folder per class, an `.npz` file, a
            folder that a Hugging Face dataset was saved to, or "hf:NAME" of one.
        epochs: epochs of short training; by default 2, or as many as 150 steps take where the data is small.
        images: training images per epoch; 2,000 by default.
        trials: stop after measuring this many distinct networks, over all resumes; no limit by default.
        time_s: stop after this many seconds of wall-clock time, over all resumes; by default 600, or no limit where
            `trials` is given. Waiting for the device while another process measures is not counted. At least 20.
        sampler: the search algorithm: "auto" (the default), "gp", "tpe", "nsga2", "evolution" or "random".
        seed: seed of sampling, data order and initial weights; 0 by default.
        also: networks that are tried first, points of the space or not: backbones, zoo names, paths of JSON files or of
            `.safetensors` of ours (whose weights are not used), dicts, or "timm:NAME". Each may become the winner, but
            models of timm, which are compared alone.
        out: folder of the run; `runs/TIME-SPACE` by default.
        resume: continue the run in `out` with its settings; other arguments must be equal to them, except for `trials`
            and `time_s`. A finished run returns its result again.
        earlier: folders of earlier runs whose trainings are reused where they fit; latencies are measured anew. They do
            not count as trials.
        workers: networks evaluated in parallel on this machine, each in its own process; with `device="cuda"`, each on
            its own GPU. This and the following hold for this call alone: a run may be resumed with others.
        trial_time_s: a trial that takes longer than this many seconds counts as failed; no limit by default.
        trial_memory: bytes of host memory that one worker may use; by default an equal share on a CPU, else no limit.
        storage: URL of a PostgreSQL database, `postgresql://USER@HOST/DATABASE`, through which machines share the
            study: every machine that is given the same search and the same URL works on it.
        role: what this machine does in a shared study: "both", "train" (what others measured) or "measure".
        watcher: is called with the progress.
        mode: the former name of `runtime`.

    Raises:
        WrongUse: `storage` or `role` is not valid, `runtime` and `mode` differ, both a latency and a throughput budget
            are given, `target` is unusable, or `time_s` is too short.
        SpecError: the space is refused, or a network of `also`.
        RunExists: `out` holds a run, and `resume` is false.
        MeasureError: the device or the setting is not available here.
        SearchError: the search cannot start or go on.
    """
    check_system()
    options = MachineOptions(workers, trial_time_s, trial_memory, storage, role).checked()
    request = SettingsRequest(
        latency_budget_ms=latency_budget_ms,
        latency_share=latency_share,
        parent=None if parent is None else os.fspath(parent),
        library=_library_folder(library),
        throughput_budget=throughput_budget,
        params_budget=params_budget,
        macs_budget=macs_budget,
        memory_budget=memory_budget,
        device=device,
        batch=batch,
        dtype=dtype,
        runtime=runtime_of(runtime, mode),
        target=None if target is None else Target.parse(target).url,
        features_only=features_only,
        optimize=optimize,
        threads=threads,
        stat=stat,
        data=None if data is None else absolute(data),
        epochs=epochs,
        images=images,
        trials=trials,
        time_s=time_s,
        sampler=sampler,
        seed=seed,
        also=[document for source in several(also) for document in baseline_documents(source)] or None,
    )
    if options.storage is not None:
        request = _without_parent(request)
    started, folders = time.monotonic(), [_folder(os.fspath(path)) for path in earlier]
    _check(request, resume, folders)
    notes = list[str]()
    if resume:
        if out is None:
            raise SearchError("give the folder of the run to resume (out=)")
        settings = resumed_settings(RunFolder(Path(out)).settings(), space, request)
    else:
        settings = settings_of(space, request)
        first = default_note(settings, request)
        notes = [*([] if first is None else [first]), *parent_notes(settings), *weights_notes(several(also))]
        require_feasible(settings, SHIPPED.descent)
        check_baselines(settings)
    folder = Path(out) if out is not None else new_folder(settings)
    return run_search(settings, folder, resume, watcher, started, options=options, earlier=folders, notes=notes)


def _library_folder(library: str | os.PathLike[str] | None) -> str | None:
    if library is None or os.fspath(library) == NO_LIBRARY:
        return None if library is None else NO_LIBRARY
    return str(Path(library).expanduser().absolute())


def _folder(path: str) -> str:
    """The path of an earlier run, which in a trial's origin must not look like a word for what stood beside a space."""
    return f"./{path}" if path in BESIDE else path


def _check(request: SettingsRequest, resume: bool, earlier: Sequence[str]) -> None:
    """Refuse what cannot be, before anything is read of the space.

    Raises:
        WrongUse: a run that is resumed is to take over trials, or the time is too short.
        SearchError: an earlier run cannot be read.
    """
    if resume and earlier:
        rule = "can be given when a run begins, not when it is resumed"
        raise WrongUse(f"earlier runs (earlier) {rule}", command_text=f"earlier runs (--from) {rule}")
    check_folders(earlier)
    if request.time_s is not None and request.time_s < SHIPPED.time.least_s and not resume:
        least = plain_text(SHIPPED.time.least_s)
        in_python = too_short(request.time_s, f"time_s={least}")
        raise WrongUse(in_python, command_text=too_short(request.time_s, f"--time {least}s"))


def _without_parent(request: SettingsRequest) -> SettingsRequest:
    """The request of a study that machines share: each would adapt and measure a parent of its own.

    Raises:
        WrongUse: a parent is named.
    """
    has_library = request.library not in (None, NO_LIBRARY)
    if request.latency_share is not None or has_library or request.parent not in (None, NO_PARENT):
        is_share = request.latency_share is not None
        what = "a budget in percent of a parent's latency" if is_share else "a search with a parent"
        instead = "give the budget in milliseconds" if is_share else "leave out --parent"
        instead += " and --library" if has_library else ""
        raise WrongUse(
            f"{what} cannot be shared by --storage: every machine would adapt a parent of its own, and what inherits "
            f"from different ones is not compared; {instead} to share the search, or leave out --storage to search on "
            "this machine alone"
        )
    return replace(request, parent=NO_PARENT)


def parent_notes(settings: Settings) -> list[str]:
    """What a search with a parent is told at the start: a time that may be over before its first trial, and a latency
    budget in percent that the parent itself meets.
    """
    notes, least_s, time_s, share = (
        list[str](),
        SHIPPED.time.least_with_parent_s,
        settings.time_s,
        settings.latency_share,
    )
    if settings.parent is not None and time_s is not None and time_s < least_s:
        before = "the parent is brought to the data and measured first, and few networks can be fine-tuned after that"
        minutes = plain_text(SHIPPED.time.usual_with_parent_s / 60)
        notes.append(f"{plain_text(time_s)} s are short: {before}; {minutes} minutes are usual (--time {minutes}m)")
    if share is not None and share > 1:
        budget = f"the latency budget, {plain_text(100 * share)} % of the parent's latency,"
        notes.append(f"{budget} is above that latency: the parent itself meets it")
    return notes


def too_short(time_s: float, least: str) -> str:
    """Why a limit on the time is refused; `least` is how the least that makes sense is written."""
    rule = f"a time limit of {plain_text(time_s)} s is too short: starting, training one network and measuring it"
    return f"{rule} takes longer; give {least} or more, and still more on a slow or busy machine"
