"""How fast the networks of a search can be: a latency budget that even the fastest one exceeds is refused first."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress

from archdsl.cost import count
from archdsl.errors import SearchError
from archdsl.language.document import Spec
from archdsl.load.smaller import with_fewer_blocks
from archdsl.load.specs import spec_of
from archdsl.numbers import plain_text
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.library_latency import predicted_latency, reading_of
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
        ms, reading = reading_of(context, fastest)
        context.note(
            f"parent  the fastest network that was found takes {ms:.2f} ms, where {latency_of(fastest):.2f} ms were "
            "predicted"
        )
        policy = context.policy.reach
        if ms > (policy.refused_disturbed if reading.is_disturbed else policy.refused_over) * budget_ms:
            raise SearchError(_refusal(context, fastest, ms, ms * budget_ms / gate_ms))
        if ms > policy.refused_over * budget_ms:
            budget = f"the budget of {plain_text(budget_ms)} ms"
            context.note(f"parent  {budget} is tried all the same, since that reading was disturbed")
        context.fastest = fastest, ms


def _refusal(context: Context, fastest: Spec, ms: float, least_ms: float) -> str:
    """That the fastest network is too slow, and the least budget whose gate it meets."""
    blocks = sum(getattr(node, "depth", 0) for node in fastest.nodes)
    costs = f"{blocks} blocks and {count(fastest).macs / 1e6:,.1f} M MACs"
    budget = f"the latency budget of {plain_text(context.settings.budgets.latency_ms or 0.0)} ms cannot be met"
    least = f"give a budget of {math.ceil(100 * least_ms) / 100:.2f} ms or more"
    another = "" if context.settings.leaves_space else ", or name a space with smaller networks"
    return f"{budget}: the fastest network that was found, with {costs}, takes {ms:.2f} ms; {least}{another}"


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
