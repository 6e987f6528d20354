"""The parent's side of a worker: start it, ask it, notice when it is gone."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import IO, TypeVar

from pydantic import ValidationError

import archdsl
from archdsl.errors import SearchError
from archdsl.json_types import JsonObject
from archdsl.runtimes.setting import WAITING
from archdsl.search.policy import SHIPPED
from archdsl.search.worker.events import Event, event_of
from archdsl.search.worker.request import Request
from archdsl.timing.machine import ROOT_PROCESS

try:
    import resource
except ModuleNotFoundError:  # Windows has none
    resource = None  # type: ignore[assignment]

R = TypeVar("R")
Progress = Callable[[Event], None]

COMMAND = [sys.executable, "-P", "-m", "archdsl.search.worker.child"]
"""-P, so that no file of the user's folder is imported in place of a module."""


class OutOfTime(Exception):
    """The search's time ended before a candidate's measuring or training; nothing is known of the candidate."""


class WorkerGone(SearchError):
    """The worker ended or hung before it answered; the candidate that it worked on is lost, nothing else."""


class Hung(WorkerGone):
    """The worker was silent for too long, and was ended."""


class Failed(SearchError):
    """The worker answered that the request failed."""


class TargetLost(Failed):
    """The machine that measures cannot be reached any more; no candidate is to blame."""


def check_system() -> None:
    """Raises `SearchError` on a system on which workers cannot be limited and signalled."""
    if resource is None:
        rule = "a search needs limits on processes (the module resource), which this system does not have"
        raise SearchError(f"{rule}; use Linux or macOS")


class Worker:
    """A child process with torch loaded. It is started when first asked, and again after it died."""

    def __init__(
        self,
        memory_bytes: int | None = None,
        start_s: float = SHIPPED.worker.start_s,
        *,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`memory_bytes` is what the child may take of the host's memory; it is to be ready after `start_s` seconds.

        `environment` holds more variables of the child, of how its threads wait.
        """
        check_system()
        self._memory_bytes, self._start_s, self.environment = memory_bytes, start_s, environment
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self._errors: IO[bytes] | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def ask(self, request: Request[R], timeout_s: float, progress: Progress | None = None) -> R:
        """The reply to one request; `progress` is told what the worker says before.

        Raises:
            Failed: the request failed, for a reason that the worker could tell.
            WorkerGone: the worker died or was silent for `timeout_s` seconds; it is started again when next asked.
        """

        def heard(facts: JsonObject) -> None:
            if progress is not None and (event := event_of(facts)) is not None:
                progress(event)

        facts = self.exchange(request.as_json(), timeout_s, heard)
        try:
            return request.reply(facts)
        except ValidationError:
            self.stop()
            raise WorkerGone(f"the worker sent an invalid reply: {str(facts)[:80]!r}") from None

    def exchange(self, request: JsonObject, timeout_s: float, heard: Callable[[JsonObject], None]) -> JsonObject:
        """The reply to one request, both as they go over the pipe; `heard` is called with what comes before it.

        Raises:
            Failed, WorkerGone: as `ask`.
        """
        try:
            reply = self._exchange(request, timeout_s, heard)
        except BaseException:
            self.stop()  # or the reply that nobody waits for any more would answer the next request
            raise
        if "failed" in reply:
            if reply.get("broken"):
                self.stop()
            raise (TargetLost if reply.get("lost") else Failed)(str(reply["failed"]))
        return reply

    def _exchange(self, request: JsonObject, timeout_s: float, heard: Callable[[JsonObject], None]) -> JsonObject:
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._gone() from None
        while not (reply := self._reply(timeout_s)).get("done"):
            heard(reply)
        return reply

    def stop(self) -> None:
        """End the worker, whatever it is doing."""
        if self._process is None:
            return
        self.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        self._process, self._buffer = None, b""

    def hold(self, still: bool) -> None:
        """Let the child stand still, or go on."""
        self._signal(signal.SIGSTOP if still else signal.SIGCONT)

    def kill(self) -> None:
        """Kill the child while another thread waits for its reply, which then learns of it."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if (process := self._process) is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)

    def _start(self) -> None:
        """A session of its own keeps the terminal's Ctrl-C for the parent."""
        try:
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed in stop
            self._process = subprocess.Popen(
                COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,
                env=child_environment(self.environment),
            )
        except OSError as error:  # no candidate is to blame
            if self._errors is not None:
                self._errors.close()
            raise SearchError(f"no worker can be started: {error.strerror or error}") from None
        _confine(self._process.pid, self._memory_bytes)
        self._reply(self._start_s)  # that it is ready

    def _reply(self, timeout_s: float) -> JsonObject:
        """The next line of the worker, as JSON."""
        assert self._process is not None
        assert self._process.stdout is not None
        end = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(end - time.monotonic(), 0)):
                    self.stop()
                    raise Hung(f"no answer for {timeout_s:.0f} s")
                data = os.read(self._process.stdout.fileno(), 65536)
                if not data:
                    raise self._gone()
                self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            reply: JsonObject = json.loads(line)
        except ValueError:
            raise WorkerGone(f"the worker sent an invalid reply: {line[:80]!r}") from None
        return reply

    def _gone(self) -> WorkerGone:
        """Why the worker is gone, from its exit status and the end of what it wrote."""
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        status = self._process.poll()
        killed = status is not None and status < 0
        reason = f"the worker was killed by {_signal(-status)}" if killed and status else f"the worker ended ({status})"
        reason += f": {last}" if (last := self._last_words()) else ""
        self.stop()
        return WorkerGone(reason)

    def _last_words(self) -> str:
        if self._errors is None:
            return ""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else ""


def _confine(pid: int, memory_bytes: int | None) -> None:
    """Where memory runs out, it is the child that ends: it is refused more than its share, and is the first to go.

    The limit is on what a process can write to: CUDA reserves far more addresses than there is memory.
    """
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000")
    if memory_bytes is not None:
        with contextlib.suppress(OSError, ValueError):  # a lower limit stands already
            resource.prlimit(pid, resource.RLIMIT_DATA, (memory_bytes, memory_bytes))


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def child_environment(more: Mapping[str, str]) -> dict[str, str]:
    """The child's: what this process and its children compute does not count as a neighbour's.

    `more` holds where the user has threads wait in no other way than we do.
    """
    is_ours = all(os.environ.get(name, value) == value for name, value in WAITING.items())
    waiting = {**WAITING, **more} if is_ours else WAITING
    added = {"PYTHONPATH": os.pathsep.join(_import_path()), ROOT_PROCESS: str(os.getpid())}
    return {**waiting, **os.environ, **added}


def _import_path() -> list[str]:
    """Where this archdsl is imported from, and whatever the user added."""
    package = str(Path(archdsl.__file__).parent.parent)
    return [package, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
