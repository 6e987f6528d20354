"""`verdict.json` as a value, also that of an earlier version."""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from archdsl.json_types import Json, JsonObject
from archdsl.search.report.classes import balanced_of, classes_of
from archdsl.search.report.facts import Attempt, HeldOut, Verdict
from archdsl.search.report.reading import items, mapping, number, numbers, text
from archdsl.search.report.trials import Timing
from archdsl.search.store.machine_load import Disturbed
from archdsl.search.store.reading import Reading
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
        held_out=held_out_of(mapping(written.get("held_out"))),
        per_class=(per_class := classes_of(written.get("per_class"))),
        balanced=balanced_of(per_class),
    )


def _word(written: JsonObject) -> str:
    """PASS, FAIL or UNSURE; earlier versions wrote whether it passed, and no more."""
    word = written.get("verdict")
    if isinstance(word, str) and word in ("PASS", "FAIL", "UNSURE"):
        return word
    return "PASS" if written.get("passed") is True else "FAIL"


def _reading(written: JsonObject) -> Reading | None:
    """None where a part of it cannot be read."""
    ms = mapping(written.get("latency_ms"))
    every = mapping(ms.get("all_rounds"))
    if None in [number(ms.get(name)) for name in STATS] + [number(every.get(name)) for name in STATS]:
        return None
    try:
        return TypeAdapter(Reading).validate_python({name: written.get(name) for name in Reading._fields})
    except ValidationError:
        return None


def _disturbed(written: Json) -> str:
    counts = numbers(written)
    return str(Disturbed(int(counts[0]), int(counts[1]))) if len(counts) == 2 else ""


def held_out_of(written: JsonObject) -> HeldOut | None:
    """None where the accuracy or the number of seeds cannot be read."""
    accuracy, seeds, images = (number(written.get(name)) for name in ("accuracy", "seeds", "images"))
    if accuracy is None or seeds is None:
        return None
    error, mean, least, most = (number(written.get(name)) for name in ("error", "mean", "least", "most"))
    fidelity = text(written.get("fidelity"), "a training of unknown length")
    return HeldOut(accuracy, int(seeds), fidelity, error, None if images is None else int(images), mean, least, most)


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
