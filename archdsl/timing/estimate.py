"""A statistic of pooled rounds with its interval: a block bootstrap, since neighbouring rounds are alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from archdsl.timing.rounds import Rounds

STATS = {"min": 0, "p10": 10, "p50": 50, "p90": 90}
"""Percentiles by name."""
BLOCK, LONG_BLOCK, LONG_MS = 10, 5, 100.0
"""Rounds a block; fewer where a call takes over 100 ms."""
DRAWS = 2000
_MARGINS = {2: 3.0, 3: 0.6, 4: 0.6, 5: 0.6}
"""By number of processes, the share of the range of their own statistics by which the interval exceeds that range.

Processes of one network differ by more than their rounds do, and all of three that are drawn around the budget lie
below it with a chance of one in eight. With these margins, and a reading that is doubled twice while it is unsure,
under 5 % of networks exactly at the budget pass (simulated for normal spreads between processes). Six processes and
more need none; of a single one the spread cannot be known.
"""
_CHUNK = 2_000_000
"""Numbers that are drawn at a time, to bound the memory."""

Floats = NDArray[np.float64]


class Estimate(NamedTuple):
    """A statistic over the undisturbed rounds of one process or more, in ms."""

    value: float
    low: float
    high: float
    blocks: int
    """Blocks of undisturbed rounds that the interval rests on."""
    rounds: int
    undisturbed: int
    block_rounds: int = BLOCK
    """Rounds a block."""

    @property
    def share(self) -> float:
        """Share of the rounds that are undisturbed, 0 to 1."""
        return self.undisturbed / max(self.rounds, 1)


def percentile(samples: Sequence[float], percent: float) -> float:
    """Linearly interpolated, as numpy's."""
    return float(np.percentile(samples, percent))


def estimate(processes: Sequence[Rounds], stat: str, draws: int = DRAWS) -> Estimate | None:
    """The statistic over all undisturbed rounds and its interval; None where no round is undisturbed.

    The interval is the 2.5 and 97.5 percentile over seeded draws of whole blocks, none of which crosses a process
    or a turn, widened to hold the statistic of each process by itself; of two or three processes by a margin more,
    since so few show their spread badly. For `min` it begins at the minimum.
    """
    counting = [np.asarray(rounds.counting, dtype=float) for rounds in processes]
    counting = [samples for samples in counting if len(samples)]
    if not counting:
        return None
    percent = STATS[stat]
    pooled = np.concatenate(counting)
    value = float(np.percentile(pooled, percent))
    of_each = [float(np.percentile(samples, percent)) for samples in counting]
    blocks = _blocks([np.asarray(turn, dtype=float) for rounds in processes for turn in rounds.counting_by_turn])
    margin = _MARGINS.get(len(of_each), 0.0) * (max(of_each) - min(of_each))
    low, high = min(of_each) - margin, max(of_each) + margin
    if len(blocks):
        drawn_low, drawn_high = np.percentile(_drawn(blocks, percent, draws), (2.5, 97.5))
        low, high = min(low, value, float(drawn_low)), max(high, value, float(drawn_high))
    if stat == "min":
        low = float(pooled.min())
    rounds = sum(len(taken.ms) for taken in processes)
    return Estimate(value, low, high, len(blocks), rounds, len(pooled), blocks.shape[1])


def _blocks(turns: Sequence[Floats]) -> Floats:
    """Rounds in their order as (blocks, rounds a block); what is left over of a turn is in no block."""
    length = LONG_BLOCK if float(np.median(np.concatenate(turns))) > LONG_MS else BLOCK
    whole = [samples[: len(samples) // length * length].reshape(-1, length) for samples in turns]
    return np.concatenate(whole)


def _drawn(blocks: Floats, percent: float, draws: int) -> Floats:
    """The statistic of each draw, with as many blocks as there are."""
    generator = np.random.default_rng(0)
    at_a_time = max(1, _CHUNK // blocks.size)
    parts = []
    for begin in range(0, draws, at_a_time):
        rows = generator.integers(0, len(blocks), (min(at_a_time, draws - begin), len(blocks)))
        drawn = blocks[rows].reshape(len(rows), -1)
        parts.append(np.percentile(drawn, percent, axis=1, overwrite_input=True))
    return np.concatenate(parts)
