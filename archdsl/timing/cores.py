"""How many cores there are for this process: by affinity, by hyperthreads and by a cgroup's quota."""

from __future__ import annotations

import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def physical_cores() -> int:
    """Cores that this process may use: hyperthreads count once, a cgroup's quota is kept to, and never below 1."""
    return max(1, int(min([available_cores(), *_quotas()])))


def available_cores() -> int:
    """Cores that this process may run on, whatever its quota: where it is held back, throttling shows it."""
    cpus = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    return count_cores(read_text(Path("/proc/cpuinfo")), cpus)


def count_cores(cpuinfo: str, cpus: set[int]) -> int:
    """Distinct (physical id, core id) of `cpus`; each CPU is a core where cpuinfo does not say so (ARM, no /proc)."""
    cores = set()
    for block in cpuinfo.split("\n\n"):
        pairs = (line.partition(":") for line in block.splitlines())
        fields = {name.strip(): value.strip() for name, _, value in pairs}
        if fields.get("processor", "").isdigit() and int(fields["processor"]) in cpus:
            cores.add((fields.get("physical id"), fields.get("core id", f"cpu {fields['processor']}")))
    return len(cores) or len(cpus)


def parse_quota(text: str) -> float | None:
    """CPUs that a `cpu.max` grants: `150000 100000` is 1.5; None for `max 100000` or what is no quota."""
    parts = text.split()
    if len(parts) != 2 or not all(part.isdigit() for part in parts) or int(parts[1]) == 0:
        return None
    return int(parts[0]) / int(parts[1])


def _quotas() -> list[float]:
    """The quotas of this process's cgroup and of those around it; version 2 only."""
    lines = read_text(Path("/proc/self/cgroup")).splitlines()
    group = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    folders = [CGROUPS / group, *(CGROUPS / group).parents]
    quotas = [parse_quota(read_text(folder / "cpu.max")) for folder in folders if folder.is_relative_to(CGROUPS)]
    return [quota for quota in quotas if quota is not None]


def read_text(path: Path) -> str:
    """A file's text; empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
