"""The gate, which is the budget less the noise of the machine: in words, and what a reading says beside it."""

from __future__ import annotations

from archdsl.numbers import plain_text
from archdsl.search.policy.evaluate import GatePolicy
from archdsl.search.trial import Trial


def gate_text(gate_ms: float, budget_ms: float | None) -> str:
    """`gate 1.90 ms = budget 2 ms - 5 % noise`: the share of the budget that the noise takes."""
    if budget_ms is None or budget_ms < gate_ms:
        return f"gate {_ms(gate_ms)} ms"
    noise = 100 * (1 - gate_ms / budget_ms)
    return f"gate {_ms(gate_ms)} ms = budget {plain_text(budget_ms, 4)} ms - {noise:.0f} % noise"


def _ms(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def believed_ms(trial: Trial, gate_ms: float, policy: GatePolicy) -> float | None:
    """The latency by which predictions are corrected: a disturbed reading over the gate says only that it was over."""
    if trial.latency_ms is None or not trial.is_disturbed:
        return trial.latency_ms
    return min(trial.latency_ms, policy.disturbed * gate_ms)
