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
from collections.abc import Callable
from typing import IO, Any

from archdsl.errors import SearchError
from archdsl.latency.setting import WAITING

Reply = dict[str, Any]
Progress = Callable[[Reply], None]

_START_S = 120.0


class WorkerGone(SearchError):
    """The worker ended or hung before it answered; the candidate that it worked on is lost, nothing else."""


class Failed(SearchError):
    """The worker answered that the request failed."""


class Worker:
    """A child process with torch loaded. It is started when first asked, and again after it died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self._errors: IO[bytes] | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def ask(self, request: Reply, timeout_s: float, progress: Progress | None = None) -> Reply:
        """The reply to one request.

        Raises:
            Failed: the request failed, for a reason that the worker could tell.
            WorkerGone: the worker died or did not answer in `timeout_s` seconds; it is started again when next asked.
        """
        if self._process is None:
            self._start()
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._gone() from None
        end = time.monotonic() + timeout_s
        while not (reply := self._reply(end)).get("done"):
            if progress is not None:
                progress(reply)
        if "failed" in reply:
            raise Failed(reply["failed"])
        return reply

    def stop(self) -> None:
        """End the worker, whatever it is doing."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        self._process, self._buffer = None, b""

    def _start(self) -> None:
        """A session of its own keeps the terminal's Ctrl-C for the parent."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed in stop
        self._process = subprocess.Popen(
            [sys.executable, "-m", "archdsl.search.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
            env={**WAITING, **os.environ},
        )
        if not self._reply(time.monotonic() + _START_S).get("ready"):
            raise self._gone()

    def _reply(self, end: float) -> Reply:
        """The next line of the worker, as JSON."""
        assert self._process is not None and self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(end - time.monotonic(), 0)):
                    raise self._gone("no answer in time")
                data = os.read(self._process.stdout.fileno(), 65536)
                if not data:
                    raise self._gone()
                self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        reply: Reply = json.loads(line)
        return reply

    def _gone(self, reason: str | None = None) -> WorkerGone:
        """Why the worker is gone, from its exit status and the end of what it wrote."""
        assert self._process is not None
        if reason is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
            status = self._process.poll()
            killed = status is not None and status < 0
            reason = f"killed by {signal.Signals(-status).name}" if killed and status else f"exit status {status}"
            reason += f": {last}" if (last := self._last_words()) else ""
        self.stop()
        return WorkerGone(reason)

    def _last_words(self) -> str:
        if self._errors is None:
            return ""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else ""
