"""A search's verdict as a person reads it: the latency with its interval, and the conditions that it holds under."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType

from archdsl.json_types import JsonObject
from archdsl.numbers import accuracy_text, plain_text
from archdsl.render import library_texts
from archdsl.render.budget_share import budget_share_text
from archdsl.render.budgets import rate_text
from archdsl.render.columns import whole
from archdsl.render.prose import Command, Prose
from archdsl.render.texts import counted
from archdsl.render.verdict_line import Judged, verdict_line
from archdsl.search.report.commands import report_command, resume_command
from archdsl.search.report.gathering import steps_of
from archdsl.search.report.library import read_library_lines
from archdsl.search.report.reading import items, mapping, number

if TYPE_CHECKING:
    from archdsl.search.store.parent import ParentSummary
    from archdsl.search.store.reading import Reading
    from archdsl.search.store.result import Result
    from archdsl.search.store.winner import AttemptSummary, Float32Beside, HeldOutAccuracy, Tie, WinnerAccuracy

STYLES = {"PASS": "bold green", "FAIL": "bold red", "UNSURE": "bold yellow"}
_MOST_TIES, _MOST_REPLACED, _MOST_STEPS = 5, 4, 2
_FAR_BELOW = 0.5
_INDENT = "  "


def verdict_lines(result: Result) -> Iterator[RenderableType]:
    """What became of the promise, what was measured and how, how accurate the winner is, and where its files are."""
    verdict = result.verdict
    if verdict.verdict is None:
        yield Prose(str(verdict.reason))
        return
    first_line = _first_line(result)
    yield Prose(first_line, STYLES[verdict.verdict], hanging=_INDENT)
    held_out = None if verdict.accuracy is None else verdict.accuracy.held_out
    if verdict.has_winner and (line := far_below_text(result.parent, held_out)):
        yield Prose(line, "yellow", indent=_INDENT)
    if verdict.has_winner:
        yield from (Prose(line) for line in _accuracy_lines(verdict.accuracy, result.settings.stat))
        if line := exported_text(verdict.reading):
            yield Prose(line, indent=_INDENT)
        if line := parent_text(result.parent, result.settings.stat, verdict.latency):
            yield Prose(line)
    if verdict.reading is not None:
        yield Prose("how the latency was measured:")
        yield from (Prose(line, indent=_INDENT) for line in reading_lines(verdict.reading))
    yield from (Prose(line) for line in _passed_over(result, first_line))
    if verdict.has_winner:
        yield from _library_lines(result)
        yield from (Prose(line, "yellow") for line in parent_warnings(result.parent))
        yield from _tie_lines(verdict.ties, verdict.accuracy)
        yield from (whole(f"{result.folder}/{name}") for name in _file_names(verdict.reading))
    settings = result.settings
    if text := budget_share_text(result.budget_share, settings.budgets.latency_ms, settings.runtime):
        yield Prose(text)
    if result.disturbed.readings:
        yield Prose(f"the machine was busy: {result.disturbed}", "yellow")
    yield from _next_lines(result)


def _file_names(reading: Reading | None) -> list[str]:
    """What a run leaves of its winner; earlier versions wrote its document alone."""
    if reading is None:
        return ["winner.json"]
    exported = ["winner.onnx"] * ("file" in reading.conditions)
    return ["winner.json", "winner.safetensors", *exported, "run_winner.py", "README.txt"]


def _next_lines(result: Result) -> Iterator[RenderableType]:
    """The first commands that go on from a verdict, of a PASS the first alone, and the one that shows all of them."""
    resumes, reason = resume_command(result.folder), result.verdict.reason or ""
    steps = [step for step in steps_of(result.folder) if resumes not in reason or not step.command.startswith(resumes)]
    for step in steps[: 1 if result.verdict.passed else _MOST_STEPS]:
        yield Prose(step.text)
        yield Command(step.command)
    yield Prose("All figures, and further commands:")
    yield Command(report_command(result.folder))


def _first_line(result: Result) -> str:
    verdict, record = result.verdict, result.verdict.record
    assert verdict.verdict is not None
    judged = Judged(
        word=verdict.verdict,
        reason=verdict.reason or "",
        name=None if verdict.spec is None else verdict.spec.name,
        reading=verdict.reading,
        latency_ms=verdict.latency,
        stat=result.settings.stat,
        budget_ms=result.settings.budgets.latency_ms,
        is_inside=record is not None and record.inside_budget is True,
        rate=rate_text(result.settings),
    )
    return verdict_line(judged)


def reading_lines(reading: Reading) -> Iterator[str]:
    """The statistics, how many rounds they rest on, and the conditions."""
    ms, every_ms = reading.latency_ms, reading.all_rounds_ms
    yield (
        f"min {ms['min']:.2f}, p10 {ms['p10']:.2f}, p50 {ms['p50']:.2f}, p90 {ms['p90']:.2f} ms per batch; "
        f"over all rounds p50 {every_ms['p50']:.2f}, p90 {every_ms['p90']:.2f} ms"
    )
    calls = "" if reading.calls == 1 else f" of {reading.calls} calls"
    were = "was" if reading.undisturbed == 1 else "were"
    processes = counted(reading.processes, "fresh process", "fresh processes")
    yield f"{reading.undisturbed:,} of {reading.rounds:,} rounds{calls} {were} undisturbed, in {processes}"
    yield ", ".join(condition_texts(reading.conditions))


def condition_texts(facts: JsonObject) -> Iterator[str]:
    """What a reading holds under: only what is known."""
    yield f"batch {facts.get('batch')}"
    yield str(facts.get("dtype"))
    yield f"runtime {facts.get('runtime')}"
    versions = mapping(mapping(facts.get("file")).get("versions"))
    yield from (f"{name} {versions[name]}" for name in [facts.get("runtime")] if name in versions)
    if facts.get("features_only"):
        yield "features only, without head"
    if facts.get("optimized"):
        yield "optimized (inference form)"
    if threads := number(facts.get("threads")):
        yield counted(int(threads), "thread")
    name = facts.get("device_name")
    yield f"device {facts.get('target') or facts.get('device')}" + (f" ({name})" if name else "")
    if facts.get("inference_mode"):
        yield "torch.inference_mode"
    yield from (f"{name}={value}" for name, value in mapping(facts.get("environment")).items())
    if (load := number(facts.get("load"))) is not None:
        yield f"load average {plain_text(load)}"
    if (share := number(facts.get("cpu_share"))) is not None:
        yield f"CPU share {plain_text(share)} cores"
    if (others := number(facts.get("other_cores"))) is not None:
        yield f"other processes used {plain_text(others)} cores"
    elif facts.get("device") == "cpu":
        yield "other processes cannot be seen on this system"
    if slowed := number(facts.get("slowed_rounds")):
        yield f"the processor ran slower than usual in {counted(int(slowed), 'round')}"
    if processes := items(facts.get("gpu_processes")):
        yield f"other processes on the GPU: {', '.join(map(str, processes))}"


def _passed_over(result: Result, first_line: str) -> Iterator[str]:
    """Why the first row of the table and the networks tried before the winner did not win; but what `first_line` says
    already.
    """
    verdict = result.verdict
    winner = verdict.record.network_hash if verdict.has_winner and verdict.record else None
    for attempt in verdict.attempts:
        if attempt.network_hash != winner and attempt.reason not in first_line:
            yield f"{attempt.name} is not the winner: {attempt.reason}"
    tried = {attempt.network_hash for attempt in verdict.attempts}
    first = result.front[0] if result.front else None
    if winner is not None and first is not None and first.network_hash not in {winner, *tried}:
        yield f"{first.name}, the first row, was ranked below the winner after longer training"


def _accuracy_lines(accuracy: WinnerAccuracy | None, stat: str) -> Iterator[str]:
    """The accuracy of the weights that are handed over, and beside it what other seeds reach."""
    if accuracy is None or (accuracy.held_out is None and accuracy.validation is None):
        yield "the accuracy of the winner is not recorded"
        return
    if accuracy.held_out is not None:
        yield held_out_text(accuracy.held_out, accuracy.file)
    elif accuracy.validation is not None:
        validation = accuracy.validation
        images = f"{validation.images:,} validation images, by which it was chosen (none are held out)"
        value = accuracy_text(validation.accuracy, validation.error)
        yield f"accuracy of {accuracy.file} on {images}: {value}, after {validation.fidelity}"
    if accuracy.float32 is not None:
        yield f"  {float32_text(accuracy.float32, stat)}"
    if accuracy.chance is not None:
        yield f"  always predicting the largest class would give {accuracy_text(accuracy.chance)}"


def parent_text(parent: ParentSummary | None, stat: str, latency: float | None) -> str:
    """What the parent reaches on the same images, and in which time; empty where there is none."""
    if parent is None:
        return ""
    which = "validation" if parent.held_out is None else "held-out"
    accuracy = accuracy_text(parent.accuracy.accuracy, parent.accuracy.error)
    text = f"its parent {parent.name}: {accuracy} on the same {which} images"
    if parent.latency_ms is None:
        return text
    text = f"{text}, {stat} {parent.latency_ms:.2f} ms"
    if latency is None:
        return text
    return f"{text}; the winner takes {100 * latency / parent.latency_ms:.0f} % of this latency"


def parent_warnings(parent: ParentSummary | None) -> list[str]:
    """Why the parent is a doubtful one, a line each."""
    return [] if parent is None else [f"warning: the parent {parent.name}: {text}" for text in parent.warnings]


def far_below_text(parent: ParentSummary | None, held_out: HeldOutAccuracy | None) -> str:
    """That a winner is far less accurate than its parent; empty where it is not, or that is not known."""
    if parent is None or held_out is None or held_out.accuracy >= _FAR_BELOW * parent.accuracy.accuracy:
        return ""
    reached, of_parent = accuracy_text(held_out.accuracy), accuracy_text(parent.accuracy.accuracy)
    below = f"warning: its accuracy is {reached}, less than half of its parent's {of_parent}"
    return f"{below}; a longer search or a larger budget gives a better network"


def float32_text(facts: Float32Beside, stat: str) -> str:
    """What the weights of a quantised winner reach before they are quantised, and take."""
    value = accuracy_text(facts.validation if facts.held_out is None else facts.held_out)
    text = f"winner.safetensors, the same weights in float32: {value}"
    if facts.latency_ms is None:
        return text
    rounds = "" if facts.rounds is None else f" of {counted(facts.rounds, 'round')}"
    return f"{text}; exported in float32: {stat} {facts.latency_ms:.2f} ms (one short reading{rounds})"


def held_out_text(facts: HeldOutAccuracy, file: str = "winner.safetensors") -> str:
    """The winner's accuracy on images that nothing was chosen by, and beside it that of other seeds.

    A run of an earlier version kept no weights: its accuracy is the mean over seeds.
    """
    value, seeds = accuracy_text(facts.accuracy, facts.error), ""
    if facts.seeds > 1:
        seeds = f"{facts.seeds} seeds ({accuracy_text(facts.least)} to {accuracy_text(facts.most)})"
    if facts.images is None:
        mean = f", the mean over {seeds}" if seeds else ""
        return f"accuracy on held-out images, not used for training or selection: {value}{mean}, after {facts.fidelity}"
    beside = f"; the mean over {seeds} is {accuracy_text(facts.mean)}" if seeds else ""
    images = f"{facts.images:,} held-out images, not used for training or selection"
    return f"accuracy of {file} on {images}: {value}, after {facts.fidelity}{beside}"


def exported_text(reading: Reading | None) -> str:
    """What is known of the answers of an exported winner, whose accuracy was not measured; empty where none is."""
    if reading is None or "file" not in reading.conditions or reading.conditions.get("dtype") == "int8":
        return ""
    what = "is the inference form of this network" if reading.conditions.get("optimized") else "has the same weights"
    return (
        f"winner.onnx {what}, and its outputs agree on three test inputs (noise and zeros), "
        "but its accuracy on images was not measured"
    )


def _library_lines(result: Result) -> Iterator[Prose]:
    """Which blocks of the parent the library's replaced; empty where none did."""
    record = result.verdict.record
    if record is None or not record.is_inherited:
        return
    lines = read_library_lines(result.folder, result.winner)
    if lines is None or not lines.exchanged:
        return
    yield Prose(library_texts.replaced_sum(lines))
    each = [*library_texts.replacement_lines(lines)]
    yield from (Prose(line, indent=_INDENT, hanging=_INDENT) for line in each[:_MOST_REPLACED])
    if len(each) > _MOST_REPLACED:
        yield Prose(f"and {len(each) - _MOST_REPLACED} more, in report.html", indent=_INDENT)


def _tie_lines(ties: Sequence[Tie], accuracy: WinnerAccuracy | None) -> Iterator[Prose]:
    """Networks whose validation accuracy cannot be told from the winner's."""
    if not ties:
        return
    validation = None if accuracy is None else accuracy.validation
    on = "" if validation is None else f" on {validation.images:,} validation images"
    yield Prose(f"validation accuracy not distinguishable from the winner's (McNemar's test{on}, two standard errors):")
    for tie in ties[:_MOST_TIES]:
        value = accuracy_text(tie.validation_accuracy, tie.error)
        yield Prose(f"{tie.name}: {value}, {tie.latency_ms:.2f} ms in its trial", indent=_INDENT)
    if len(ties) > _MOST_TIES:
        yield Prose(f"and {len(ties) - _MOST_TIES} more, in verdict.json", indent=_INDENT)


def second_reading(attempts: Sequence[AttemptSummary], network_hash: str) -> str:
    """What became of a network that was measured again: `5.31 FAIL`; empty where it was not."""
    attempt = next((attempt for attempt in attempts if attempt.network_hash == network_hash), None)
    if attempt is None:
        return ""
    return attempt.verdict if attempt.latency_ms is None else f"{attempt.latency_ms:.2f} {attempt.verdict}"
