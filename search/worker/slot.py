"""A worker's slot: what its trials may take in time and memory, and quiet around it while it measures."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, TypeVar

from archdsl.numbers import plain_text
from archdsl.search.config import Settings
from archdsl.search.worker.events import DeviceBusy, Event, Measuring
from archdsl.search.worker.process import Hung, Progress, WorkerGone
from archdsl.search.worker.request import Request

R = TypeVar("R")


class WorkerProtocol(Protocol):
    """Who measures and trains; `archdsl.search.worker.process.Worker` is one."""

    def ask(self, request: Request[R], timeout_s: float, progress: Progress | None = None) -> R:
        """The reply to one request."""
        ...

    def stop(self) -> None:
        """End it, whatever it is doing."""
        ...


class OverTime(WorkerGone):
    """The trial took longer than a trial may; its worker was ended."""


class DeviceLocks:
    """The slots of one machine. On a device that several share, one measures while the others hold still."""

    def __init__(self) -> None:
        self.slots: list[WorkerSlot] = []
        self._locks: dict[str, threading.Lock] = {}
        self._making = threading.Lock()

    @contextmanager
    def exclusive(self, slot: WorkerSlot) -> Iterator[Callable[[bool], None]]:
        """Nobody else computes on the slot's device inside, but while what is yielded is called with False."""
        with self._making:
            lock = self._locks.setdefault(slot.settings.measuring_place, threading.Lock())
        with lock:
            others = [other for other in self.slots if other is not slot and _is_near(other, slot)]

            def hold(still: bool) -> None:
                for other in others:
                    other.hold(still)

            try:
                hold(True)
                yield hold
            finally:
                hold(False)


def _is_near(slot: WorkerSlot, other: WorkerSlot) -> bool:
    return slot.settings.target is None and slot.settings.device == other.settings.device


class WorkerSlot:
    """A worker with its own device and limits; asked as the worker itself would be."""

    def __init__(
        self, worker: WorkerProtocol, settings: Settings, locks: DeviceLocks, trial_s: float | None = None
    ) -> None:
        """`trial_s` is what one trial may take, in seconds of being asked; waiting for the device does not count."""
        self.worker, self.settings, self._locks = worker, settings, locks
        self._trial_s, self._left = trial_s, trial_s
        self._is_closed = False
        locks.slots.append(self)

    def begin(self) -> None:
        """Another trial begins."""
        self._left = self._trial_s

    def ask(self, request: Request[R], timeout_s: float, progress: Progress | None = None) -> R:
        """The reply to one request.

        Raises:
            OverTime: the trial's time is over.
            Failed, WorkerGone: as `Worker.ask`.
        """
        if self._is_closed:
            raise WorkerGone("the search ends")
        if not request.needs_quiet:
            return self._timed(request, timeout_s, progress)
        with self._locks.exclusive(self) as hold:

            def heard(event: Event) -> None:
                if isinstance(event, DeviceBusy | Measuring):
                    hold(isinstance(event, Measuring))  # while it waits for the device, the others may compute
                if progress is not None:
                    progress(event)

            return self._timed(request, timeout_s, heard)

    def stop(self) -> None:
        """End the worker, whatever it is doing."""
        self.worker.stop()

    def close(self) -> None:
        """Ask nothing any more."""
        self._is_closed = True

    def kill(self) -> None:
        """Kill the worker, on which another thread waits."""
        if kill := getattr(self.worker, "kill", None):
            kill()

    def hold(self, still: bool) -> None:
        """Let the worker stand still, or go on."""
        if hold := getattr(self.worker, "hold", None):
            hold(still)

    def _timed(self, request: Request[R], timeout_s: float, progress: Progress | None) -> R:
        if self._left is None:
            return self.worker.ask(request, timeout_s, progress)
        began, left, waited, heard = time.monotonic(), self._left, 0.0, time.monotonic()

        def in_time(event: Event) -> None:
            nonlocal waited, heard
            if isinstance(event, DeviceBusy | Measuring):
                waited += time.monotonic() - heard
            heard = time.monotonic()
            if heard - began - waited > left:
                raise self._over()
            if progress is not None:
                progress(event)

        try:
            return self.worker.ask(request, min(timeout_s, max(left, 0)), in_time)
        except Hung:
            if left < timeout_s:
                raise self._over() from None
            raise
        finally:
            self._left = left - (time.monotonic() - began - waited)

    def _over(self) -> OverTime:
        return OverTime(f"it took longer than the {plain_text(self._trial_s or 0.0)} s that a trial may take")


def usable_bytes(share: float) -> int | None:
    """A share of the memory of this machine or container, in bytes; None where it cannot be known."""
    limits = []
    with suppress(OSError, ValueError, IndexError):
        limits.append(int(Path("/proc/meminfo").read_text().split()[1]) * 1024)
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # "max" where there is no limit
            limits.append(int((Path("/sys/fs/cgroup") / name).read_text()))
    return int(share * min(limits)) if limits else None
