"""What a worker says before its reply: it waits, it measures, it trains so far."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.json_types import JsonObject


@dataclass(frozen=True)
class DeviceBusy:
    """The worker waits for the device, on which another process measures."""

    text: str


@dataclass(frozen=True)
class Measuring:
    """The device is free, and the worker measures now."""


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training is, 0 to 1."""

    share: float


Event = DeviceBusy | Measuring | TrainingProgress
"""What a worker says before its reply."""


def event_as_json(event: Event) -> JsonObject:
    """As it goes over the pipe."""
    match event:
        case DeviceBusy(text):
            return {"waiting": text}
        case Measuring():
            return {"measuring": True}
        case TrainingProgress(share):
            return {"progress": share}


def event_of(facts: JsonObject) -> Event | None:
    """What a worker said; None where it is of no kind that is known."""
    share = facts.get("progress")
    if "waiting" in facts:
        return DeviceBusy(str(facts["waiting"]))
    if "measuring" in facts:
        return Measuring()
    return TrainingProgress(share) if isinstance(share, int | float) else None
