"""How a latency was measured, as a trial keeps it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from pydantic import JsonValue, TypeAdapter

from archdsl.json_types import JsonObject
from archdsl.timing.verdict import LEAST_SHARE


@dataclass(frozen=True)
class Measurement:
    """How a latency was measured; None for what an earlier version did not write.

    Statistics are in ms a batch, over the undisturbed rounds, or over all rounds where none is.
    """

    min_ms: float | None = None
    p10_ms: float | None = None
    p50_ms: float | None = None
    p90_ms: float | None = None
    spread: float | None = None
    """(p50 - p10) / p10 of the last reading."""
    unstable: bool | None = None
    """Whether the latency drifted, or too few rounds were undisturbed."""
    provenance: dict[str, JsonValue] | None = None
    """Device, versions and setting of the last reading (`archdsl.latency.provenance`)."""
    stat: str | None = None
    interval_ms: tuple[float, float] | None = None
    """Of the statistic; None where no round was undisturbed."""
    samples: int | None = None
    rounds: int | None = None
    undisturbed: int | None = None
    """Rounds that no other process disturbed."""
    reading_count: int | None = None

    @property
    def is_disturbed(self) -> bool:
        """Whether less than a quarter of the rounds count; False where it is not known."""
        if self.rounds is None or self.undisturbed is None:
            return False
        return self.undisturbed < LEAST_SHARE * self.rounds

    @classmethod
    def from_json(cls, facts: JsonObject) -> Measurement:
        """`provenance.latency` of a line of `trials.jsonl`.

        Raises:
            ValidationError: a part is of another type.
        """
        return _MEASUREMENT.validate_python(facts)

    def as_json(self) -> JsonObject:
        """The same facts for a file."""
        interval = None if self.interval_ms is None else list(self.interval_ms)
        return {**asdict(self), "interval_ms": interval}


_MEASUREMENT = TypeAdapter(Measurement)
