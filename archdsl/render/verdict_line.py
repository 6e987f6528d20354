"""The first line of a verdict, the same where a search ends and in its report."""

from __future__ import annotations

from typing import NamedTuple

from archdsl.numbers import plain_text
from archdsl.search.store.reading import Reading
from archdsl.search.store.winner import Word


class Judged(NamedTuple):
    """What a verdict says, wherever it was read."""

    word: Word
    reason: str
    name: str | None
    """Of the winner or the nearest miss; None where nothing was measured."""
    reading: Reading | None
    """As measured again; None where it was not, or in a run of an earlier version."""
    latency_ms: float | None
    """As measured again, else as in its trial."""
    stat: str
    budget_ms: float | None
    is_inside: bool
    """Whether its trial measured it inside the budget."""
    rate: str = ""
    """The budget as it was asked for, where that was images per second."""


def verdict_line(judged: Judged) -> str:
    """`PASS  NAME: p50 4.05 ms [4.01, 4.12] lies within the budget of 5 ms`."""
    word, name, reason = judged.word, judged.name, f": {judged.reason}" if judged.reason else ""
    if not name:
        return f"{word}  nothing was measured{reason}"
    if judged.reading is not None:
        nearest = "nearest miss " if word == "FAIL" else ""
        return f"{word}  {nearest}{name}{reason}{judged.rate}{fewer_processes_text(judged.reading)}"
    if word == "UNSURE":
        return f"UNSURE  {'' if judged.is_inside else 'nearest miss '}{name}{reason}"
    if judged.latency_ms is None:
        return f"FAIL  {name} could not be measured again{reason}"
    return _without_reading(judged, reason)


def _without_reading(judged: Judged, reason: str) -> str:
    """Of a network that was measured in its trial alone, or by an earlier version, which kept no reading."""
    where, budget = f"{judged.name}: {judged.stat} {judged.latency_ms:.2f} ms", judged.budget_ms
    if judged.word == "PASS":
        inside = "; no latency budget was given" if budget is None else f" lies within {_budget_text(budget)}"
        return f"PASS  {where}{inside}"
    if budget is not None and (judged.latency_ms or 0.0) > budget:
        return f"FAIL  nearest miss {where} exceeds {_budget_text(budget)}{judged.rate}"
    return f"FAIL  nearest miss {judged.name}{reason}"


def _budget_text(budget_ms: float) -> str:
    return f"the budget of {plain_text(budget_ms, 4)} ms"


def fewer_processes_text(reading: Reading) -> str:
    """That a verdict rests on fewer processes than the three that it has where there is time; else empty."""
    if reading.processes == 1:
        one = "measured in one process, since time was short: the interval does not show how far processes differ"
        return f" ({one})"
    return " (measured in two processes, since time was short)" if reading.processes == 2 else ""
