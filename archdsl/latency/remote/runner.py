"""What runs on another machine: it takes a job and files from its standard input, and answers with one JSON.

The standard library, numpy and the runtime. Nothing here is written for that machine alone: rounds, the lock and the
sessions are the modules that measure at home. The files lie in a temporary folder, which goes with this process: at its
end, when the caller ends or is cut off, and at a signal.

Input: a line with a length, then so many bytes, for the job (JSON) and for each file; then a line now and then, as a
sign that the caller is there. Output: events as lines of JSON on stderr behind `EVENT`, and the result on stdout.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from archdsl.errors import ArchError
from archdsl.timing.device_lock import device_lock

if TYPE_CHECKING:
    from types import FrameType

    from archdsl.runtimes.array_session import ArraySession, Floats
    from archdsl.timing.interleaved import Pace, Runner
    from archdsl.timing.rounds import Lap

    Fact = str | int | float | bool | list["Fact"] | dict[str, "Fact"] | None

EVENT = "archdsl-runner: "
"""Begins a line on stderr that is an event."""
CALLER_S = 60.0
"""Without a sign of the caller, after which it is taken to be gone; it gives one every ten seconds."""
_ALIVE_S = 5.0
_MOST_BYTES = 64 * 2**20
"""Of outputs that are sent back; those of one input at the least."""
_SEEDS = (0, 1)
_WAITING = {"OMP_WAIT_POLICY": "PASSIVE"}


class Network(TypedDict):
    """A network to be measured: its file by number, and the shape (B, C, H, W) of its images."""

    name: str
    file: int
    shape: list[int]


class Gate(TypedDict):
    """Ends the rounds as `archdsl.timing.gate.GateStop` does."""

    stat: str
    gate_ms: float


class Job(TypedDict):
    """What is asked of the runner."""

    runtime: str
    version: str
    """That it must have."""
    files: list[str]
    """SHA-256 of each file that follows."""
    networks: list[Network]
    """In the order in which they are compared; none where only the machine is asked about."""
    threads: int | None
    """None: those on which the networks are fastest."""
    pace: dict[str, float | None] | None
    """None: only the number of threads is asked for."""
    gate: Gate | None
    lock_held: bool
    """Whether the caller holds this machine's lock already."""
    lock_timeout_s: float | None


def main(script: bytes = b"") -> int:
    """Serve one job, or with `--measure FOLDER` do what it asks in this fresh process."""
    if sys.argv[1:2] == ["--measure"]:
        return _measure(Path(sys.argv[2]))
    return _serve(script)


# ------------------------------------------------------------------------------------------------ the serving process


class _Guard:
    """Removes the folder and ends the process that measures, however this process ends."""

    def __init__(self) -> None:
        self.heard_s = time.monotonic()
        self.process: subprocess.Popen[bytes] | None = None
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, self._signalled)
        self.folder = Path(tempfile.mkdtemp(prefix="archdsl-"))

    def clean(self) -> None:
        """End the process and remove the folder."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def watch(self) -> None:
        """Clean up and end as soon as the caller is gone."""
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=self._count, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                self.heard_s = time.monotonic()
        self._end()

    def _count(self) -> None:
        while time.monotonic() - self.heard_s < CALLER_S:
            time.sleep(_ALIVE_S)
        self._end()

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self._end()

    def _end(self) -> None:
        self.clean()
        os._exit(1)


def _serve(script: bytes) -> int:
    guard = _Guard()
    try:
        _say(ready=True)
        job: Job = json.loads(_frame())
        for number, digest in enumerate(job["files"]):
            content = _frame()
            if hashlib.sha256(content).hexdigest() != digest:
                return _answer({"problem": "failed", "text": "a file arrived damaged"})
            (guard.folder / f"{number}.onnx").write_bytes(content)
        (guard.folder / "runner.py").write_bytes(script)
        (guard.folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        guard.watch()
        is_free = job["lock_held"] or not job["networks"]
        with contextlib.nullcontext() if is_free else device_lock("cpu", _waits, job["lock_timeout_s"]):
            _say(measuring=True)
            return _answer(_in_a_fresh_process(guard))
    except EOFError:
        return 1  # the caller is gone: nobody reads an answer
    except (ArchError, OSError) as error:
        return _answer({"problem": "failed", "text": str(error)})
    finally:
        guard.clean()


def _in_a_fresh_process(guard: _Guard) -> dict[str, Fact]:
    """What a process of its own answers; it ends with this one."""
    guard.process = subprocess.Popen(
        [sys.executable, str(guard.folder / "runner.py"), "--measure", str(guard.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env={**_WAITING, **os.environ, "TMPDIR": str(guard.folder)},
        cwd=guard.folder,
    )
    assert guard.process.stdout is not None
    written = guard.process.stdout.read()
    status = guard.process.wait()
    guard.process = None
    with contextlib.suppress(ValueError):
        answer: dict[str, Fact] = json.loads(written)
        return answer
    how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
    return {"problem": "failed", "text": f"the process that measures {how}"}


def _frame() -> bytes:
    """The next part of the input: a line with its length, then its bytes."""
    length = sys.stdin.buffer.readline()
    content = sys.stdin.buffer.read(int(length)) if length else b""
    if not length or len(content) < int(length):
        raise EOFError
    return content


def _say(**event: str | bool) -> None:
    """Tell the caller something before the answer."""
    sys.stderr.write(f"{EVENT}{json.dumps(event)}\n")
    sys.stderr.flush()


def _waits(text: str) -> None:
    _say(waiting=text)


def _answer(result: dict[str, Fact]) -> int:
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()
    return 0 if "problem" not in result else 1


# ---------------------------------------------------------------------------------------------- the measuring process


def _measure(folder: Path) -> int:
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
        _say(threads=str(threads))
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

    for run in runners.values():
        run()
    said_s = time.monotonic()

    def timer(run: Runner, calls: int) -> Lap:
        nonlocal said_s
        lap = wall_timer(run, calls)
        if time.monotonic() - said_s > _ALIVE_S:
            said_s = time.monotonic()
            _say(alive=True)
        return lap

    pace: Pace = {**(job["pace"] or {})}  # type: ignore[typeddict-item]  # the caller made it of one
    if job["gate"] is not None:
        pace["stop"] = GateStop(**job["gate"])
    watch = MachineWatch()
    wall, busy = time.perf_counter(), time.process_time()
    taken = take_rounds(runners, timer, Host(threads, available_cores(), watch), **pace)
    share = (time.process_time() - busy) / (time.perf_counter() - wall)
    window = watch.whole()
    rounds: dict[str, Fact] = {
        name: {"ms": list(each.ms), "undisturbed": list(each.undisturbed), "calls": each.calls}
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
