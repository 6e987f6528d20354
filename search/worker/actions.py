"""What a worker does when it is asked: it measures here; it imports torch when it must."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from archdsl.json_types import JsonObject
from archdsl.search.loaded_data import LoadedData
from archdsl.search.worker import (
    export_actions,
    export_messages,
    library_actions,
    library_messages,
    messages,
    parent_actions,
    parent_messages,
    there,
    training_actions,
    training_messages,
)
from archdsl.search.worker.events import DeviceBusy, Measuring, event_as_json
from archdsl.search.worker.export_actions import trained
from archdsl.search.worker.request import parsed
from archdsl.search.worker.training_actions import Say

if TYPE_CHECKING:
    from archdsl.compile import Backbone
    from archdsl.latency.ready import ReadyNetworks
    from archdsl.latency.rounds import Pace as PaceOptions
    from archdsl.latency.subjects import Subject
    from archdsl.runtimes.setting import Image

Q = TypeVar("Q")
Reply = (
    messages.HelloReply
    | LoadedData
    | messages.PrepareReply
    | messages.MeasureReply
    | messages.ThreadsReply
    | export_messages.CandidateReply
    | export_messages.ExportReply
    | export_messages.AccuracyReply
    | training_messages.ScoreReply
    | training_messages.TrainReply
    | training_messages.Inherited
    | training_messages.PaceReply
    | training_messages.CountReply
    | parent_messages.ParentReply
    | library_messages.LibraryReply
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


def _prepare(request: messages.PrepareRequest, say: Say) -> messages.PrepareReply:
    """Prepare a file that is measured in turns, once the device is free."""
    with _device(request.setting, say, None) as started:
        _kept_network(request.weights, request.setting).prepare()
        return messages.PrepareReply(time.monotonic() - started)


def _measure(request: messages.MeasureRequest, say: Say) -> messages.MeasureReply:
    """The latency of a network, once the device is free; the parent is told of the waiting, or it would give up.

    With a gate the reading ends when it is clear on which side of it the latency lies.
    """
    if request.setting.target is not None:
        return there.measure(request, say)
    from archdsl.latency.provenance import gpu_processes
    from archdsl.search.worker.networks import image_of, measurable
    from archdsl.timing.gate import GateStop

    setting, weights = request.setting, request.weights
    timeout_s = there.PATIENCE_S if weights is None else None  # a winner is worth waiting for
    with _device(setting, say, timeout_s) as started:
        pace: PaceOptions = {"stop": None if request.gate_ms is None else GateStop(request.stat, request.gate_ms)}
        if request.pace is not None:
            pace |= request.pace.options()
        if weights is not None:
            network = _kept_network(weights, setting)
        elif request.file is not None:
            network = _network(_subject(Path(request.file), setting.features_only), setting)
        else:
            network = _network(measurable(request.spec, setting.device), setting, image_of(request.spec))
        (latency,) = network.latencies(**pace)
        if setting.features_only:
            latency.provenance["features_only"] = True
        if weights is not None:
            latency.provenance["gpu_processes"] = gpu_processes(setting.device)
    reading = messages.LatencyReading(latency.samples, latency.provenance, tuple(sorted(latency.disturbed)))
    return messages.MeasureReply(reading, time.monotonic() - started)


@contextmanager
def _device(setting: messages.MeasuringSetting, say: Say, timeout_s: float | None) -> Iterator[float]:
    """The device alone; the parent is told while another process measures on it. Yields when it was free."""
    from archdsl.runtimes.setting import checked_device
    from archdsl.timing.device_lock import device_lock

    has_waited = False

    def waiting(text: str) -> None:
        nonlocal has_waited
        has_waited = True
        say(DeviceBusy(text))

    with device_lock(checked_device(setting.device), waiting, timeout_s):
        if has_waited:
            say(Measuring())
        yield time.monotonic()


_kept: dict[tuple[str, messages.MeasuringSetting], ReadyNetworks] = {}
"""The file that was asked for last, prepared: a process that takes turns with others prepares it once."""


def _kept_network(weights: str, setting: messages.MeasuringSetting) -> ReadyNetworks:
    if (weights, setting) not in _kept:
        _kept.clear()
        _kept[weights, setting] = _network(_subject(Path(weights), setting.features_only), setting)
    return _kept[weights, setting]


def _network(subject: Subject, setting: messages.MeasuringSetting, image: Image | None = None) -> ReadyNetworks:
    """What is measured under a setting, not prepared yet."""
    from archdsl.latency.measuring import ready_network

    return ready_network(
        subject,
        setting.device,
        setting.batch,
        setting.dtype,
        setting.runtime,
        setting.threads,
        image=image,
        features_only=setting.features_only,
        optimize=setting.optimize,
    )


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
        checked = Setting.checked(setting.device, setting.batch, setting.dtype, setting.runtime)
        runner = prepared(subject, image, checked, setting.optimize)
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
    "prepare": _action(messages.PrepareRequest, _prepare),
    "measure": _action(messages.MeasureRequest, _measure),
    "threads": _action(messages.ThreadsRequest, _threads),
    "export": _action(export_messages.ExportRequest, export_actions.export_trained),
    "accuracy": _action(export_messages.AccuracyRequest, export_actions.accuracy_of),
    "train": _action(training_messages.TrainRequest, training_actions.train_network),
    "inherited_loss": _action(training_messages.InheritedLossRequest, training_actions.inherited_loss),
    "count": _action(training_messages.CountRequest, training_actions.count_network),
    "score": _action(training_messages.ScoreRequest, training_actions.score),
    "parent": _action(parent_messages.ParentRequest, parent_actions.prepare_parent),
    "library": _action(library_messages.LibraryRequest, library_actions.fit_library),
    "pace": _action(training_messages.PaceRequest, training_actions.pace_of),
}
"""By the name of the request."""
