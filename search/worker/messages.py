"""What a worker is asked about its device and about latencies, and what it answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from pydantic import JsonValue

from archdsl.json_types import JsonObject
from archdsl.latency.provenance import Provenance
from archdsl.latency.result import Latency
from archdsl.search.policy.pace import Pace as Pace
from archdsl.search.worker.request import Request


@dataclass(frozen=True)
class MeasuringSetting:
    """What a latency depends on beside the network and the machine."""

    device: str
    batch: int
    dtype: str
    runtime: str
    threads: int | None
    features_only: bool = False
    """Whether it is the backbone for dense prediction that is measured, without its head."""
    optimize: bool = False
    """Whether it is the inference form that is measured."""
    target: str | None = None
    """The URL of another machine that measures."""


@dataclass(frozen=True)
class HelloReply:
    """The device of a worker."""

    provenance: Provenance


@dataclass(frozen=True)
class HelloRequest(Request[HelloReply]):
    """Which device is there, and what is known of it?"""

    do = "hello"
    setting: MeasuringSetting

    def as_json(self) -> JsonObject:
        """The setting's parts side by side."""
        return {"do": self.do, **asdict(self.setting)}


@dataclass(frozen=True)
class LatencyReading:
    """One reading of a network."""

    samples_ms: tuple[float, ...]
    """Of each round, ms a batch."""
    provenance: dict[str, JsonValue]
    disturbed_rounds: tuple[int, ...] = ()

    def latency(self, name: str) -> Latency:
        """The same as a latency of the network of that name."""
        return Latency(name, self.samples_ms, self.provenance, frozenset(self.disturbed_rounds))


@dataclass(frozen=True)
class MeasureReply:
    """A reading, and the seconds that it took without waiting for the device."""

    latency: LatencyReading
    seconds: float = 0.0


@dataclass(frozen=True)
class PrepareReply:
    """The file is ready to be measured; the seconds that this took without waiting for the device."""

    seconds: float = 0.0


@dataclass(frozen=True)
class PrepareRequest(Request[PrepareReply]):
    """Prepare the file `weights`, ours or ONNX, and keep it, so that a turn of measuring begins at once."""

    do, needs_quiet = "prepare", True
    weights: str
    setting: MeasuringSetting


@dataclass(frozen=True)
class MeasureRequest(Request[MeasureReply]):
    """Measure a network, or the file `weights`, ours or ONNX; with a gate, until it is clear on which side it lies.

    `file` is the exported file of a network that was not trained, where there is one.
    """

    do, needs_quiet = "measure", True
    spec: dict[str, JsonValue]
    setting: MeasuringSetting
    pace: Pace | None = None
    stat: str = "p50"
    gate_ms: float | None = None
    weights: str | None = None
    file: str | None = None


@dataclass(frozen=True)
class ThreadsReply:
    """On how many threads networks are measured."""

    threads: int


@dataclass(frozen=True)
class ThreadsRequest(Request[ThreadsReply]):
    """On how many threads is this network the fastest?"""

    do, needs_quiet = "threads", True
    spec: dict[str, JsonValue]
    setting: MeasuringSetting
    file: str | None = None
