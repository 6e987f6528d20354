"""What a worker is asked about exported files, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue

from archdsl.search.loaded_data import DataRequest
from archdsl.search.worker.messages import MeasuringSetting
from archdsl.search.worker.request import Request


@dataclass(frozen=True)
class CandidateReply:
    """The file is there; its size in bytes."""

    bytes: int


@dataclass(frozen=True)
class CandidateRequest(Request[CandidateReply]):
    """Export a network that was not trained to `file`, for a setting, unless it is there."""

    do = "candidate"
    spec: dict[str, JsonValue]
    file: str
    setting: MeasuringSetting


@dataclass(frozen=True)
class Calibration:
    """Training images by which the activations of an int8 file are scaled: the first of the data."""

    data: DataRequest
    images: int


@dataclass(frozen=True)
class ExportReply:
    """The file that was written and held against its network."""

    sha256: str
    largest_error: float
    """As a share of the largest output."""


@dataclass(frozen=True)
class ExportRequest(Request[ExportReply]):
    """Export the network in the file `weights` to an ONNX file for a setting."""

    do = "export"
    weights: str
    file: str
    setting: MeasuringSetting
    calibration: Calibration | None = None
    """Where the setting is int8."""


@dataclass(frozen=True)
class NamedImages:
    """Which images of a set a file names rightly; `answers` as `archdsl.training.accuracy.packed` writes them."""

    answers: str
    images: int
    right: int
    per_class: dict[str, tuple[int, int]]
    """How many of a class are named rightly, of how many."""


@dataclass(frozen=True)
class AccuracyReply:
    """The accuracy of a file."""

    validation: NamedImages
    held_out: NamedImages | None
    """None where nothing is held out."""


@dataclass(frozen=True)
class AccuracyRequest(Request[AccuracyReply]):
    """Which validation and held-out images does an exported classifier name rightly?"""

    do = "accuracy"
    file: str
    data: DataRequest
    setting: MeasuringSetting
