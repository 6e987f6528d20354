"""How fast the networks of a search can be: narrower copies of the parent are added where its own width is too slow.

A latency budget that even the fastest network exceeds is refused before anything is trained for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from typing import NamedTuple

from archdsl.cost import count
from archdsl.errors import SearchError
from archdsl.language.canonical import canonical_hash
from archdsl.language.document import Spec
from archdsl.load.smaller import narrower, with_fewer_blocks
from archdsl.load.spaces import choices_of
from archdsl.load.specs import spec_of
from archdsl.numbers import plain_text
from archdsl.search.baselines import Baseline
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.library_latency import LatencyOf, measured_ms, predicted_latency
from archdsl.search.network import Network
from archdsl.search.predict.formula import Terms, terms_of
from archdsl.search.propose.smallest import smallest_network
from archdsl.search.store.narrower import NARROWER_FILE, KeptNarrower
from archdsl.search.trial import NARROWER
from archdsl.search.worker.process import Failed, WorkerGone


class _Copy(NamedTuple):
    """A narrower copy of the parent. channels: its share of the parent's. ms: predicted."""

    spec: Spec
    channels: Fraction
    ms: float


def check_reach(context: Context) -> None:
    """Refuse a latency budget that the fastest network found exceeds, as it is measured.

    Raises:
        SearchError: it does; the least latency is named.
        OutOfTime: the search's time was over first.
    """
    parent, gate_ms, budget_ms = context.parent, context.state.gate_ms, context.settings.budgets.latency_ms
    if parent is None or parent.latency_ms is None or gate_ms is None or budget_ms is None or context.trials:
        return
    latency_of, offered = predicted_latency(context, spec_of(parent.spec)), list[Spec]()
    for spec in _fastest(context, spec_of(parent.spec)):
        if latency_of(spec) <= gate_ms:
            return
        offered.append(spec)
    if not offered:  # no network of the space keeps the static budgets, of which the trials tell
        return
    fastest = min(offered, key=latency_of)
    context.doing("measuring the fastest network of the search", "starting")
    with suppress(Failed, WorkerGone):  # then nothing is known, and the trials will tell
        ms = measured_ms(context, fastest)
        if ms <= context.policy.reach.refused_over * budget_ms:
            context.fastest = fastest, ms
            return
        blocks = sum(getattr(node, "depth", 0) for node in fastest.nodes)
        costs = f"{blocks} blocks and {count(fastest).macs / 1e6:,.1f} M MACs"
        raise SearchError(
            f"the latency budget of {plain_text(budget_ms)} ms cannot be met: the fastest network that was found, with "
            f"{costs}, takes {ms:.2f} ms; give a budget of {ms:.2f} ms or more{_or_another_space(context)}"
        )


def add_narrower(context: Context) -> None:
    """Try narrower copies of the parent where its space and its library have nothing that is fast enough."""
    kept = context.folder.read(NARROWER_FILE, KeptNarrower)
    if kept is not None:
        _use(context, [spec_of(document) for document in kept.networks])
        return
    parent, gate_ms = context.parent, context.state.gate_ms
    if not context.settings.leaves_space or context.trials:
        return
    if parent is None or parent.latency_ms is None or gate_ms is None:
        return
    spec, measured = spec_of(parent.spec), list[tuple[Terms, float]]()
    if context.library is not None:
        measured += context.library.measured
        if context.library.solved:
            return
    if context.fastest is not None:
        measured.append((terms_of(context.fastest[0]), context.fastest[1]))
    latency_of = predicted_latency(context, spec, measured)
    smallest = smallest_network(context.space, context.settings, context.policy)
    if smallest is not None and latency_of(smallest.spec) <= gate_ms:
        return
    bases = [with_fewer_blocks(spec, blocks) for blocks in context.policy.reach.depths]
    bases += [] if smallest is None else [smallest.spec]
    copies = _calibrated(context, spec, bases, gate_ms, measured) or _fastest_copy(context, spec)
    if not copies:
        context.note("parent  no copy of it with fewer channels is predicted to keep the budget")
        return
    context.note(f"parent  every network of its width is predicted to exceed the budget: {_described(copies)}")
    named = [
        copy.spec.model_copy(update={"name": f"{spec.name[:50]}-narrower-{number}"})
        for number, copy in enumerate(copies, 1)
    ]
    context.folder.write(NARROWER_FILE, {"networks": [each.to_json() for each in named]})
    _use(context, named)


def _fastest(context: Context, parent: Spec) -> Iterator[Spec]:
    """What may be the fastest network: the smallest of the space; where it may be left, the parent made smaller."""
    least = with_fewer_blocks(parent, 0.0)
    if context.settings.leaves_space:  # asked first, since a look for the smallest takes seconds
        yield least
    smallest = smallest_network(context.space, context.settings, context.policy)
    if smallest is not None:
        yield smallest.spec
    if context.settings.leaves_space:
        for spec in [least, *([] if smallest is None else [smallest.spec])]:
            yield from [made for _, made in narrower(spec)][-1:]


def _calibrated(
    context: Context, parent: Spec, bases: list[Spec], gate_ms: float, measured: list[tuple[Terms, float]]
) -> list[_Copy]:
    """The copies for the gate, predicted anew after one of them was measured, unless that is near enough."""
    policy = context.policy.inheritance.library
    copies = _copies(context, bases, gate_ms, predicted_latency(context, parent, measured))
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
        measured.append((terms_of(copies[0].spec), ms))
        copies = _copies(context, bases, gate_ms, predicted_latency(context, parent, measured))
        if policy.used * gate_ms <= ms <= gate_ms:
            break
    return copies


def _copies(context: Context, bases: list[Spec], gate_ms: float, latency_of: LatencyOf) -> list[_Copy]:
    """Of each base, deepest first, the widest copy that is predicted to keep the gate and keeps the other budgets."""
    policy, found = context.policy.reach, list[_Copy]()
    for base in bases:
        for channels, spec in narrower(base):
            ms = latency_of(spec)
            if ms > gate_ms or Network(spec, count(spec)).over_budget(context.settings) is not None:
                continue
            if canonical_hash(spec) not in {canonical_hash(each.spec) for each in found}:
                found.append(_Copy(spec, channels, ms))
            break
    wide = [copy for copy in found if copy.channels >= policy.least_channels]
    narrow = sorted((copy for copy in found if copy not in wide), key=lambda copy: copy.channels, reverse=True)
    return [*wide, *narrow][: policy.copies]


def _fastest_copy(context: Context, parent: Spec) -> list[_Copy]:
    """The fastest network as it was measured, where it is a narrower copy; empty else."""
    if context.fastest is None or choices_of(context.space, context.fastest[0]) is not None:
        return []
    spec, ms = context.fastest
    return [_Copy(spec, Fraction(_width(spec), _width(parent)), ms)]


def _width(spec: Spec) -> int:
    """Channels of the first node."""
    return int(getattr(spec.nodes[0], "width", 1))


def _described(copies: list[_Copy]) -> str:
    shares = [f"{round(100 * copy.channels)} % of its channels, {copy.ms:.2f} ms predicted" for copy in copies]
    return f"copies with fewer channels are tried: {'; '.join(shares)}"


def _use(context: Context, specs: list[Spec]) -> None:
    """They are tried before anything else; no point of the space is, since all of them are too slow."""
    context.tries_only_beside = True
    for spec in specs:
        costs = count(spec)
        context.baselines.append(Baseline(spec, canonical_hash(spec), costs.params, costs.macs, origin=NARROWER))


def _or_another_space(context: Context) -> str:
    return "" if context.settings.leaves_space else ", or name a space with smaller networks"
