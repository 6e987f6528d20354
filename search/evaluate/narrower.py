"""Narrower copies of the parent are tried where its own width is too slow; others follow those that miss the gate."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.cost import count
from archdsl.language.canonical import canonical_hash
from archdsl.language.document import Spec
from archdsl.load.smaller import with_fewer_blocks
from archdsl.load.spaces import choices_of
from archdsl.load.specs import spec_of
from archdsl.numbers import plain_text
from archdsl.search.baselines import Baseline
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.library_latency import measured_ms, predicted_latency
from archdsl.search.evaluate.narrower_copies import Copy, NarrowerCopies
from archdsl.search.predict.formula import Terms, terms_of
from archdsl.search.propose.heirs import may_inherit
from archdsl.search.propose.smallest import smallest_network
from archdsl.search.store.gate import believed_ms
from archdsl.search.store.narrower import NARROWER_FILE, KeptNarrower
from archdsl.search.trial import NARROWER, SMALLER, Trial
from archdsl.search.worker.process import Failed, WorkerGone


def add_narrower(context: Context) -> None:
    """Try narrower copies of the parent where its library has nothing that is fast enough.

    Nothing else is tried where its space has nothing either. Where it has, copies come first, unless the parent with a
    share of its blocks is fast enough: what keeps fewer of them inherits little.

    Raises:
        OutOfTime: the search's time was over first.
    """
    kept = context.folder.read(NARROWER_FILE, KeptNarrower)
    if kept is not None:
        _restore(context, kept)
        return
    parent, gate_ms = context.parent, context.state.gate_ms
    if not context.settings.leaves_space or context.trials:
        return
    if parent is None or parent.latency_ms is None or gate_ms is None:
        return
    if context.library is not None and context.library.solved:
        return
    spec = spec_of(parent.spec)
    measured = [] if context.library is None else [*context.library.measured]
    if context.fastest is not None:
        measured.append((terms_of(context.fastest[0]), context.fastest[1]))
    smallest = smallest_network(context.space, context.settings, context.policy)
    is_alone = smallest is None or not _is_fast_enough(context, spec, smallest.spec, measured, gate_ms)
    kept_blocks = context.policy.reach.kept_blocks
    if not is_alone and predicted_latency(context, spec, measured)(with_fewer_blocks(spec, kept_blocks)) <= gate_ms:
        return
    narrower = _copies(context, spec, None if smallest is None else smallest.spec, measured)
    narrower.is_alone = is_alone
    copies = _calibrated(context, spec, narrower, gate_ms) or _fastest_copy(context, narrower)
    why = "every network of its width is predicted to exceed the budget"
    if not is_alone:
        why = f"with {plain_text(100 * kept_blocks)} % of its blocks it is predicted to exceed the budget"
    context.baselines += _begin(context, narrower, copies, why)


def late_copies(context: Context) -> list[Baseline]:
    """Narrower copies where all networks that were tried are too slow, though some were predicted not to be."""
    parent, gate_ms = context.parent, context.state.gate_ms
    if not context.settings.leaves_space or context.narrower is not None or context.tries_only_beside:
        return []
    if parent is None or parent.latency_ms is None or gate_ms is None:
        return []
    if not all(trial.is_over_gate for trial in context.trials if trial.latency_ms is not None):
        return []
    measured = [trial for trial in context.trials if trial.is_over_gate and not trial.is_disturbed]
    if len(measured) <= context.policy.giving_up.first:
        return []
    spec, smallest = spec_of(parent.spec), smallest_network(context.space, context.settings, context.policy)
    context.narrower = narrower = _copies(context, spec, None if smallest is None else smallest.spec, [])
    latency_of = predicted_latency(context, spec)
    copies = narrower.for_gate(gate_ms, latency_of) or narrower.fastest(latency_of)
    return _begin(context, narrower, copies, f"all {len(measured)} networks that were measured exceed the gate")


def _is_fast_enough(
    context: Context, parent: Spec, smallest: Spec, measured: list[tuple[Terms, float]], gate_ms: float
) -> bool:
    """Whether the smallest network of the space keeps the gate: measured where its prediction is near the gate."""
    predicted_ms = predicted_latency(context, parent, measured)(smallest)
    if abs(predicted_ms / gate_ms - 1) > context.policy.reach.near:
        return predicted_ms <= gate_ms
    context.doing("measuring the smallest network of the space", "starting")
    try:
        ms = measured_ms(context, smallest)
    except (Failed, WorkerGone):
        return predicted_ms <= gate_ms
    context.note(
        f"parent  the smallest network of its width takes {ms:.2f} ms, where {predicted_ms:.2f} ms were predicted"
    )
    measured.append((terms_of(smallest), ms))
    return ms <= gate_ms


def _copies(
    context: Context, parent: Spec, smallest: Spec | None, measured: list[tuple[Terms, float]]
) -> NarrowerCopies:
    """What copies can be made of the parent, and of the smallest network of the space."""
    policy = context.policy
    bases = [with_fewer_blocks(parent, blocks) for blocks in policy.reach.depths]
    bases += [] if smallest is None else [smallest]
    narrower = NarrowerCopies(bases, context.copies, policy.reach, policy.inheritance.library)
    narrower.measured = measured
    return narrower


def _begin(context: Context, narrower: NarrowerCopies, copies: Sequence[Copy], why: str) -> list[Baseline]:
    """Try these copies, and say so."""
    if context.parent is None:
        return []
    if not copies:
        context.note(f"parent  {why}, and no copy of it with fewer channels is predicted to keep the gate")
        return []
    several = "copies with fewer channels are tried" if len(copies) > 1 else "a copy with fewer channels is tried"
    several += "" if narrower.is_alone else " first"
    if not narrower.is_of_parent(copies[0]):
        several = "so is every copy of it; the smallest network of the space is tried with fewer channels"
    described = "; ".join(_described(copy, f"{copy.ms:.2f} ms predicted") for copy in copies)
    context.note(f"parent  {why}: {several}: {described}")
    context.narrower = narrower
    narrower.begin(copies, spec_of(context.parent.spec).name)
    context.folder.write(NARROWER_FILE, narrower.as_json())
    context.tries_only_beside = narrower.is_alone
    return [_baseline(context, copy.spec) for copy in narrower.tried]


def narrowed_again(context: Context, record: Trial) -> Baseline | None:
    """The copy to try after one that is too slow, or much faster than it need be; None without."""
    narrower, parent, gate_ms = context.narrower, context.parent, context.state.gate_ms
    if narrower is None or parent is None or gate_ms is None or (ms := record.latency_ms) is None:
        return None
    believed = believed_ms(record, gate_ms, context.policy.gate) or ms
    copy = next((each for each in narrower.tried if each.network_hash == record.network_hash), None)
    if copy is None or not narrower.is_missed(ms, gate_ms):
        return None
    spec = spec_of(parent.spec)
    again = narrower.again(copy, believed, gate_ms, predicted_latency(context, spec, narrower.measured), spec.name)
    missed, is_over = f"{record.name}: {ms:.2f} ms is", ms > gate_ms
    missed += ", in a disturbed reading," if record.is_disturbed else ""
    missed += f" {'over' if is_over else 'well under'} the gate of {gate_ms:.2f} ms"
    if again is not None:
        context.folder.write(NARROWER_FILE, narrower.as_json())
        how = "to be tried instead" if is_over else "to be tried as well"
        described = _described(again, f"{again.ms:.2f} ms predicted by this measurement")
        context.note(f"parent  {missed}; {how}: {again.spec.name}, {described}")
        return _baseline(context, again.spec)
    if is_over:
        corrected = f"the prediction was corrected {copy.tries} times before"
        why = corrected if narrower.is_last(copy) else "no other copy is predicted to keep it"
        context.note(f"parent  {missed}, and none is tried in its place: {why}")
    return None


def _restore(context: Context, kept: KeptNarrower) -> None:
    """The copies that the run tried before; in a run of an earlier version none follows them."""
    if kept.copies:
        bases = [spec_of(document) for document in kept.bases]
        policy = context.policy
        context.narrower = NarrowerCopies(bases, context.copies, policy.reach, policy.inheritance.library)
        context.narrower.restore(kept)
    corrected = [copy.tries > 0 for copy in kept.copies] or [False] * len(kept.networks)
    again = [document for document, is_again in zip(kept.networks, corrected, strict=True) if is_again]
    firsts = [document for document, is_again in zip(kept.networks, corrected, strict=True) if not is_again]
    context.tries_only_beside = kept.is_alone
    context.baselines += [_baseline(context, spec_of(document)) for document in [*reversed(again), *firsts]]


def _calibrated(context: Context, parent: Spec, narrower: NarrowerCopies, gate_ms: float) -> list[Copy]:
    """The copies for the gate, predicted anew after one of them was measured, unless that is near enough."""
    policy = context.policy.inheritance.library
    copies = narrower.for_gate(gate_ms, predicted_latency(context, parent, narrower.measured))
    for _ in range(policy.calibrations):
        if not copies:
            break
        context.doing(f"measuring a narrower copy of {parent.name}", "starting")
        try:
            ms = measured_ms(context, copies[0].spec)
        except (Failed, WorkerGone) as error:
            context.note(f"parent  predictions are not corrected, since a copy could not be measured: {error}")
            break
        context.note(f"parent  a narrower copy takes {ms:.2f} ms, where {copies[0].ms:.2f} ms were predicted")
        narrower.measured.append((terms_of(copies[0].spec), ms))
        copies = narrower.for_gate(gate_ms, predicted_latency(context, parent, narrower.measured))
        if not narrower.is_missed(ms, gate_ms):
            break
    return copies


def _fastest_copy(context: Context, narrower: NarrowerCopies) -> list[Copy]:
    """The fastest network as it was measured, where it is a narrower copy; empty else."""
    if context.fastest is None or choices_of(context.space, context.fastest[0]) is not None:
        return []
    found = narrower.find(*context.fastest)
    return [] if found is None else [found]


def _described(copy: Copy, predicted: str) -> str:
    """`5 blocks, 38 % of its channels, 2.10 ms predicted`"""
    blocks = sum(getattr(node, "depth", 0) for node in copy.spec.nodes)
    return f"{blocks} blocks, {round(100 * copy.channels)} % of its channels, {predicted}"


def _baseline(context: Context, spec: Spec) -> Baseline:
    costs, parent = count(spec), context.parent
    is_copy = parent is not None and may_inherit(spec, spec_of(parent.spec))
    origin = NARROWER if is_copy else SMALLER
    return Baseline(spec, canonical_hash(spec), costs.params, costs.macs, origin=origin)
