"""A search's library: checked against its parent, data and images, and solved for the budget before the first trial."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from archdsl.cost import count
from archdsl.deriving.choice import BudgetTooSmall
from archdsl.deriving.library.facts import Named
from archdsl.deriving.library.folder import Library, read_library, weights_hash
from archdsl.deriving.library.solutions import Solver
from archdsl.errors import MeasureError, SearchError
from archdsl.language.canonical import canonical_hash
from archdsl.language.document import Spec
from archdsl.load.specs import spec_of
from archdsl.search.baselines import Baseline, point_choices
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.library_networks import LibraryNetworks, Solved, costs_by
from archdsl.search.predict.formula import Formula, fitted, terms_of
from archdsl.search.predict.latency_model import table_of
from archdsl.search.store.parent import PARENT_WEIGHTS, Parent
from archdsl.search.store.run_library import LIBRARY_FILE, KeptNetworks
from archdsl.search.trial import LIBRARY, Trial


def use_library(context: Context) -> None:
    """Solve for the first networks of the library, or take those that the run began with; they are tried first.

    Raises:
        SearchError: the library is broken, half built, or of another parent, data or image size.
    """
    parent, folder = context.parent, context.settings.library
    if folder is None or parent is None:
        return
    library = read_library(folder)
    spec, data = spec_of(parent.spec), context.loaded
    weights = weights_hash(context.folder.path / PARENT_WEIGHTS, canonical_hash(spec))
    try:
        library.check(image=spec.image_size, data=Named(name=data.request.name, sha256=data.fingerprint))
        library.check(parent=Named(name=parent.name, sha256=weights))
    except SearchError as error:
        raise SearchError(f"{error}{_of_adapted(parent)}") from None
    context.doing(f"choosing networks of the library {folder}", "starting")
    solver = _solver(context, library, spec, parent.latency_ms)
    networks = context.library = LibraryNetworks(library, solver, context.settings, context.policy.inheritance.library)
    kept = context.folder.read(LIBRARY_FILE, KeptNetworks)
    if kept is not None:
        networks.restore(kept)
    else:
        try:
            networks.solve(context.state.gate_ms)
        except BudgetTooSmall as error:
            context.note(f"library  {error} (predicted): its networks are not tried first")
    if kept is None or kept.facts is None:
        context.folder.write(LIBRARY_FILE, networks.as_json())
    for each in networks.solved:
        context.baselines.append(library_baseline(context, each))
        context.note(f"library  {_described(each)}")
    hashes = {each.network_hash for each in context.baselines}
    if networks.depth_cut is not None and canonical_hash(networks.depth_cut) not in hashes:
        context.baselines.append(_baseline(context, networks.depth_cut, "cut"))
        context.note("library  beside them the parent with fewer of its own blocks")


def solved_again(context: Context, record: Trial) -> Baseline | None:
    """The network to try in the place of one of the library that measured too slow; None where there is none."""
    gate_ms = context.state.gate_ms
    if context.library is None or gate_ms is None or record.latency_ms is None:
        return None
    again = context.library.solve_again(record.network_hash, record.latency_ms, gate_ms)
    if again is None:
        return None
    context.folder.write(LIBRARY_FILE, context.library.as_json())
    context.note(f"library  {record.latency_ms:.2f} ms is over {gate_ms:.2f} ms; instead: {_described(again)}")
    return library_baseline(context, again)


def library_baseline(context: Context, solved: Solved) -> Baseline:
    """A network of the library as it is tried."""
    number = 1 + context.library.solved.index(solved) if context.library is not None else 1
    return _baseline(context, solved.derived.spec, f"derived-{number}")


def _baseline(context: Context, spec: Spec, name: str) -> Baseline:
    named = spec.model_copy(update={"name": f"{spec.name[:50]}-{name}"})
    costs = count(named)
    baseline = Baseline(named, canonical_hash(named), costs.params, costs.macs, origin=LIBRARY)
    return baseline._replace(choices=point_choices(context.space, baseline))


def _described(solved: Solved) -> str:
    derived = solved.derived
    exchanged = len(derived.exchanged)
    blocks = f"{exchanged} fitted block{'s' * (exchanged != 1)}"
    limit = "" if solved.limit_ms is None else f", predicted {derived.costs['latency']:.2f} ms"
    return f"{solved.what}: {blocks}, summed KL {derived.kl:.4f}{limit}"


def _of_adapted(parent: Parent) -> str:
    if not parent.notes:
        return ""
    return f"; the parent was changed for this data ({parent.notes[0]}): build the library of what the run made of it"


def _solver(context: Context, library: Library, parent: Spec, measured_ms: float | None) -> Solver:
    """The program, whose latencies are scaled so that the parent's is what was measured.

    They are those of the table of the space, where there is one that knows all blocks, else a formula's; 0 where
    the parent was not measured.
    """
    if measured_ms is None:
        return Solver(library, costs_by(lambda spec: 0.0))
    table = table_of(context.settings, context.state.facts)
    if table is not None:
        with suppress(MeasureError):  # the table has not all blocks
            return Solver(library, costs_by(_scaled(table.predict, parent, measured_ms)))
    return Solver(library, costs_by(_scaled(_formula_ms(context, parent, measured_ms), parent, measured_ms)))


def _scaled(predicted_ms: Callable[[Spec], float], parent: Spec, measured_ms: float) -> Callable[[Spec], float]:
    scale = measured_ms / predicted_ms(parent)
    return lambda spec: scale * predicted_ms(spec)


def _formula_ms(context: Context, parent: Spec, measured_ms: float) -> Callable[[Spec], float]:
    """By MACs and operators; the coefficients are fitted to what the run measured, where that is enough."""
    policy = context.policy.inheritance.library
    measured = [
        (terms_of(spec_of(trial.document)), trial.latency_ms)
        for trial in context.trials
        if trial.can_win and trial.latency_ms
    ]
    formula = fitted([*measured, (terms_of(parent), measured_ms)], context.policy.formula)
    if formula is None:
        formula = Formula(policy.ms_per_mmac, policy.ms_per_100_operators, (0.0,))
    return lambda spec: formula.predict(terms_of(spec))
