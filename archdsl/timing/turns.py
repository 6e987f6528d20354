"""Turns: processes that are alive together measure a slice each, one after another, and then again.

A machine's speed drifts by more between two processes that run one after another than processes differ. In turns, a
slow drift reaches all of them alike, and is not taken for a difference between them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from archdsl.timing.estimate import BLOCK
from archdsl.timing.rounds import Rounds


def turn_order(processes: int, turns: int) -> list[int]:
    """Whose turn it is, as numbers of processes from 0: each comes once before any comes again.

    Another one begins each time, so that over as many turns as there are processes all are equally early and late.
    """
    return [(turn + place) % processes for turn in range(turns) for place in range(processes)]


def rounds_of_turn(rounds: int, turns: int) -> int:
    """The rounds of one turn: whole blocks, and in all turns together `rounds` at the least."""
    return rounds if turns == 1 else BLOCK * math.ceil(rounds / turns / BLOCK)


def joined(turns: Sequence[Rounds]) -> Rounds:
    """The rounds of one process's turns, in their order."""
    ms = tuple(ms for turn in turns for ms in turn.ms)
    undisturbed = tuple(counts for turn in turns for counts in turn.undisturbed)
    slowed = sum(turn.slowed for turn in turns)
    return Rounds(ms, undisturbed, turns[0].calls, tuple(len(turn.ms) for turn in turns), slowed)
