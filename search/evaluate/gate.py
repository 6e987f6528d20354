"""The gate: what a candidate must measure to be trained; and when there is no hope that anything passes it."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.language.document import Spec
from archdsl.numbers import plain_text
from archdsl.runtimes.by_name import threads_may_change
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.measuring import export_candidate, measure
from archdsl.search.evaluate.rungs import ask_in_time
from archdsl.search.policy.evaluate import GivingUpPolicy
from archdsl.search.propose.proposals import first_candidate
from archdsl.search.store.run_schema import NoiseFile
from archdsl.search.trial import Trial
from archdsl.search.worker.messages import MeasuringSetting, ThreadsRequest


def choose_threads(context: Context) -> int | None:
    """The threads that networks are measured on: as asked for or chosen before, else chosen now, on the first network.

    None where there is nothing to choose: on a GPU, and where code is compiled for its threads.

    Raises:
        SearchError: no network of the space is inside the static budgets.
        Failed, WorkerGone: the network could not be measured.
    """
    settings = context.settings
    if settings.threads is not None or settings.measuring_device != "cpu" or not threads_may_change(settings.runtime):
        return None
    if settings.chosen_threads is not None:
        return settings.chosen_threads
    spec = first_candidate(context.space, settings, context.policy.drawing).spec
    silence = context.policy.silence
    with context.exported_file(spec) as file:
        if file is not None:
            export_candidate(context.worker, spec, settings, silence, context.clock, file)
        request = ThreadsRequest(
            spec.to_json(), MeasuringSetting(**settings.measuring()), None if file is None else str(file)
        )
        try:
            reply = ask_in_time(context.worker, request, silence.threads_s, context.clock, context.while_waiting)
        finally:
            context.clock.go_on()
    return reply.threads


def gate_ms(context: Context) -> float | None:
    """The budget less the machine's noise: how far readings of one network lie apart. A run keeps its gate.

    Raises:
        SearchError: no network of the space is inside the static budgets.
        Failed, WorkerGone: the network could not be measured.
    """
    policy, network = context.policy.gate, first_candidate(context.space, context.settings, context.policy.drawing)
    budget = context.settings.budgets.latency_ms
    if budget is None:
        return None
    if (kept := context.folder.read("noise.json", NoiseFile)) is not None:
        return kept.gate_ms
    readings = [_reading(context, network.spec) for _ in range(policy.readings)]
    noise = min(max(max(readings) / min(readings) - 1, policy.least_noise), policy.most_noise)
    gate = budget / (1 + noise)
    context.folder.write("noise.json", {"readings_ms": [*readings], "noise": noise, "gate_ms": gate})
    return gate


def _reading(context: Context, spec: Spec) -> float:
    with context.exported_file(spec) as file:
        latency = measure(
            context.worker,
            spec,
            context.settings,
            context.policy,
            context.clock,
            on_wait=context.waits,
            file=file,
        )
    context.machine.note(latency.measurement)
    return latency.ms


def all_fell(trials: Sequence[Trial], policy: GivingUpPolicy) -> bool:
    """Whether so far everything was too slow, so that the smallest network should be tried."""
    measured = [trial for trial in trials if trial.latency_ms is not None or trial.outcome != "fell"]
    return len(measured) == policy.first and all(trial.outcome == "fell" for trial in measured)


def hopeless(trials: Sequence[Trial], budget_ms: float | None, policy: GivingUpPolicy) -> str | None:
    """Why to give up: with the smallest network tried, the fastest one takes `policy.hopeless` times the budget."""
    trials = [trial for trial in trials if trial.latency_ms is not None or trial.outcome != "fell"]
    if budget_ms is None or len(trials) <= policy.first or any(trial.outcome != "fell" for trial in trials):
        return None
    fastest_ms, nearest = min(((t.latency_ms, t) for t in trials if t.latency_ms is not None), key=lambda pair: pair[0])
    is_disturbed = nearest.measurement is not None and nearest.measurement.is_disturbed
    if fastest_ms <= policy.hopeless * budget_ms or is_disturbed:
        return None
    return (
        f"the fastest of {len(trials)} networks, among them the smallest of some hundred draws, takes "
        f"{fastest_ms:.2f} ms: no network of this space comes near the budget of {plain_text(budget_ms)} ms"
    )
