"""What a worker does where another machine measures: it exports and checks here, and asks that machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from archdsl.errors import ConnectionLost
from archdsl.search.worker import messages
from archdsl.search.worker.events import DeviceBusy, Measuring
from archdsl.search.worker.training_actions import Say

if TYPE_CHECKING:
    from torch import nn

    from archdsl.latency.provenance import Provenance
    from archdsl.latency.remote.measuring import Exported, LockOptions
    from archdsl.latency.rounds import Pace as PaceOptions
    from archdsl.runtimes.setting import Setting
    from archdsl.runtimes.target import Target

T = TypeVar("T")
PATIENCE_S = 600.0
"""That a trial waits for a device on which another process measures."""
_PAUSES_S = (2.0, 10.0, 30.0)
"""Before each further attempt to reach a machine."""


def machine(setting: messages.MeasuringSetting) -> Provenance:
    """What is known of the other machine.

    Raises:
        MeasureError: it cannot be reached, or lacks what measuring needs.
    """
    from archdsl.latency.remote.measuring import machine_of

    return machine_of(_target(setting), _checked(setting))


def measure(request: messages.MeasureRequest, say: Say) -> messages.MeasureReply:
    """The latency of an exported network there.

    Raises:
        MeasureError: it could not be measured; `ConnectionLost` after several attempts.
    """
    from archdsl.latency.remote.measuring import latencies_of
    from archdsl.timing.gate import GateStop

    setting, started = request.setting, time.monotonic()
    pace: PaceOptions = {"stop": None if request.gate_ms is None else GateStop(request.stat, request.gate_ms)}
    if request.pace is not None:
        pace |= request.pace.options()
    network = _exported(request)

    def measuring() -> None:
        nonlocal started
        started = time.monotonic()
        say(Measuring())

    waiting = _waiting(say, measuring, None if request.weights else PATIENCE_S)  # a winner is worth waiting for
    name = str(request.spec.get("name"))
    (latency,) = _until_reached(
        lambda: latencies_of(_target(setting), _checked(setting), {name: network}, setting.threads, pace, waiting),
        say,
    )
    if setting.features_only:
        latency.provenance["features_only"] = True
    if setting.optimize:
        latency.provenance["optimized"] = True
    reading = messages.LatencyReading(latency.samples, latency.provenance, tuple(sorted(latency.disturbed)))
    return messages.MeasureReply(reading, time.monotonic() - started)


def threads(request: messages.ThreadsRequest, say: Say) -> messages.ThreadsReply:
    """The threads on which networks are measured there.

    Raises:
        MeasureError: as `measure`.
    """
    from archdsl.latency.remote.measuring import threads_of
    from archdsl.runtimes.file_runtime import FileRuntime

    assert request.file is not None, "a runtime that measures elsewhere runs files"
    setting, file = request.setting, Path(request.file)
    image = FileRuntime.image_of(file, setting.batch)
    waiting = _waiting(say, lambda: say(Measuring()), PATIENCE_S)
    return messages.ThreadsReply(
        _until_reached(lambda: threads_of(_target(setting), _checked(setting), file, image, waiting), say)
    )


def _until_reached(ask: Callable[[], T], say: Say) -> T:
    """What comes of asking the machine, which is tried again a few times where it is lost; that is no search time."""
    for pause_s in _PAUSES_S:
        try:
            return ask()
        except ConnectionLost as error:
            say(DeviceBusy(f"{error}; trying again in {pause_s:g} s"))
            time.sleep(pause_s)
    return ask()


def _exported(request: messages.MeasureRequest) -> Exported:
    """The exported file, and the network of the same weights that its outputs are held against."""
    from archdsl.exporting.frozen import Float32Interface
    from archdsl.latency.remote.measuring import Exported
    from archdsl.runtimes.file_runtime import FileRuntime, names_of_outputs
    from archdsl.runtimes.runner import noise, placed
    from archdsl.search.worker.export_actions import trained
    from archdsl.search.worker.networks import seeded_network

    setting = request.setting
    file = Path(request.weights or request.file or "")
    model: nn.Module
    if request.weights:
        model = trained(file.with_suffix(".safetensors"), setting.features_only)
    else:
        model = seeded_network(request.spec, features_only=setting.features_only)
    checked = _checked(setting)
    image = FileRuntime.image_of(file, setting.batch)
    network, x = placed(model, checked), noise(checked, image)
    return Exported(file, image, Float32Interface(network, x.dtype).eval(), names_of_outputs(network, x))


def _waiting(say: Say, measuring: Callable[[], None], timeout_s: float | None) -> LockOptions:
    from archdsl.latency.remote.measuring import LockOptions

    return LockOptions(lambda text: say(DeviceBusy(text)), measuring, timeout_s)


def _target(setting: messages.MeasuringSetting) -> Target:
    from archdsl.runtimes.target import Target

    assert setting.target is not None
    return Target.parse(setting.target)


def _checked(setting: messages.MeasuringSetting) -> Setting:
    from archdsl.runtimes.setting import Setting

    return Setting.checked(setting.device, setting.batch, setting.dtype, setting.runtime)
