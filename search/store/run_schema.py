"""What the files of a run hold, so that one that was damaged is told before anything is made of it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

Facts = dict[str, Any]


class Shape(BaseModel):
    """What must be there; there may be more."""

    model_config = ConfigDict(extra="allow", strict=True)


class Trial(Shape):
    """A line of `trials.jsonl`."""

    number: int
    hash: str
    spec: Facts
    rung: str
    outcome: str
    reason: str | None
    params: int
    macs: int
    latency: float | None
    inside_budget: bool | None
    accuracy: float | None
    seconds: float
    provenance: Facts


class Network(Shape):
    """A line of a proxy check's `networks.jsonl`."""

    number: int
    hash: str
    spec: Facts
    reason: str | None
    params: int
    macs: int
    scores: Facts
    trainings: list[Facts]


class _Clock(Shape):
    seconds: float


class _Noise(Shape):
    gate_ms: float


class _Known(Shape):
    folders: list[str]
    choices: list[Facts] = []
    origins: dict[str, str] = {}


class _Shared(Shape):
    storage: str
    study: str


class _Verdict(Shape):
    passed: bool
    hash: str | None
    latency: float | None
    reason: str | None
    attempts: list[Facts]
    finished: bool
    trials: int
    seconds: float
    limits: Facts
    device: Facts


class _Reading(Shape):
    name: str
    samples_ms: list[float]
    disturbed: list[int]
    provenance: Facts


_FILES: dict[str, Any] = {
    "clock.json": _Clock,
    "noise.json": _Noise,
    "known.json": _Known,
    "shared.json": _Shared,
    "verdict.json": _Verdict,
    "front.json": list[Trial],
    "final_readings.json": dict[str, list[_Reading]],
    "machine.json": Facts,
}


def mistake(value: Any, shape: Any) -> str | None:
    """What is wrong with a value that is to have a shape, or be what a file of this name holds; None if nothing is."""
    if isinstance(shape, str):
        shape = _FILES.get(shape, Any)
    try:
        TypeAdapter(shape).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return ": ".join([*(".".join(map(str, place)) for place in [first["loc"]] if place), first["msg"]])
    return None
