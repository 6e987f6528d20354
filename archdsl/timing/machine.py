"""What else runs on the machine while something is measured: CPU time of other processes, and throttling.

Linux alone tells it (`/proc`); elsewhere nothing is known, and `MachineWatch.is_available` says so.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

ROOT_PROCESS = "ARCHDSL_ROOT_PROCESS"
"""Environment variable that names the process whose whole tree belongs to a measurement; a search sets it."""
PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
WINDOW_S = 1.0
"""CPU times are counted in ticks of 10 ms: over less than a second a share of a core cannot be told."""
_APART_S = 0.25
_BUSY = (0, 1, 2, 5, 6, 7)
"""Fields of a line of /proc/stat: user, nice, system, irq, softirq, steal. What a guest takes is in user."""


class Snapshot(NamedTuple):
    """Counters since boot, in seconds, and how often a quota held this process back."""

    at_s: float
    busy_s: float
    """Busy and stolen time of the CPUs that this process may use."""
    tree_s: float
    """CPU time of the process tree that the measurement belongs to."""
    throttled: int


class Window(NamedTuple):
    """What ran beside the measurement in a span of time."""

    others: float
    """Cores kept busy by other processes, or stolen by the host."""
    throttled: bool
    """Whether a quota held this process back."""


class MachineWatch:
    """Snapshots of a machine, and what ran beside the process tree of `root` between any two of them."""

    def __init__(self, root: int | None = None) -> None:
        """`root` is the process whose whole tree belongs to the measurement; by default this process."""
        self._root = os.getpid() if root is None else root
        self._snapshots: list[Snapshot] = []
        self.is_available = self.look() is not None

    def look(self) -> Snapshot | None:
        """Take a snapshot, if the last one is a quarter of a second old."""
        now = time.monotonic()
        if self._snapshots and now - self._snapshots[-1].at_s < _APART_S:
            return self._snapshots[-1]
        busy_s = cpu_seconds(_cpus())
        if busy_s is None:
            return None
        self._snapshots.append(Snapshot(now, busy_s, tree_seconds(self._root), throttled()))
        return self._snapshots[-1]

    def around(self, begin_s: float, end_s: float) -> Window | None:
        """What ran beside in the shortest window of a second or more around a moment; None where it is not known.

        Shorter where the snapshots span less.
        """
        if len(self._snapshots) < 2:
            return None
        before = max((i for i, taken in enumerate(self._snapshots) if taken.at_s <= begin_s), default=0)
        last = len(self._snapshots) - 1
        after = min((i for i, taken in enumerate(self._snapshots) if taken.at_s >= end_s), default=last)
        while self._span(before, after) < WINDOW_S and (before > 0 or after < last):
            before, after = max(before - 1, 0), min(after + 1, last)
        return self._window(before, after) if after > before else None

    def whole(self) -> Window | None:
        """What ran beside from the first snapshot to the last; None where it is not known."""
        last = len(self._snapshots) - 1
        return self._window(0, last) if last > 0 else None

    def _span(self, first: int, last: int) -> float:
        return self._snapshots[last].at_s - self._snapshots[first].at_s

    def _window(self, first: int, last: int) -> Window:
        begin, end = self._snapshots[first], self._snapshots[last]
        others_s = (end.busy_s - begin.busy_s) - (end.tree_s - begin.tree_s)
        span_s = max(end.at_s - begin.at_s, 1e-9)
        return Window(max(others_s, 0.0) / span_s, end.throttled > begin.throttled)


def cpu_seconds(cpus: set[int]) -> float | None:
    """Busy and stolen seconds of these CPUs since boot; None where the system does not tell."""
    ticks = 0
    lines = _text(PROC / "stat").splitlines()
    for line in lines:
        name, *fields = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in cpus:
            ticks += sum(int(fields[place]) for place in _BUSY if place < len(fields))
    return ticks / _ticks_per_second() if lines else None


def tree_seconds(root: int) -> float:
    """CPU seconds of a process and all that it started, what has ended among them."""
    seconds: dict[int, float] = {}
    children: dict[int, list[int]] = {}
    for folder in PROC.glob("[0-9]*"):
        fields = _text(folder / "stat").rpartition(")")[2].split()
        if len(fields) < 15:
            continue  # it ended meanwhile
        pid = int(folder.name)
        children.setdefault(int(fields[1]), []).append(pid)
        seconds[pid] = sum(map(int, fields[11:15])) / _ticks_per_second()  # its own, and of children that ended
    total, left = 0.0, [root]
    while left:
        pid = left.pop()
        total += seconds.get(pid, 0.0)
        left += children.get(pid, [])
    return total


def throttled() -> int:
    """How often the quotas of this process's cgroups held it back; 0 where there is none."""
    lines = _text(PROC / "self" / "cgroup").splitlines()
    group = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    times = 0
    for folder in (CGROUPS / group, *(CGROUPS / group).parents):
        if folder.is_relative_to(CGROUPS):
            pairs = (line.split() for line in _text(folder / "cpu.stat").splitlines())
            times += sum(int(pair[1]) for pair in pairs if len(pair) == 2 and pair[0] == "nr_throttled")
    return times


def _cpus() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def _ticks_per_second() -> int:
    return os.sysconf("SC_CLK_TCK")


def _text(path: Path) -> str:
    """A file's text; empty where it cannot be read."""
    with suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")
    return ""
