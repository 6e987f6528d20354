"""What an int8 winner's network takes in float32: one short reading beside the verdict, on which nothing rests."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from archdsl.language.document import Spec
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.measuring import Measured, measure
from archdsl.search.store.verdict import Verdict
from archdsl.search.store.winner import Float32Beside
from archdsl.search.worker.process import Failed, OutOfTime, WorkerGone


def with_float32_latency(context: Context, verdict: Verdict) -> Verdict:
    """The verdict with the latency in float32 of a winner in int8; without it where time is short, which is noted.

    The network is exported in float32 with initial weights, which decide nothing of a latency, and measured in a
    process of its own as a trial is.
    """
    accuracy = verdict.accuracy
    if not verdict.has_winner or verdict.spec is None or accuracy is None or accuracy.float32 is None:
        return verdict
    measured = _measured(context, verdict.spec)
    if measured is None:
        return verdict
    beside = _with_reading(accuracy.float32, measured)
    return verdict._replace(accuracy=replace(accuracy, float32=beside))


def _with_reading(beside: Float32Beside, measured: Measured) -> Float32Beside:
    return replace(beside, latency_ms=measured.ms, rounds=measured.measurement.rounds)


def _measured(context: Context, spec: Spec) -> Measured | None:
    left, missing = context.clock.left, f"{spec.name}: its latency in float32 was not measured"
    if context.is_interrupted or (left is not None and left < 2 * context.clock.process_s):  # one half for the export
        context.note(f"{missing}: no time was left")
        return None
    context.doing(f"measuring {spec.name} in float32, beside int8", context.state.phase)
    settings = context.settings.model_copy(update={"dtype": "float32"})
    worker = context.new_worker()
    with context.exported.using(spec) as quantised:
        file = quantised.with_suffix(".float32.onnx")
        try:
            return measure(worker, spec, settings, context.policy, context.clock, on_wait=context.waits, file=file)
        except (Failed, WorkerGone, OutOfTime) as error:
            context.note(f"{missing}: {error or 'no time was left'}")
        except KeyboardInterrupt:
            context.is_interrupted = True
            context.note(f"{missing}: the search was interrupted")
        finally:
            worker.stop()
            with suppress(OSError):
                file.unlink(missing_ok=True)
    return None
