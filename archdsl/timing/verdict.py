"""PASS, FAIL or UNSURE: computed from the interval of a statistic, never by eye and never by the best reading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from archdsl.numbers import plain_text
from archdsl.timing.estimate import DRAWS, Estimate, estimate
from archdsl.timing.rounds import Rounds

Verdict = Literal["PASS", "FAIL", "UNSURE"]

LEAST_BLOCKS, LEAST_SHARE = 20, 0.25
"""Fewer blocks, or a smaller share of undisturbed rounds, decide nothing."""


class Judgement(NamedTuple):
    """What pooled rounds say of a budget."""

    verdict: Verdict
    reason: str
    """One sentence with the numbers that decided."""
    estimate: Estimate | None
    """None where no round is undisturbed."""
    is_disturbed: bool = False
    """Whether too few rounds count: another network measured now would most likely be UNSURE as well."""


def judge(processes: Sequence[Rounds], stat: str, budget_ms: float | None, draws: int = DRAWS) -> Judgement:
    """Whether a latency keeps a budget, from the rounds of fresh processes.

    UNSURE goes first: too few blocks, too few undisturbed rounds, or an interval that contains the budget. Without a
    budget there is nothing to be over: PASS.
    """
    pooled = estimate(processes, stat, draws)
    rounds = sum(len(taken.ms) for taken in processes)
    if budget_ms is None:
        value = f"{_text(stat, pooled)}; " if pooled is not None else ""
        return Judgement("PASS", f"{value}no latency budget was given", pooled)
    if pooled is None:
        return Judgement("UNSURE", f"none of {rounds:,} rounds was undisturbed", None, True)
    if pooled.share < LEAST_SHARE:
        were = "was" if pooled.undisturbed == 1 else "were"
        reason = f"only {pooled.undisturbed:,} of {rounds:,} rounds {were} undisturbed, fewer than a quarter"
        if slowed := sum(taken.slowed for taken in processes):
            reason += f"; the processor ran slower than usual in {slowed:,}"
        return Judgement("UNSURE", reason, pooled, True)
    if pooled.blocks < LEAST_BLOCKS:
        groups = f"{pooled.blocks} of the {LEAST_BLOCKS} groups of {pooled.block_rounds} rounds that are needed"
        reason = f"too few undisturbed rounds: {pooled.undisturbed}, which make {groups}"
        return Judgement("UNSURE", reason, pooled, True)
    interval = _text(stat, pooled)
    if pooled.high <= budget_ms:
        return Judgement("PASS", f"{interval} lies within the budget of {plain_text(budget_ms, 4)} ms", pooled)
    if pooled.low <= budget_ms:
        return Judgement(
            "UNSURE", f"{interval}: the interval contains the budget of {plain_text(budget_ms, 4)} ms", pooled
        )
    return Judgement("FAIL", f"{interval} exceeds the budget of {plain_text(budget_ms, 4)} ms", pooled)


def _text(stat: str, pooled: Estimate) -> str:
    """`p50 4.05 ms [4.01, 4.12]`."""
    return f"{stat} {pooled.value:.2f} ms [{pooled.low:.2f}, {pooled.high:.2f}]"
