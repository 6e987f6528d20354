"""The reading that a verdict rests on: the file that is handed over, measured in fresh processes that are pooled.

Three processes that take turns, each with at least 3 s and 70 rounds; fewer, one at least, where time is short, and
that is printed. A reading that leaves the verdict open is doubled, twice at most, while time remains; none is repeated
because it missed. The numbers are those of the shipped policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from archdsl.language.document import Spec
from archdsl.latency.result import Latency
from archdsl.runtimes.by_name import runs_files
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.fresh_processes import read_together
from archdsl.search.evaluate.kept_files import onnx_beside
from archdsl.search.evaluate.rungs import ask_in_time
from archdsl.search.store.final_readings import FinalReadings
from archdsl.search.store.reading import Reading, conditions_of
from archdsl.search.worker.export_messages import Calibration, ExportRequest
from archdsl.search.worker.messages import MeasuringSetting
from archdsl.search.worker.process import Failed, OutOfTime, TargetLost, WorkerGone
from archdsl.timing.verdict import Judgement, judge


def read_winner(context: Context, spec: Spec, weights: Path, expected_ms: float) -> tuple[Judgement, Reading]:
    """What fresh processes measure of a network's file, and what that says of the budget.

    `expected_ms` is its latency as measured before. What an earlier part of the run read of the same file is pooled
    with what is read now, so that resuming does not read again what missed.

    Raises:
        OutOfTime: not even one process could measure in time.
        Failed, WorkerGone: it could not be measured by any process.
    """
    kept, doublings, policy = FinalReadings(context.folder), 0, context.policy.final_reading
    weights = file_to_measure(context, spec, weights)
    latencies = kept.of(weights, context.settings.measuring(), context.state.facts)
    wanted = len(latencies) + policy.processes
    process_s = context.clock.process_s
    while True:
        while len(latencies) < wanted and (not latencies or _has_time(context, process_s)):
            started = context.clock.elapsed  # waiting for the device is not in it
            try:
                read = read_together(context, spec, weights, expected_ms, wanted - len(latencies))
            except TargetLost:
                raise  # what was read is kept, and pooled on resuming
            except (Failed, WorkerGone, OutOfTime) as error:
                if not latencies:
                    raise
                context.note(f"{spec.name}: a further process could not measure it: {error or 'no time was left'}")
                return _judged(context, latencies)
            for latency in read.latencies:
                kept.add(weights, latency)
                context.machine.note_latency(latency)
            latencies += read.latencies
            wanted -= len(read.faults)  # what could not measure is not tried again
            process_s = (context.clock.elapsed - started) / len(read.latencies)
            expected_ms = median(latencies[-1].samples)
        judged, reading = _judged(context, latencies)
        is_open = judged.verdict == "UNSURE" and doublings < policy.doublings and len(latencies) >= wanted
        if not is_open or not _has_time(context, process_s):
            return judged, reading
        doublings, wanted = doublings + 1, 2 * wanted
        if wanted > len(latencies):
            context.note(f"{spec.name}: {judged.reason}; measuring in {wanted - len(latencies)} more processes")


def file_to_measure(context: Context, spec: Spec, weights: Path) -> Path:
    """The file that is measured and handed over: that of the weights, or an ONNX file beside it where files are run.

    The ONNX file is written once, and held against its network before it has its name.

    Raises:
        OutOfTime, Failed, WorkerGone: it could not be written.
    """
    if not runs_files(context.settings.runtime):
        return weights
    return export_weights(context, spec, weights, onnx_beside(weights), context.settings.features_only)


def export_weights(context: Context, spec: Spec, weights: Path, file: Path, features_only: bool) -> Path:
    """The exported file of trained weights, written where it is not there, or older than these.

    Raises:
        OutOfTime, Failed, WorkerGone: it could not be written.
    """
    settings, calibration = context.settings, None
    if file.is_file() and file.stat().st_mtime_ns >= weights.stat().st_mtime_ns:
        return file
    if settings.dtype == "int8":
        calibration = Calibration(context.loaded.request, context.policy.final_reading.calibration_images)
    context.doing(f"exporting {spec.name}", context.state.phase)
    fresh = context.new_worker()
    try:
        setting = replace(MeasuringSetting(**settings.measuring()), features_only=features_only)
        request = ExportRequest(str(weights), str(file), setting, calibration)
        ask_in_time(fresh, request, context.policy.silence.export_s, context.clock)
    finally:
        fresh.stop()
    return file


def _judged(context: Context, latencies: Sequence[Latency]) -> tuple[Judgement, Reading]:
    settings = context.settings
    judged = judge([latency.rounds for latency in latencies], settings.stat, settings.budgets.latency_ms)
    conditions = conditions_of(latencies, settings.stat)
    return judged, Reading.of(latencies, judged.estimate, settings.stat, conditions)


def _has_time(context: Context, seconds: float) -> bool:
    """Whether another process of that length ends in time."""
    return context.clock.left is None or context.clock.left > seconds
