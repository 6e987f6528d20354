"""The process on another machine that measures one job, fresh for it: nothing there has run before."""

from __future__ import annotations

import base64
import contextlib
import importlib
import json
import os
import shutil
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.errors import ArchError
from archdsl.latency.remote.job import ALIVE_S, say

if TYPE_CHECKING:
    from archdsl.latency.remote.job import Fact, Job
    from archdsl.runtimes.array_session import ArraySession, Floats
    from archdsl.timing.interleaved import Pace, Runner
    from archdsl.timing.rounds import Lap

_MOST_BYTES = 64 * 2**20
"""Of outputs that are sent back; those of one input at the least."""
_SEEDS = (0, 1)


def measure(folder: Path) -> int:
    """Answer the job that lies in a folder."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not look like an answer
    threading.Thread(target=_end_with_parent, args=(folder,), daemon=True).start()
    job: Job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    try:
        result = _problem(job) or _result(job, folder)
    except MemoryError:
        result = {"problem": "failed", "text": "out of memory"}
    except (ArchError, OSError, RuntimeError, ValueError) as error:
        result = {"problem": "failed", "text": " ".join(str(error).split())[:300] or type(error).__name__}
    json.dump(result, out)
    out.flush()
    return 0


def _end_with_parent(folder: Path) -> None:
    """The input ends with the serving process, also where that was killed."""
    with contextlib.suppress(OSError):
        while os.read(0, 1):
            pass
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def _problem(job: Job) -> dict[str, Fact]:
    """What is missing here, or is here in another version; empty where nothing is."""
    for package in ("numpy", job["runtime"]):
        try:
            importlib.import_module(package)
        except ImportError as error:
            is_absent = isinstance(error, ModuleNotFoundError) and error.name == package
            return {"problem": "missing", "package": package, "text": "" if is_absent else str(error)}
    there = version_of(job["runtime"])
    return {} if there == job["version"] else {"problem": "version", "there": there}


def version_of(package: str) -> str:
    """The version of an installed package without what names its build: `2026.4.1-20137` is 2026.4.1."""
    version = str(importlib.import_module(package).__version__)
    return version.partition("-")[0].partition("+")[0]


def _result(job: Job, folder: Path) -> dict[str, Fact]:
    """Facts of this machine, and what was measured, where something was to be."""
    from archdsl.timing.cores import physical_cores
    from archdsl.timing.host import host_facts
    from archdsl.timing.threads import faster_threads

    versions: dict[str, Fact] = {name: version_of(name) for name in ("numpy", job["runtime"])}
    if not job["networks"]:
        return {"host": _host(host_facts()), "versions": versions}
    networks = job["networks"]
    images = {network["name"]: seeded_images(tuple(network["shape"]), _SEEDS[0]) for network in networks}

    def runners_on(threads: int) -> list[Runner]:
        say(threads=str(threads))
        sessions = [_opened(job["runtime"], folder, network["file"], threads) for network in networks]
        return [session.bound(images[each["name"]]) for session, each in zip(sessions, networks, strict=True)]

    threads = job["threads"] or faster_threads(physical_cores(), runners_on)
    if job["pace"] is None:
        return {"threads": threads, "host": _host(host_facts()), "versions": versions}
    sessions = {each["name"]: _opened(job["runtime"], folder, each["file"], threads) for each in networks}
    runners = {name: session.bound(images[name]) for name, session in sessions.items()}
    measured = _rounds(job, runners, threads)
    outputs: dict[str, Fact] = {}
    for network in networks:
        if str(network["file"]) not in outputs:
            outputs[str(network["file"])] = _outputs(sessions[network["name"]], tuple(network["shape"]))
    options: dict[str, Fact] = {**next(iter(sessions.values())).options()}
    host = _host(host_facts())
    return {**measured, "threads": threads, "host": host, "versions": versions, "options": options, "outputs": outputs}


def _host(facts: Mapping[str, object]) -> dict[str, Fact]:
    plain: dict[str, Fact] = json.loads(json.dumps(facts))
    return plain


def _opened(runtime: str, folder: Path, file: int, threads: int) -> ArraySession:
    path = folder / f"{file}.onnx"
    if runtime == "openvino":
        from archdsl.runtimes.openvino_session import OpenVinoSession

        return OpenVinoSession(path, threads)
    from archdsl.runtimes.onnx_session import OnnxSession

    return OnnxSession(path, threads)


def _rounds(job: Job, runners: Mapping[str, Runner], threads: int) -> dict[str, Fact]:
    """The rounds of each network, and what ran beside them."""
    from archdsl.timing.cores import available_cores
    from archdsl.timing.gate import GateStop
    from archdsl.timing.interleaved import Host, take_rounds, wall_timer
    from archdsl.timing.machine import MachineWatch
    from archdsl.timing.speed import speed_here

    for run in runners.values():
        run()
    said_s = time.monotonic()

    def timer(run: Runner, calls: int) -> Lap:
        nonlocal said_s
        lap = wall_timer(run, calls)
        if time.monotonic() - said_s > ALIVE_S:
            said_s = time.monotonic()
            say(alive=True)
        return lap

    pace: Pace = {**(job["pace"] or {})}  # type: ignore[typeddict-item]  # the caller made it of one
    if job["gate"] is not None:
        pace["stop"] = GateStop(**job["gate"])
    watch = MachineWatch()
    wall, busy = time.perf_counter(), time.process_time()
    host = Host(threads, available_cores(), watch, speed=speed_here())
    taken = take_rounds(runners, timer, host, **pace)
    share = (time.process_time() - busy) / (time.perf_counter() - wall)
    window = watch.whole()
    rounds: dict[str, Fact] = {
        name: {"ms": list(each.ms), "undisturbed": list(each.undisturbed), "calls": each.calls, "slowed": each.slowed}
        for name, each in taken.items()
    }
    return {
        "rounds": rounds,
        "cpu_share": round(share, 3),
        "other_cores": None if window is None else round(window.others, 2),
        "throttled": None if window is None else window.throttled,
    }


def seeded_images(shape: tuple[int, ...], seed: int | None) -> Floats:
    """Noise (B, C, H, W) that is the same on every machine, since numpy keeps this generator; zeros without a seed."""
    import numpy as np

    if seed is None:
        return np.zeros(shape, np.float32)
    return np.random.RandomState(seed).standard_normal(shape).astype(np.float32)


def checked_images(shape: tuple[int, ...]) -> list[Floats]:
    """The inputs by which a file is checked: two of noise and one of zeros."""
    return [seeded_images(shape, seed) for seed in (*_SEEDS, None)]


def _outputs(session: ArraySession, shape: tuple[int, ...]) -> list[Fact]:
    """For each of `checked_images` the outputs; of the first ones alone where they are large."""
    sent: list[Fact] = []
    size = 0
    for images in checked_images(shape):
        arrays = session.outputs(images)
        size += sum(array.nbytes for array in arrays)
        if sent and size > _MOST_BYTES:
            break
        sent.append([{"shape": list(array.shape), "data": _text(array)} for array in arrays])
    return sent


def _text(array: Floats) -> str:
    return base64.b64encode(array.astype("<f4").tobytes()).decode()
