"""On what machines and with what versions a report's numbers were taken, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from archdsl.json_types import JsonObject
from archdsl.render.texts import counted
from archdsl.search.store.gate import gate_text

if TYPE_CHECKING:
    from archdsl.search.report.facts import Report


def provenance_lines(report: Report) -> Iterator[str]:
    """What the latencies and accuracies were taken on and with, each setting once, with how often."""
    timings = [trial.timing for trial in report.trials] + [attempt.measured for attempt in report.verdict.attempts]
    timings = [timing for timing in timings if timing.document]
    for line, times in Counter(_machine(timing.machine) for timing in timings).most_common():
        yield f"{counted(times, 'latency', 'latencies')}: {line}"
    if unstable := sum(timing.is_unstable for timing in timings):
        are = "is unstable: it" if unstable == 1 else "are unstable: they"
        yield f"{unstable} of {len(timings)} latencies {are} drifted, or too few rounds were undisturbed."
    if report.gate_ms is not None:
        text = gate_text(report.gate_ms, report.budget_ms)
        yield f"{text[:1].upper()}{text[1:]} ({report.stat})."
    trained = [trial.proxy.document for trial in [*report.trials, *report.longer] if trial.proxy.document]
    for line, times in Counter(_training(proxy) for proxy in trained).most_common():
        yield f"{counted(times, 'training')}: {line}"
    if not timings:
        yield "Nothing was measured."


def _machine(facts: JsonObject) -> str:
    named = [str(facts[name]) for name in ("device_name", "dtype", "runtime", "os") if facts.get(name)]
    named += [f"{name} {facts[name]}" for name in ("batch", "threads", "driver", "torch", "cuda") if facts.get(name)]
    return ", ".join(named) or "not recorded"


def _training(proxy: JsonObject) -> str:
    named = [str(proxy[name]) for name in ("fidelity", "data", "device") if proxy.get(name)]
    named += [f"{name} {proxy[name]}" for name in ("seed", "threads", "torch") if proxy.get(name) is not None]
    return ", ".join(named) or "not recorded"


def versions_text(report: Report) -> str:
    """The versions that a repetition needs, and what differs nevertheless."""
    names = ("archdsl", "torch", "cuda", "python", "driver", "os")
    versions = ", ".join(f"{name} {report.facts[name]}" for name in names if report.facts.get(name))
    return (
        f"Versions: {versions or 'unknown'}. The seed fixes what is sampled and how it is trained. Latencies differ "
        f"from run to run, and so may what passes the gate and what is sampled next."
    )
