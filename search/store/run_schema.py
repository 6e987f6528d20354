"""What the files of a run hold, so that one that was damaged is told before anything is made of it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

Object = dict[str, JsonValue]


class RunFile(BaseModel):
    """What must be there; what a later version adds is left out."""

    model_config = ConfigDict(extra="ignore", strict=True)


class ClockFile(RunFile):
    """`clock.json`"""

    seconds: float
    trials_from: float = 0.0
    """Seconds after the start at which candidates began, where a parent was prepared before."""


class NoiseFile(RunFile):
    """`noise.json`"""

    gate_ms: float


class KnownFile(RunFile):
    """`known.json`: what the run begins with of earlier runs; no `choices` until it is known."""

    folders: list[str]
    choices: list[dict[str, bool | int | float | str | None]] | None = None
    origins: dict[str, str] = {}


class SharedFile(RunFile):
    """`shared.json`: where a shared study is kept."""

    storage: str
    study: str


class LimitsFile(RunFile):
    """The limits that a search ended at."""

    trials: int | None = None
    time_s: float | None = None


class VerdictFile(RunFile):
    """`verdict.json`; what more it holds are the keys of a `Reading` and of a `WinnerAccuracy`."""

    model_config = ConfigDict(extra="allow", strict=True)

    passed: bool
    hash: str | None
    latency: float | None
    reason: str | None
    attempts: list[Object]
    finished: bool
    trials: int
    seconds: float
    limits: LimitsFile
    device: Object
    verdict: Literal["PASS", "FAIL", "UNSURE"] | None = None
    ties: list[Object] = []
    disturbed_readings: list[int] = [0, 0]
    budget_share: Object | None = None
    parent: Object | None = None
    shortened: list[Object] = []

    @property
    def is_out_of_time(self) -> bool:
        """Whether only time was missing to hand over its network: it is UNSURE, and was not measured again."""
        mine = [attempt for attempt in self.attempts if attempt.get("hash") == self.hash]
        return any(attempt.get("verdict") == "UNSURE" and attempt.get("latency") is None for attempt in mine)


class ReadingFile(RunFile):
    """One reading in `final_readings.json`."""

    name: str
    samples_ms: list[float]
    disturbed: list[int]
    provenance: Object
    turns: list[int] = []
    """Rounds of each turn; earlier versions had none."""


def validation_message(error: ValidationError) -> str:
    """The first part that is refused: its place, and why."""
    first = error.errors(include_url=False)[0]
    return ": ".join([*(".".join(map(str, place)) for place in [first["loc"]] if place), first["msg"]])
