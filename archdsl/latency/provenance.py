"""Where a measured number comes from: device, driver, versions, setting, load and date."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from archdsl.files import installed_version
from archdsl.timing.cores import physical_cores, read_text

_SMI_S = 10.0
_told_by_smi: dict[str, tuple[float, list[str | None]]] = {}
ENVIRONMENT = ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables that change how fast a network runs on a CPU."""


def provenance(device: str, dtype: str, batch: int, runtime: str, threads: int | None) -> dict[str, Any]:
    """Facts that stand beside a measured number, ready for JSON; null where this machine does not tell.

    Clocks are those of the last ten seconds, in MHz and degrees Celsius: call it right after measuring.
    """
    cpu = cpu_name()
    return {
        "device": device,
        "dtype": dtype,
        "batch": batch,
        "runtime": runtime,
        "threads": threads,
        "device_name": cpu,
        **_versions(),
        "os": platform.platform(),
        "cpu": cpu,
        "cpus": os.cpu_count(),
        "physical_cores": physical_cores(),
        "malloc": _malloc(),
        "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY", "default"),
        "environment": {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        "load_average": _load(),
        **_gpu(device),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def cpu_name() -> str:
    """The model's name in /proc/cpuinfo, else what `platform` says, else the architecture."""
    for line in read_text(Path("/proc/cpuinfo")).splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "unknown"


def _versions() -> dict[str, Any]:
    """Of torch, what it was built with, python and archdsl."""
    import torch

    cudnn: Any = torch.backends.cudnn  # untyped
    return {
        "archdsl": installed_version(),
        "torch": str(torch.__version__),
        "cuda": torch.version.cuda or torch.version.hip,
        "cudnn": cudnn.version() if cudnn.is_available() else None,
        "python": platform.python_version(),
    }


def _gpu(device: str) -> dict[str, Any]:
    """Name, driver and clocks of a GPU; for a CPU only the nulls, so that every provenance has the same keys."""
    if not device.startswith("cuda"):
        return {"driver": None, "clocks": None}
    import torch

    properties = torch.cuda.get_device_properties(torch.device(device))
    name = torch.cuda.get_device_name(torch.device(device))
    # By uuid: nvidia-smi does not count as torch does under CUDA_VISIBLE_DEVICES.
    driver, *clocks = _smi(f"GPU-{properties.uuid}") if hasattr(properties, "uuid") else [None] * 4
    names = ("sm_mhz", "memory_mhz", "celsius")
    known = {name: int(value) for name, value in zip(names, clocks, strict=True) if value and value.isdigit()}
    return {"device_name": name, "driver": driver, "clocks": known or None}


def gpu_processes(device: str) -> list[str] | None:
    """Names of other processes that compute on a GPU, as nvidia-smi tells them; None where it does not, and on a CPU.

    Inside a container it mostly sees none.
    """
    if not device.startswith("cuda"):
        return None
    import torch

    properties = torch.cuda.get_device_properties(torch.device(device))
    if not hasattr(properties, "uuid"):
        return None
    uuid = f"GPU-{properties.uuid}"
    query = ["--query-compute-apps=pid,process_name", "--format=csv,noheader"]
    with suppress(OSError, subprocess.SubprocessError):
        command = ["nvidia-smi", f"--id={uuid}", *query]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout
        rows = (line.partition(",") for line in answer.splitlines() if "," in line)
        return [name.strip() for pid, _, name in rows if pid.strip() != str(os.getpid())]
    return None


def _smi(uuid: str) -> list[str | None]:
    """Driver, SM clock, memory clock and temperature as nvidia-smi told them in the last ten seconds.

    It takes a good part of a second to ask, as long as a candidate of a search is measured.
    """
    asked_at, values = _told_by_smi.get(uuid, (-math.inf, []))
    if time.monotonic() - asked_at > _SMI_S:
        values = _ask_smi(uuid)
        _told_by_smi[uuid] = time.monotonic(), values
    return values


def _ask_smi(uuid: str) -> list[str | None]:
    """What nvidia-smi tells now; all None where it does not."""
    query = "--query-gpu=driver_version,clocks.sm,clocks.mem,temperature.gpu"
    with suppress(OSError, subprocess.SubprocessError):
        command = ["nvidia-smi", f"--id={uuid}", query, "--format=csv,noheader,nounits"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout
        values: list[str | None] = [value.strip() for value in answer.strip().split(",")]
        if len(values) == 4:
            return values
    return [None] * 4


def _malloc() -> str:
    """What sets the allocator, as text."""
    names = [
        name for name in sorted(os.environ) if name.startswith("MALLOC_") or name in {"LD_PRELOAD", "GLIBC_TUNABLES"}
    ]
    settings = [f"{name}={os.environ[name]}" for name in names if os.environ[name]]
    return " ".join(settings) or f"{' '.join(platform.libc_ver()).strip() or platform.system()} default"


def _load() -> list[float] | None:
    """Load over 1, 5 and 15 minutes."""
    with suppress(OSError, AttributeError):
        return [round(load, 2) for load in os.getloadavg()]
    return None
