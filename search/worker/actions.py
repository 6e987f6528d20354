"""What a worker does when it is asked: it measures here; it imports torch when it must."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from archdsl.json_types import JsonObject
from archdsl.search.loaded_data import LoadedData
from archdsl.search.worker import export_actions, export_messages, messages, there, training_actions, training_messages
from archdsl.search.worker.events import DeviceBusy, Measuring, event_as_json
from archdsl.search.worker.export_actions import trained
from archdsl.search.worker.request import parsed
from archdsl.search.worker.training_actions import Say

if TYPE_CHECKING:
    from archdsl.compile import Backbone
    from archdsl.latency.rounds import Pace as PaceOptions

Q = TypeVar("Q")
Reply = (
    messages.HelloReply
    | LoadedData
    | messages.MeasureReply
    | messages.ThreadsReply
    | export_messages.CandidateReply
    | export_messages.ExportReply
    | export_messages.AccuracyReply
    | training_messages.ScoreReply
    | training_messages.TrainReply
    | training_messages.PaceReply
    | training_messages.CountReply
)
R = TypeVar("R", bound=Reply)
Action = Callable[[JsonObject, Callable[[JsonObject], None]], JsonObject]
"""What answers a request as it came over the pipe; it may say something before."""


def _hello(setting: messages.MeasuringSetting, say: Say) -> messages.HelloReply:
    """The device that a search runs on, and what is known of it."""
    from archdsl.latency.provenance import provenance
    from archdsl.runtimes.setting import checked_device

    device = checked_device(setting.device)
    if setting.target is not None:
        return messages.HelloReply(there.machine(setting))
    machine = provenance(device, setting.dtype, setting.batch, setting.runtime, setting.threads)
    return messages.HelloReply(machine)


def _measure(request: messages.MeasureRequest, say: Say) -> messages.MeasureReply:
    """The latency of a network, once the device is free; the parent is told of the waiting, or it would give up.

    With a gate the reading ends when it is clear on which side of it the latency lies.
    """
    if request.setting.target is not None:
        return there.measure(request, say)
    from archdsl.latency import checked_device, measure
    from archdsl.latency.provenance import gpu_processes
    from archdsl.search.worker.networks import image_of, measurable
    from archdsl.timing.device_lock import device_lock
    from archdsl.timing.gate import GateStop

    has_waited = False

    def waiting(text: str) -> None:
        nonlocal has_waited
        has_waited = True
        say(DeviceBusy(text))

    setting, weights = request.setting, request.weights
    timeout_s = there.PATIENCE_S if weights is None else None  # a winner is worth waiting for
    with device_lock(checked_device(setting.device), waiting, timeout_s):
        if has_waited:
            say(Measuring())
        started = time.monotonic()
        file = request.weights or request.file
        is_dense = setting.features_only
        network = measurable(request.spec, setting.device) if file is None else _subject(Path(file), is_dense)
        pace: PaceOptions = {"stop": None if request.gate_ms is None else GateStop(request.stat, request.gate_ms)}
        if request.pace is not None:
            pace |= request.pace.options()
        latency = measure(
            network,
            setting.device,
            setting.batch,
            setting.dtype,
            setting.runtime,
            setting.threads,
            image=image_of(request.spec) if file is None else None,
            features_only=is_dense,
            **pace,
        )
        if is_dense:
            latency.provenance["features_only"] = True
        if weights is not None:
            latency.provenance["gpu_processes"] = gpu_processes(setting.device)
    reading = messages.LatencyReading(latency.samples, latency.provenance, tuple(sorted(latency.disturbed)))
    return messages.MeasureReply(reading, time.monotonic() - started)


def _subject(file: Path, features_only: bool) -> Backbone | Path:
    """What is measured of a file that is handed over: an ONNX file itself, or the network in a file of ours."""
    return file if file.suffix == ".onnx" else trained(file, features_only)


def _threads(request: messages.ThreadsRequest, say: Say) -> messages.ThreadsReply:
    """The threads on which a network is measured: all cores where these are clearly faster than one."""
    if request.setting.target is not None:
        return there.threads(request, say)
    from archdsl.latency import Setting, steady
    from archdsl.latency.measuring import prepared
    from archdsl.latency.threads import fastest_threads
    from archdsl.runtimes.by_name import runtime_named
    from archdsl.search.worker.networks import image_of, seeded_network
    from archdsl.timing.device_lock import device_lock

    setting, image = request.setting, image_of(request.spec)
    with device_lock(setting.device, lambda text: say(DeviceBusy(text)), there.PATIENCE_S), steady(setting.device):
        say(Measuring())
        subject = (
            seeded_network(request.spec, features_only=setting.features_only)
            if request.file is None
            else Path(request.file)
        )
        runner = prepared(
            subject, image, Setting.checked(setting.device, setting.batch, setting.dtype, setting.runtime)
        )
        return messages.ThreadsReply(fastest_threads([runner], runtime_named(setting.runtime)))


def _action(kind: type[Q], act: Callable[[Q, Say], R]) -> Action:
    """What answers a request as it came over the pipe."""

    def answer(request: JsonObject, say: Callable[[JsonObject], None]) -> JsonObject:
        value = parsed(kind, {name: part for name, part in request.items() if name != "do"})
        facts: JsonObject = asdict(act(value, lambda event: say(event_as_json(event))))
        return facts

    return answer


ACTIONS: dict[str, Action] = {
    "hello": _action(messages.MeasuringSetting, _hello),
    "data": _action(training_messages.LoadRequest, training_actions.load_data),
    "candidate": _action(export_messages.CandidateRequest, export_actions.export_candidate),
    "measure": _action(messages.MeasureRequest, _measure),
    "threads": _action(messages.ThreadsRequest, _threads),
    "export": _action(export_messages.ExportRequest, export_actions.export_trained),
    "accuracy": _action(export_messages.AccuracyRequest, export_actions.accuracy_of),
    "train": _action(training_messages.TrainRequest, training_actions.train_network),
    "count": _action(training_messages.CountRequest, training_actions.count_network),
    "score": _action(training_messages.ScoreRequest, training_actions.score),
    "pace": _action(training_messages.PaceRequest, training_actions.pace_of),
}
"""By the name of the request."""
