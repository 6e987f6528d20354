"""When the rounds so far say on which side of a gate a latency lies, so that no more need be taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archdsl.timing.estimate import STATS, estimate, percentile
from archdsl.timing.rounds import Rounds

_FEW, _FAR = 3, 1.5
"""Undisturbed rounds of which all are over the gate by this factor: enough to reject."""
_SOME_BLOCKS, _CLEAR = 2, 1.1
"""Blocks whose interval lies above the gate, and by what factor the statistic does: enough to reject."""
_BLOCKS, _DRAWS = 4, 200
"""Blocks whose interval does not hold the gate: enough to reject, and to let pass."""


def decides(rounds: Rounds, stat: str, gate_ms: float) -> bool:
    """Whether it is clear that a latency lies above the gate, or enough rounds show on which side it lies."""
    counting = rounds.counting
    if len(counting) >= _FEW and min(counting) > _FAR * gate_ms:
        return True
    estimated = estimate([rounds], stat, _DRAWS)
    if estimated is None or estimated.blocks < _SOME_BLOCKS:
        return False
    if estimated.low > gate_ms and percentile(counting, STATS[stat]) > _CLEAR * gate_ms:
        return True
    return estimated.blocks >= _BLOCKS and not estimated.low <= gate_ms < estimated.high


@dataclass(frozen=True)
class GateStop:
    """Ends a measurement once it is clear for every network on which side of a gate it lies."""

    stat: str
    gate_ms: float

    def __call__(self, taken: Mapping[str, Rounds]) -> bool:
        """Whether the rounds so far decide it."""
        return all(decides(rounds, self.stat, self.gate_ms) for rounds in taken.values())
