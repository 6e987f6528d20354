"""How the time of a building is shared among the stages, which are worked on one after another; without torch."""

from __future__ import annotations

from collections.abc import Iterable

from archdsl.cost import count
from archdsl.deriving.library.facts import LibrarySettings
from archdsl.families.common.stage import Stage
from archdsl.language.document import Spec
from archdsl.load.alternatives import Alternative, assembled

_STEP = 3
"""Forward passes that a step of a fit takes as long as."""
_EVALUATIONS = 3
"""Of all images that a block is fitted on, beside the steps."""


def stage_ends(
    parent: Spec, alternatives: Iterable[Alternative], settings: LibrarySettings, seconds: float
) -> dict[str, float]:
    """By stage, the seconds after the start until which its alternatives are begun: its share of the work."""
    work = work_by_stage(parent, alternatives, settings)
    total, so_far, ends = sum(work.values()) or 1.0, 0.0, dict[str, float]()
    for name, macs in work.items():
        so_far += macs
        ends[name] = seconds * so_far / total
    return ends


def work_by_stage(parent: Spec, alternatives: Iterable[Alternative], settings: LibrarySettings) -> dict[str, float]:
    """MACs that fitting and scoring the alternatives of each node takes, the nodes in their order.

    A fit runs the block, a score the network from the stage on.
    """
    macs = {node.id: node.macs for node in count(parent).nodes}
    depths = {node.id: node.depth if isinstance(node, Stage) else 1 for node in parent.nodes}
    names = [*depths]
    passes = _STEP * settings.steps * settings.batch + _EVALUATIONS * settings.images
    work = dict.fromkeys(names, 0.0)
    for each in alternatives:
        there = next(node.macs for node in count(assembled(parent, [each])).nodes if node.id == each.stage)
        block = max(there - macs[each.stage] * (1 - each.span / depths[each.stage]), 0.0)
        rest = sum(macs[name] for name in names[names.index(each.stage) :])
        work[each.stage] += passes * block + settings.scored * rest
    return work
