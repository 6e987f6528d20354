"""A search's library: checked against its parent, data and images, and solved for the budget before the first trial."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.cost import count
from archdsl.deriving.choice import BudgetTooSmall
from archdsl.deriving.library.facts import Named
from archdsl.deriving.library.folder import read_library, weights_hash
from archdsl.deriving.library.solutions import Derived
from archdsl.errors import SearchError
from archdsl.language.canonical import canonical_hash
from archdsl.language.document import Spec
from archdsl.load.specs import spec_of
from archdsl.search.baselines import Baseline, point_choices
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.library_latency import calibrated_solver
from archdsl.search.evaluate.library_networks import LATENCY, LibraryNetworks, Solved
from archdsl.search.predict.formula import Terms
from archdsl.search.store.gate import believed_ms
from archdsl.search.store.parent import PARENT_WEIGHTS, Parent
from archdsl.search.store.run_library import LIBRARY_FILE, KeptNetworks
from archdsl.search.trial import LIBRARY, Trial


def use_library(context: Context) -> None:
    """Solve for the first networks of the library, or take those that the run began with; they are tried first.

    Raises:
        SearchError: the library is broken, half built, or of another parent, data or image size.
    """
    parent, folder = context.parent, context.settings.library or context.own_library
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
    kept = context.folder.read(LIBRARY_FILE, KeptNetworks)
    measured = [(Terms(macs, operators), ms) for macs, operators, ms in kept.measured] if kept is not None else []
    calibrated = calibrated_solver(context, library, spec, measured, is_new=kept is None)
    networks = context.library = LibraryNetworks(
        library, calibrated.solver, context.settings, context.policy.inheritance.library, measured
    )
    if kept is not None:
        networks.restore(kept)
    else:
        try:
            networks.solve(context.state.gate_ms)
        except BudgetTooSmall as error:
            is_tried = _take_measured(context, networks, calibrated.networks)
            context.note(f"library  {_out_of_reach(error, len(library.usable), is_tried)}")
    if kept is None or kept.facts is None:
        context.folder.write(LIBRARY_FILE, networks.as_json())
    if networks.solved:
        several = len(networks.solved) > 1
        proposed = f"{len(networks.solved)} network{'s are' if several else ' is'} proposed"
        context.note(f"library  {proposed}, to be tried before others:")
    for each in networks.solved:
        context.baselines.append(library_baseline(context, each))
        context.note(f"library  {_described(context, each)}")
    hashes = {each.network_hash for each in context.baselines}
    if networks.depth_cut is not None and canonical_hash(networks.depth_cut) not in hashes:
        context.baselines.append(_baseline(context, networks.depth_cut, "derived-cut"))
        context.note("library  also tried: the parent with fewer blocks (derived-cut)")


def solved_again(context: Context, record: Trial) -> Baseline | None:
    """The network to try after one of the library that is too slow, or much faster than it need be; None without."""
    gate_ms = context.state.gate_ms
    if context.library is None or gate_ms is None or record.latency_ms is None:
        return None
    believed = believed_ms(record, gate_ms, context.policy.gate) or record.latency_ms
    again = context.library.solve_again(record.network_hash, believed, gate_ms)
    if again is None:
        return None
    context.folder.write(LIBRARY_FILE, context.library.as_json())
    gate = f"the gate of {gate_ms:.2f} ms"
    missed = f"over {gate}; tried instead" if record.latency_ms > gate_ms else f"well under {gate}; also tried"
    described = f"{_described(context, again)}, corrected by this measurement"
    context.note(f"library  {record.name}: {record.latency_ms:.2f} ms is {missed}: {described}")
    return library_baseline(context, again)


def next_of_library(context: Context) -> Baseline | None:
    """The next best network of the library; None without."""
    if context.library is None or (solved := context.library.next_best()) is None:
        return None
    context.folder.write(LIBRARY_FILE, context.library.as_json())
    context.note(f"library  {_described(context, solved)}")
    return library_baseline(context, solved)


def library_baseline(context: Context, solved: Solved) -> Baseline:
    """A network of the library as it is tried."""
    return _baseline(context, solved.derived.spec, _name(context, solved))


def _name(context: Context, solved: Solved) -> str:
    """`derived-2`: by its place among the networks that were solved for."""
    return f"derived-{1 + context.library.solved.index(solved) if context.library is not None else 1}"


def _baseline(context: Context, spec: Spec, name: str) -> Baseline:
    named = spec.model_copy(update={"name": f"{spec.name[:50]}-{name}"})
    costs = count(named)
    baseline = Baseline(named, canonical_hash(named), costs.params, costs.macs, origin=LIBRARY)
    return baseline._replace(choices=point_choices(context.space, baseline))


_WHAT = {
    "best": "the least KL within the gate",
    "another": "the next best, with other blocks at two positions or more",
    "single blocks": "the least KL without spans",
    "measured": "the least KL among those that were measured to keep the gate",
}
"""What a network was solved for, by its name in `library.json`."""


def _described(context: Context, solved: Solved) -> str:
    """`derived-1 (the least KL within the gate): 3 replacements, summed KL 0.0630, predicted 0.35 ms`"""
    derived = solved.derived
    exchanged = len(derived.exchanged)
    blocks = f"{exchanged} replacement{'s' * (exchanged != 1)}"
    limit = "" if solved.limit_ms is None else f", predicted {solved.predicted_ms:.2f} ms"
    name = f"{_name(context, solved)} ({_WHAT[solved.what]})"
    return f"{name}: {blocks}, summed KL {derived.kl:.4f}{limit}"


def _take_measured(context: Context, networks: LibraryNetworks, measured: Sequence[tuple[Derived, float]]) -> bool:
    """Whether one of the networks that corrected the predictions keeps the gate all the same, and is tried."""
    gate_ms = context.state.gate_ms
    return gate_ms is not None and networks.take_measured(measured, gate_ms) is not None


def _out_of_reach(error: BudgetTooSmall, replacements: int, is_tried: bool) -> str:
    """That no network of the library is predicted to keep the budgets, with the least that one is predicted to take."""
    if error.metric != LATENCY:
        return f"{error} (predicted), so none of its networks is tried"
    made = "the trained replacement" if replacements == 1 else f"the {replacements} trained replacements"
    within = f" within the budgets of {' and '.join(error.others)}" if error.others else ""
    fastest = f"the fastest network of them{within} is predicted to take {error.least:.2f} ms"
    if is_tried:
        of_them = fastest.replace("of them", f"of {made}")
        return f"{of_them}, more than the gate ({error.limit:.2f} ms); one that was measured keeps it and is tried"
    return f"{made} cannot reach {error.limit:.2f} ms; {fastest}, so none is tried"


def _of_adapted(parent: Parent) -> str:
    if not parent.notes:
        return ""
    return f"; the parent was changed for this data ({parent.notes[0]}): build the library of what the run made of it"
