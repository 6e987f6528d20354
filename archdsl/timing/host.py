"""What a machine says of itself beside a number that was measured on it: processor, versions, allocator, load."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TypedDict

from archdsl.timing.cores import physical_cores, read_text

ENVIRONMENT = ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables that change how fast a network runs on a CPU."""


class HostFacts(TypedDict):
    """Facts of a machine at a moment, by the names of `Provenance`."""

    python: str
    os: str
    cpu: str
    cpus: int | None
    physical_cores: int
    malloc: str
    omp_wait_policy: str
    environment: dict[str, str]
    load_average: tuple[float, float, float] | None
    date: str


def host_facts() -> HostFacts:
    """Facts of this machine, this process and this moment."""
    return {
        "python": platform.python_version(),
        "os": platform.platform(),
        "cpu": cpu_name(),
        "cpus": os.cpu_count(),
        "physical_cores": physical_cores(),
        "malloc": _malloc(),
        "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY", "default"),
        "environment": {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        "load_average": _load(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),  # noqa: UP017  # Python 3.10 has no UTC
    }


def cpu_name() -> str:
    """The model's name in /proc/cpuinfo, else what `platform` says, else the architecture."""
    for line in read_text(Path("/proc/cpuinfo")).splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "unknown"


def _malloc() -> str:
    """What sets the allocator, as text."""
    names = [
        name for name in sorted(os.environ) if name.startswith("MALLOC_") or name in {"LD_PRELOAD", "GLIBC_TUNABLES"}
    ]
    settings = [f"{name}={os.environ[name]}" for name in names if os.environ[name]]
    return " ".join(settings) or f"{' '.join(platform.libc_ver()).strip() or platform.system()} default"


def _load() -> tuple[float, float, float] | None:
    """Load over 1, 5 and 15 minutes."""
    with suppress(OSError, AttributeError):
        one_minute, five_minutes, fifteen_minutes = os.getloadavg()
        return round(one_minute, 2), round(five_minutes, 2), round(fifteen_minutes, 2)
    return None
