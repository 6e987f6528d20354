"""Where a measured number comes from: device, driver, versions, setting, load and date."""

from __future__ import annotations

import math
import os
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import NamedTuple, TypeVar

from pydantic import TypeAdapter, ValidationError

from archdsl.errors import MeasureError
from archdsl.files import installed_version
from archdsl.json_types import Json, JsonObject
from archdsl.runtimes.setting import with_runtime
from archdsl.timing.host import cpu_name as cpu_name
from archdsl.timing.host import host_facts

_SMI_S = 10.0
_told_by_smi: dict[str, tuple[float, list[str | None]]] = {}
_CLOCKS = ("sm_mhz", "memory_mhz", "celsius")
"""In the order of the query."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Facts that stand beside a measured number; None where this machine does not tell."""

    device: str
    dtype: str
    batch: int
    runtime: str
    threads: int | None
    device_name: str
    """Of the GPU, or of the CPU."""
    archdsl: str
    torch: str
    cuda: str | None
    cudnn: int | None
    python: str
    os: str
    cpu: str
    cpus: int | None
    physical_cores: int
    malloc: str
    """What sets the allocator."""
    omp_wait_policy: str
    environment: dict[str, str] = field(default_factory=dict)
    """Variables of `ENVIRONMENT` that are set; earlier versions did not tell them."""
    load_average: tuple[float, float, float] | None
    """Over 1, 5 and 15 minutes."""
    driver: str | None
    clocks: dict[str, int] | None
    """Of the GPU at that moment: sm_mhz, memory_mhz, celsius."""
    date: str
    target: str | None = None
    """The URL of the machine that measured, where it was another one."""

    def as_json(self) -> JsonObject:
        """The facts for programs; a measurement on this machine has no `target`."""
        loads = None if self.load_average is None else [*self.load_average]
        facts = {**asdict(self), "load_average": loads}
        if self.target is None:
            del facts["target"]
        return facts

    @classmethod
    def from_json(cls, facts: Mapping[str, Json]) -> Provenance:
        """What `as_json` gave, also with further facts beside it, and what earlier versions wrote.

        Raises:
            MeasureError: a fact is missing, or of another kind.
        """
        return _read(_PROVENANCE, with_runtime(facts))


@dataclass(frozen=True)
class Noted:
    """What is noted of one measurement beside its provenance, as far as it was."""

    image: tuple[int, ...] = ()
    """(C, H, W) of what was run."""
    calls: int = 1
    """Calls per round."""
    cpu_share: float | None = None
    """Cores that the process kept busy."""
    other_cores: float | None = None
    """Cores that other processes kept busy."""
    load_average: tuple[float, float, float] | None = None
    gpu_processes: tuple[str, ...] | None = None
    """Other processes that computed on the GPU."""
    optimized: bool = False
    """Whether it is of the inference form; earlier versions knew the plain network alone."""
    slowed: int | None = None
    """Rounds beside which the processor ran slower than usual."""

    @classmethod
    def from_json(cls, facts: Mapping[str, Json]) -> Noted:
        """What the provenance of a latency holds of it.

        Raises:
            MeasureError: a fact is of another kind.
        """
        return _read(_NOTED, facts)


_PROVENANCE, _NOTED = TypeAdapter(Provenance), TypeAdapter(Noted)
Value = TypeVar("Value")


def _read(adapter: TypeAdapter[Value], facts: Mapping[str, Json]) -> Value:
    try:
        return adapter.validate_python(facts)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise MeasureError(f"the provenance of a measurement cannot be read: {place}: {first['msg']}") from None


def provenance(device: str, dtype: str, batch: int, runtime: str, threads: int | None) -> Provenance:
    """Where a number comes from that was measured just now in this setting.

    Clocks are those of the moment of the call: call it right after measuring.
    """
    import torch

    cudnn, gpu = torch.backends.cudnn, _gpu(device)
    return Provenance(
        device=device,
        dtype=dtype,
        batch=batch,
        runtime=runtime,
        threads=threads,
        device_name=gpu.name or cpu_name(),
        archdsl=installed_version(),
        torch=str(torch.__version__),
        cuda=torch.version.cuda or torch.version.hip,
        cudnn=cudnn.version() if cudnn.is_available() else None,
        driver=gpu.driver,
        clocks=gpu.clocks,
        **host_facts(),
    )


class _Gpu(NamedTuple):
    """Of a GPU; for a CPU only the defaults."""

    name: str | None = None
    driver: str | None = None
    clocks: dict[str, int] | None = None


def _gpu(device: str) -> _Gpu:
    if not device.startswith("cuda"):
        return _Gpu()
    import torch

    properties = torch.cuda.get_device_properties(torch.device(device))
    # By uuid: nvidia-smi does not count as torch does under CUDA_VISIBLE_DEVICES.
    driver, *values = _smi(f"GPU-{properties.uuid}") if hasattr(properties, "uuid") else [None] * 4
    clocks = {name: int(value) for name, value in zip(_CLOCKS, values, strict=True) if value and value.isdigit()}
    return _Gpu(torch.cuda.get_device_name(torch.device(device)), driver, clocks or None)


def gpu_processes(device: str) -> list[Json] | None:
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
