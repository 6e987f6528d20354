"""Rounds as they were timed."""

from __future__ import annotations

from typing import NamedTuple


class Lap(NamedTuple):
    """What a timer says of some calls together, in ms."""

    ms: float
    """The latency: wall time on a CPU, time between two events on a GPU."""
    wall_ms: float
    """Wall time on the host."""
    cpu_ms: float
    """CPU time of this process, all its threads together."""


class Round(NamedTuple):
    """One round: ms of one call, and what its calls together took on the host."""

    ms: float
    wall_ms: float
    cpu_ms: float
    ended_s: float
    """When it ended, by `time.monotonic()`."""
    looks: tuple[float, float] | None = None
    """What the fixed loop of `ProcessorSpeed` took right before it and right after, in ms; None where not timed."""

    @property
    def cpu_share(self) -> float:
        """Cores that the process kept busy."""
        return self.cpu_ms / max(self.wall_ms, 1e-9)


class Rounds(NamedTuple):
    """The rounds of one network in one process, in their order."""

    ms: tuple[float, ...]
    """ms of one call, a round."""
    undisturbed: tuple[bool, ...]
    """Which of them count."""
    calls: int = 1
    """Calls a round."""
    turns: tuple[int, ...] = ()
    """Rounds of each turn, where the process took turns with others; all were taken in one where it is empty."""
    slowed: int = 0
    """Rounds beside which the processor ran slower than usual; none of them counts."""

    @property
    def counting(self) -> tuple[float, ...]:
        """Ms of the undisturbed rounds."""
        return tuple(ms for ms, counts in zip(self.ms, self.undisturbed, strict=True) if counts)

    @property
    def counting_by_turn(self) -> tuple[tuple[float, ...], ...]:
        """Ms of the undisturbed rounds of each turn."""
        begin, parts = 0, list[tuple[float, ...]]()
        for count in self.turns or (len(self.ms),):
            turn = zip(self.ms[begin : begin + count], self.undisturbed[begin : begin + count], strict=True)
            parts.append(tuple(ms for ms, counts in turn if counts))
            begin += count
        return tuple(parts)

    @property
    def share(self) -> float:
        """Share of the rounds that are undisturbed, 0 to 1."""
        return sum(self.undisturbed) / max(len(self.undisturbed), 1)
