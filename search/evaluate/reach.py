"""How fast the networks of a search can be: a latency budget that even the fastest one exceeds is refused first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from archdsl.cost import count
from archdsl.errors import SearchError
from archdsl.language.document import Spec
from archdsl.load.smaller import with_fewer_blocks
from archdsl.load.specs import spec_of
from archdsl.numbers import plain_text
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.library_latency import measured_ms, predicted_latency
from archdsl.search.propose.smallest import smallest_network
from archdsl.search.worker.process import Failed, WorkerGone


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
            yield from [made.spec for made in context.copies.of(spec)][-1:]


def _or_another_space(context: Context) -> str:
    return "" if context.settings.leaves_space else ", or name a space with smaller networks"
