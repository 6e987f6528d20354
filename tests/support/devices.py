"""What a worker that is none tells of its device."""

from __future__ import annotations

from archdsl.latency.provenance import Provenance


def fake_device(name: str = "a machine", device: str = "cpu") -> Provenance:
    """A device of this name, as a worker tells of it."""
    return Provenance(
        device=device,
        dtype="float32",
        batch=1,
        runtime="eager",
        threads=None,
        device_name=name,
        archdsl="0",
        torch="2.0",
        cuda=None,
        cudnn=None,
        python="3.11",
        os="an OS",
        cpu=name,
        cpus=2,
        physical_cores=2,
        malloc="default",
        omp_wait_policy="PASSIVE",
        load_average=None,
        driver=None,
        clocks=None,
        date="2026-01-01T00:00:00+00:00",
    )
