"""A search's verdict as a person reads it: the latency with its interval, and the conditions that it holds under."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.text import Text

from archdsl.numbers import accuracy_text
from archdsl.render.columns import whole
from archdsl.search.store.winner import AttemptSummary, HeldOutAccuracy, Tie, WinnerAccuracy

STYLES = {"PASS": "bold green", "FAIL": "bold red", "UNSURE": "bold yellow"}
_MOST_TIES = 5


def verdict_lines(result: Any) -> Iterator[Text]:
    """What became of the promise, what was measured and how, how accurate the winner is, and where its files are."""
    verdict = result.verdict
    if verdict.verdict is None:
        yield whole(str(verdict.reason))
        return
    yield whole(_first_line(result), STYLES[verdict.verdict])
    if verdict.reading is not None:
        yield from (whole(f"  {line}") for line in reading_lines(verdict.reading))
    yield from (whole(f"  {line}") for line in _passed_over(result))
    if verdict.has_winner:
        yield from (whole(line) for line in _accuracy_lines(verdict.accuracy))
        yield from (whole(line) for line in _tie_lines(verdict.ties, verdict.accuracy))
        names = ["winner.json"]
        if verdict.reading is not None:  # earlier versions wrote no more
            names += ["winner.safetensors", "run_winner.py", "README.txt"]
        yield from (whole(f"{result.folder}/{name}") for name in names)
    if result.disturbed.readings:
        yield whole(f"the machine was busy: {result.disturbed}", "yellow")


def _first_line(result: Any) -> str:
    """`PASS  NAME: p50 4.05 ms [4.01, 4.12] lies within the budget of 5 ms`."""
    verdict, budget = result.verdict, result.settings.latency_budget_ms
    if verdict.spec is None:
        return f"{verdict.verdict}  nothing was measured: {verdict.reason}"
    if verdict.reading is not None:
        nearest = "" if verdict.has_winner else "nearest miss "
        rate = _rate(result.settings)
        return f"{verdict.verdict}  {nearest}{verdict.spec.name}: {verdict.reason}{rate}"
    if verdict.has_winner:  # of an earlier version, which kept no reading
        return (
            f"{verdict.verdict}  {verdict.spec.name}: {result.settings.stat} {verdict.latency:.2f} ms{_inside(budget)}"
        )
    if verdict.verdict == "UNSURE":
        return f"UNSURE  nearest miss {verdict.spec.name}: {verdict.reason}"
    if verdict.latency is None:
        return f"FAIL  {verdict.spec.name} could not be measured again: {verdict.reason}"
    where = f"{verdict.spec.name}: {result.settings.stat} {verdict.latency:.2f} ms"
    if budget is not None and verdict.latency > budget:
        return f"FAIL  nearest miss {where} exceeds the budget of {budget:g} ms{_rate(result.settings)}"
    return f"FAIL  nearest miss {verdict.spec.name}: {verdict.reason}"


def _inside(budget: float | None) -> str:
    return "" if budget is None else f" lies within the budget of {budget:g} ms"


def _rate(settings: Any) -> str:
    """The budget as it was asked for, where that was images a second."""
    return "" if settings.throughput_budget is None else f" ({settings.throughput_budget:g} images/s)"


def reading_lines(reading: Any) -> Iterator[str]:
    """The statistics, how many rounds they rest on, and the conditions."""
    ms, over_all, facts = reading.latency_ms, reading.all_rounds_ms, reading.conditions
    yield (
        f"min {ms['min']:.2f}, p10 {ms['p10']:.2f}, p50 {ms['p50']:.2f}, p90 {ms['p90']:.2f} ms per batch; "
        f"over all rounds p50 {over_all['p50']:.2f}, p90 {over_all['p90']:.2f} ms"
    )
    calls = "" if reading.calls == 1 else f" of {reading.calls} calls"
    were = "was" if reading.undisturbed == 1 else "were"
    fresh = f"{reading.processes} fresh process{'es' * (reading.processes != 1)}"
    short = " (no time for three)" if reading.processes < 3 else ""
    yield f"{reading.undisturbed:,} of {reading.rounds:,} rounds{calls} {were} undisturbed, in {fresh}{short}"
    yield ", ".join(condition_texts(facts))


def condition_texts(facts: Mapping[str, Any]) -> Iterator[str]:
    """What a reading holds under: only what is known."""
    yield f"batch {facts['batch']}"
    yield str(facts["dtype"])
    yield f"runtime {facts['runtime']}"
    if facts.get("threads"):
        yield f"{facts['threads']} thread{'s' * (facts['threads'] != 1)}"
    name = facts.get("device_name")
    yield f"device {facts['device']}" + (f" ({name})" if name else "")
    if facts.get("inference_mode"):
        yield "torch.inference_mode"
    yield from (f"{name}={value}" for name, value in (facts.get("environment") or {}).items())
    if facts.get("load") is not None:
        yield f"load average {facts['load']:g}"
    if facts.get("cpu_share") is not None:
        yield f"CPU share {facts['cpu_share']:g} cores"
    if facts.get("other_cores") is not None:
        yield f"other processes used {facts['other_cores']:g} cores"
    elif facts["device"] == "cpu":
        yield "other processes cannot be seen on this system"
    if facts.get("gpu_processes"):
        yield f"other processes on the GPU: {', '.join(facts['gpu_processes'])}"


def _passed_over(result: Any) -> Iterator[str]:
    """Why the first row of the table and the networks tried before the winner did not win."""
    verdict = result.verdict
    winner = verdict.record.network_hash if verdict.has_winner and verdict.record else None
    for attempt in verdict.attempts:
        if attempt.network_hash != winner and attempt.reason:
            yield f"{attempt.name} is not the winner: {attempt.reason}"
    tried = {attempt.network_hash for attempt in verdict.attempts}
    first = result.front[0] if result.front else None
    if winner is not None and first is not None and first.network_hash not in {winner, *tried}:
        yield f"{first.name}, the first row, was ranked below the winner after longer training"


def _accuracy_lines(accuracy: WinnerAccuracy | None) -> Iterator[str]:
    """The accuracy of the weights that are handed over, and beside it what other seeds reach."""
    if accuracy is None or (accuracy.held_out is None and accuracy.validation is None):
        yield "the accuracy of the winner is not recorded"
        return
    if accuracy.held_out is not None:
        yield held_out_text(accuracy.held_out)
    elif accuracy.validation is not None:
        images = f"{accuracy.validation.images:,} validation images, by which it was chosen (none are held out)"
        value = accuracy_text(accuracy.validation.accuracy, accuracy.validation.error)
        yield f"accuracy of winner.safetensors on {images}: {value}, after {accuracy.validation.fidelity}"
    if accuracy.chance is not None:
        yield f"  always naming the largest class would give {accuracy_text(accuracy.chance)}"


def held_out_text(held: HeldOutAccuracy) -> str:
    """The winner's accuracy on images that no choice has seen, and beside it that of other seeds.

    A run of an earlier version kept no weights, and tells the mean over seeds alone.
    """
    of_seeds = ""
    if held.seeds > 1:
        spread = f"{accuracy_text(held.least)} to {accuracy_text(held.most)}"
        of_seeds = f"{held.seeds} seeds ({spread})"
    if held.images is None:
        mean = f", the mean over {of_seeds}" if of_seeds else ""
        value = accuracy_text(held.accuracy)
        return f"accuracy on held-out images, which no choice has seen: {value}{mean}, after {held.fidelity}"
    beside = f"; the mean over {of_seeds} is {accuracy_text(held.mean)}" if of_seeds else ""
    value = accuracy_text(held.accuracy, held.error)
    images = f"{held.images:,} held-out images, which no choice has seen"
    return f"accuracy of winner.safetensors on {images}: {value}, after {held.fidelity}{beside}"


def _tie_lines(ties: Sequence[Tie], accuracy: WinnerAccuracy | None) -> Iterator[str]:
    """Networks whose validation accuracy cannot be told from the winner's."""
    if not ties:
        return
    validation = None if accuracy is None else accuracy.validation
    on = "" if validation is None else f" on {validation.images:,} validation images"
    yield f"validation accuracy not distinguishable from the winner's (McNemar's test{on}, two standard errors):"
    for tie in ties[:_MOST_TIES]:
        accuracy_of_tie = accuracy_text(tie.validation_accuracy, tie.error)
        yield f"  {tie.name}: {accuracy_of_tie}, {tie.latency_ms:.2f} ms in its trial"
    if len(ties) > _MOST_TIES:
        yield f"  and {len(ties) - _MOST_TIES} more, in verdict.json"


def second_reading(attempts: Sequence[AttemptSummary], network_hash: str) -> str:
    """What became of a network that was measured again: `5.31 FAIL`; empty where it was not."""
    attempt = next((attempt for attempt in attempts if attempt.network_hash == network_hash), None)
    if attempt is None:
        return ""
    return attempt.verdict if attempt.latency_ms is None else f"{attempt.latency_ms:.2f} {attempt.verdict}"
