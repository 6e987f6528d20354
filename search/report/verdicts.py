"""`verdict.json` as a value, also that of an earlier version."""

from __future__ import annotations

from typing import cast, get_args

from pydantic import ValidationError

from archdsl.json_types import Json, JsonObject
from archdsl.search.report.classes import balanced_of, classes_of
from archdsl.search.report.facts import Attempt, Verdict
from archdsl.search.report.reading import items, mapping, number, numbers, text
from archdsl.search.report.trials import Timing
from archdsl.search.store.budget_share import BudgetShare
from archdsl.search.store.machine_load import Disturbed
from archdsl.search.store.parent import ParentSummary
from archdsl.search.store.reading import Reading
from archdsl.search.store.winner import Float32Beside, HeldOutAccuracy, Word
from archdsl.timing.estimate import STATS


def verdict_of(written: JsonObject) -> Verdict:
    """What became of the promise, as far as it is written."""
    passed = None if "verdict" in written and written["verdict"] is None else written.get("passed")
    return Verdict(
        passed=passed if isinstance(passed, bool) else None,
        word=_word(written) if isinstance(passed, bool) else "",
        name=text(written.get("name")),
        hash=text(written.get("hash")),
        latency=number(written.get("latency")),
        accuracy=number(written.get("accuracy")),
        reason=text(written.get("reason")),
        attempts=[_attempt(mapping(item)) for item in items(written.get("attempts"))],
        reading=_reading(written),
        disturbed=_disturbed(written.get("disturbed_readings")),
        held_out=_held_out(mapping(written.get("held_out"))),
        float32=_float32(mapping(written.get("float32"))),
        per_class=(per_class := classes_of(written.get("per_class"))),
        balanced=balanced_of(per_class),
        budget_share=_budget_share(written.get("budget_share")),
        parent=_parent(written.get("parent")),
    )


def _parent(written: Json) -> ParentSummary | None:
    """None where it cannot be read, and in a search without one."""
    try:
        return ParentSummary.from_json(written)
    except ValidationError:
        return None


def _budget_share(written: Json) -> BudgetShare | None:
    """None where it cannot be read, and in a run of an earlier version."""
    try:
        return BudgetShare.from_json(written)
    except ValidationError:
        return None


def _word(written: JsonObject) -> Word:
    """PASS, FAIL or UNSURE; earlier versions wrote whether it passed, and no more."""
    word = next((word for word in get_args(Word) if word == written.get("verdict")), None)
    if word is not None:
        return cast(Word, word)
    return "PASS" if written.get("passed") is True else "FAIL"


def _reading(written: JsonObject) -> Reading | None:
    """None where a part of it cannot be read."""
    try:
        reading = Reading.from_json(written)
    except ValidationError:
        return None
    if reading is None or set(STATS) - set(reading.latency_ms) or set(STATS) - set(reading.all_rounds_ms):
        return None
    return reading


def _disturbed(written: Json) -> str:
    counts = numbers(written)
    return str(Disturbed(int(counts[0]), int(counts[1]))) if len(counts) == 2 else ""


def _held_out(written: JsonObject) -> HeldOutAccuracy | None:
    """None where the accuracy or the number of seeds cannot be read."""
    accuracy, seeds, images = (number(written.get(name)) for name in ("accuracy", "seeds", "images"))
    if accuracy is None or seeds is None:
        return None
    error, mean, least, most = (number(written.get(name)) for name in ("error", "mean", "least", "most"))
    fidelity = text(written.get("fidelity"), "a training of unknown length")
    return HeldOutAccuracy(
        accuracy, error, None if images is None else int(images), fidelity, int(seeds), least, most, mean
    )


def _float32(written: JsonObject) -> Float32Beside | None:
    """None where nothing was quantised."""
    validation = number(written.get("validation"))
    if validation is None:
        return None
    held_out, latency_ms, rounds = (number(written.get(name)) for name in ("held_out", "latency_ms", "rounds"))
    return Float32Beside(validation, held_out, latency_ms, None if rounds is None else int(rounds))


def _attempt(written: JsonObject) -> Attempt:
    return Attempt(
        name=text(written.get("name"), "unnamed"),
        hash=text(written.get("hash")),
        latency=number(written.get("latency")),
        word=_word(written),
        reason=text(written.get("reason")),
        timing=Timing.of(written.get("provenance")).document,
        gate_reading=number(written.get("gate_reading")),
    )
