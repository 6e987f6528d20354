"""Rounds on a device: `archdsl.timing.interleaved` with the device's timer and length of a round."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Unpack

from archdsl.runtimes.runner import Runner
from archdsl.timing.interleaved import Host as Host
from archdsl.timing.interleaved import Pace as Pace
from archdsl.timing.interleaved import Timer as Timer
from archdsl.timing.interleaved import sample_ms, take_rounds, wall_timer
from archdsl.timing.rounds import Lap, Rounds


def measure_all(
    runners: Mapping[str, Runner],
    *,
    device: str = "cpu",
    timer: Timer | None = None,
    host: Host = Host(),  # noqa: B008  # it is immutable
    **pace: Unpack[Pace],
) -> dict[str, Rounds]:
    """The rounds of each runner on a device, as `take_rounds`; a round lasts 2 ms or longer on a CPU, 30 on a GPU.

    Raises:
        MeasureError: fewer than one round is asked for.
    """
    pace["sample_ms"] = pace.get("sample_ms") or sample_ms(device)
    return take_rounds(runners, timer or plain_timer(device), host, **pace)


def plain_timer(device: str) -> Timer:
    """Wall time on a CPU, events on a GPU."""
    return wall_timer if device == "cpu" else _event_timer


def _event_timer(run: Runner, calls: int) -> Lap:
    """Time between two events on the GPU, launches included where the GPU waits for them."""
    import torch

    cuda = torch.cuda
    begin, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
    cuda.synchronize()
    cpu_s, started = time.process_time(), time.perf_counter()
    begin.record()
    for _ in range(calls):
        run()
    end.record()
    end.synchronize()
    wall_ms = (time.perf_counter() - started) * 1e3
    return Lap(float(begin.elapsed_time(end)), wall_ms, (time.process_time() - cpu_s) * 1e3)
