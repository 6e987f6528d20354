"""What networks of a library are predicted to take, corrected by what some of them were measured to take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from archdsl.deriving.choice import BudgetTooSmall
from archdsl.deriving.library.folder import Library
from archdsl.deriving.library.solutions import Derived, Solver
from archdsl.errors import MeasureError
from archdsl.language.document import Spec
from archdsl.load.specs import spec_of
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.library_networks import LATENCY, costs_by
from archdsl.search.evaluate.measuring import Measured, measure
from archdsl.search.evaluate.parent import measure_parent_again
from archdsl.search.predict.formula import Formula, Terms, corrected, fitted, terms_of
from archdsl.search.predict.latency_model import table_of
from archdsl.search.worker.process import Failed, WorkerGone

LatencyOf = Callable[[Spec], float]


class Calibrated(NamedTuple):
    """A solver whose latencies were corrected, and the networks by which they were, with their ms."""

    solver: Solver
    networks: tuple[tuple[Derived, float], ...] = ()


def calibrated_solver(
    context: Context, library: Library, parent: Spec, measured: list[tuple[Terms, float]], is_new: bool
) -> Calibrated:
    """The integer program over a library, with latencies that were corrected where its networks for the budget lie.

    In a new run its best network for the budget is measured, and the formula is fitted to it beside the parent; once
    more where it was far from the budget. `measured` are these networks, to which others are added here.

    Raises:
        OutOfTime: the search's time was over first.
    """
    gate_ms, policy = context.state.gate_ms, context.policy.inheritance.library
    solver = _solver(context, library, parent, measured)
    networks = list[tuple[Derived, float]]()
    if not is_new or gate_ms is None or _table_latency(context, parent) is not None:
        return Calibrated(solver)
    for _ in range(policy.calibrations):
        derived = _at_the_budget(solver, gate_ms)
        if derived is None:
            break
        spec = derived.spec
        context.doing(f"measuring a network of the library {library.folder.name}", "starting")
        try:
            ms = measured_ms(context, spec)
        except (Failed, WorkerGone) as error:
            context.note(f"library  predictions are not corrected, since a network could not be measured: {error}")
            break
        predicted_ms = solver.costs(spec)[LATENCY]
        count, predicted = len(derived.exchanged), f"{predicted_ms:.2f} ms were predicted"
        network = f"a network with {count} replacement{'s' * (count != 1)}, about as fast as the budget asks,"
        corrected_by = "predictions are corrected by this"
        context.note(f"library  {network} takes {ms:.2f} ms, where {predicted}; {corrected_by}")
        if ms < policy.far * predicted_ms and context.settings.latency_share is not None:
            context.note(_doubtful_parent(context))
        if ms < policy.doubted * predicted_ms and not networks:
            measure_parent_again(context)
        networks.append((derived, ms))
        measured.append((terms_of(spec), ms))
        solver = _solver(context, library, parent, measured)
        if abs(ms / gate_ms - 1) <= policy.near:
            break
    return Calibrated(solver, tuple(networks))


def _doubtful_parent(context: Context) -> str:
    """That a budget in percent may rest on a reading of the parent that is too high."""
    parent_ms, budget_ms = context.parent and context.parent.latency_ms, context.settings.latency_budget_ms
    return (
        f"parent  warning: its {parent_ms or 0.0:.2f} ms may be too high, as where the machine was busy, since a "
        f"network derived from it is much faster than predicted; then the budget of {budget_ms or 0.0:.2f} ms is too "
        "large: give it in milliseconds, or search again on a quiet machine"
    )


def predicted_latency(context: Context, parent: Spec, measured: Sequence[tuple[Terms, float]] = ()) -> LatencyOf:
    """The ms of a network by the table of the space, where there is one that knows all its blocks, else by a formula.

    Either is scaled so that the parent's latency is what was measured; the formula is corrected by the networks of
    `measured`. All are 0 where the parent was not measured.
    """
    parent_ms = None if context.parent is None else context.parent.latency_ms
    if parent_ms is None:
        return lambda spec: 0.0
    if (by_table := _table_latency(context, parent)) is not None:
        return by_table
    policy, whole = context.policy.inheritance.library, (terms_of(parent), parent_ms)
    formula = fitted([whole, *measured, *_trials(context)], context.policy.formula)
    if formula is None:
        plain = Formula(policy.ms_per_mmac, policy.ms_per_100_operators, (0.0,))
        formula = corrected(plain, whole, measured, policy.trust)
    return _scaled(lambda spec: formula.predict(terms_of(spec)), parent, parent_ms)


def parent_latency(context: Context) -> tuple[Spec, float] | None:
    """The parent and its ms; None where there is none, or it was not measured."""
    parent = context.parent
    return None if parent is None or parent.latency_ms is None else (spec_of(parent.spec), parent.latency_ms)


def _solver(context: Context, library: Library, parent: Spec, measured: Sequence[tuple[Terms, float]]) -> Solver:
    return Solver(library, costs_by(predicted_latency(context, parent, measured)))


def _table_latency(context: Context, parent: Spec) -> LatencyOf | None:
    table = table_of(context.settings, context.state.facts)
    parent_ms = None if context.parent is None else context.parent.latency_ms
    if table is not None and parent_ms is not None:
        with suppress(MeasureError):  # the table has not all blocks
            return _scaled(table.predict, parent, parent_ms)
    return None


def _scaled(predicted_ms: LatencyOf, parent: Spec, measured_ms: float) -> LatencyOf:
    scale = measured_ms / predicted_ms(parent)
    return lambda spec: scale * predicted_ms(spec)


def _trials(context: Context) -> list[tuple[Terms, float]]:
    return [
        (terms_of(spec_of(trial.document)), trial.latency_ms)
        for trial in context.trials
        if trial.can_win and trial.latency_ms and not trial.is_disturbed
    ]


def _at_the_budget(solver: Solver, gate_ms: float) -> Derived | None:
    """The library's best network for the gate; where none is predicted to keep it, about its fastest one."""
    try:
        derived = solver.solve({LATENCY: gate_ms})
    except BudgetTooSmall as error:
        with suppress(BudgetTooSmall):
            return solver.solve({LATENCY: 1.02 * error.least})
        return None
    return None if derived is None or not derived.exchanged else derived


def measured_ms(context: Context, spec: Spec) -> float:
    """The latency of a network as a candidate is measured.

    Raises:
        OutOfTime, Failed, WorkerGone: as `measure`.
    """
    return reading_of(context, spec).ms


def reading_of(context: Context, spec: Spec) -> Measured:
    """The latency of a network as a candidate is measured, and how disturbed its reading was.

    Raises:
        OutOfTime, Failed, WorkerGone: as `measure`.
    """
    with context.exported_file(spec) as file:
        return measure(
            context.worker, spec, context.settings, context.policy, context.clock, on_wait=context.waits, file=file
        )
