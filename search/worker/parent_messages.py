"""What a worker is asked about the parent of a search, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import JsonValue

from archdsl.search.loaded_data import DataRequest
from archdsl.search.policy.inherit import AdaptingPolicy
from archdsl.search.worker.request import Request
from archdsl.search.worker.training_messages import Answers


@dataclass(frozen=True)
class ParentReply:
    """The parent, ready to be inherited from."""

    spec: dict[str, JsonValue]
    """With the classes and the channels of the data."""
    sha256: str
    """Of the file that it came from."""
    validation: Answers
    held: Answers | None
    epochs: float
    """Of its adaptation to the data; 0 where it was taken as it is."""
    notes: tuple[str, ...] = ()
    """What was done to it, in sentences."""


@dataclass(frozen=True)
class ParentRequest(Request[ParentReply]):
    """Bring a trained network to the data: classes by name, new ones trained, and written to a file of the run."""

    do = "parent"
    file: str
    out: str
    data: DataRequest
    image: tuple[int, int]
    """Height and width of the images of the space."""
    seed: int
    device: str
    threads: int | None
    batch: int
    seconds: float | None
    """That an adaptation may take; no limit where there is none."""
    adapting: AdaptingPolicy = field(default_factory=AdaptingPolicy)
