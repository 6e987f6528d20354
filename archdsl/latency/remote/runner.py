"""What runs on another machine: it takes a job and files from its standard input, and answers with one JSON.

The standard library, numpy and the runtime. Nothing here is written for that machine alone: rounds, the lock and the
sessions are the modules that measure at home. The files lie in a temporary folder, which goes with this process: at its
end, when the caller ends or is cut off, and at a signal.

Input: a line with a length, then so many bytes, for the job (JSON) and for each file; then a line now and then, as a
sign that the caller is there. Output: events as lines of JSON on stderr behind `EVENT`, and the result on stdout.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.errors import ArchError
from archdsl.latency.remote.fresh_process import measure
from archdsl.latency.remote.job import ALIVE_S, say
from archdsl.timing.device_lock import Holder, device_lock, is_held_by

if TYPE_CHECKING:
    from types import FrameType

    from archdsl.latency.remote.job import Fact, Job

CALLER_S = 60.0
"""Without a sign of the caller, after which it is taken to be gone; it gives one every ten seconds."""
_WAITING = {"OMP_WAIT_POLICY": "PASSIVE"}


def main(script: bytes = b"") -> int:
    """Serve one job, or with `--measure FOLDER` do what it asks in this fresh process."""
    if sys.argv[1:2] == ["--measure"]:
        return measure(Path(sys.argv[2]))
    return _serve(script)


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
            time.sleep(ALIVE_S)
        self._end()

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self._end()

    def _end(self) -> None:
        self.clean()
        os._exit(1)


def _serve(script: bytes) -> int:
    guard = _Guard()
    try:
        say(ready=True)
        job: Job = json.loads(_frame())
        for number, digest in enumerate(job["files"]):
            content = _frame()
            if hashlib.sha256(content).hexdigest() != digest:
                return _answer({"problem": "failed", "text": "a file arrived damaged"})
            (guard.folder / f"{number}.onnx").write_bytes(content)
        (guard.folder / "runner.py").write_bytes(script)
        (guard.folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        guard.watch()
        caller = job["lock_holder"]
        is_ours = not job["networks"] or (caller is not None and is_held_by("cpu", Holder(*caller)))
        with contextlib.nullcontext() if is_ours else device_lock("cpu", _waits, job["lock_timeout_s"]):
            say(measuring=True)
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


def _waits(text: str) -> None:
    say(waiting=text)


def _answer(result: dict[str, Fact]) -> int:
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()
    return 0 if "problem" not in result else 1
