"""The gate in words: the budget less the noise of the machine."""

from __future__ import annotations

from archdsl.numbers import plain_text


def gate_text(gate_ms: float, budget_ms: float | None) -> str:
    """`gate 1.90 ms = budget 2 ms - 5 % noise`: the share of the budget that the noise takes."""
    if budget_ms is None or budget_ms < gate_ms:
        return f"gate {gate_ms:.2f} ms"
    noise = 100 * (1 - gate_ms / budget_ms)
    return f"gate {gate_ms:.2f} ms = budget {plain_text(budget_ms, 4)} ms - {noise:.0f} % noise"
