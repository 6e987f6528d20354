"""Where a backbone pads its maps: windows that do not divide a map compute on zeros beside it."""

from __future__ import annotations

from archdsl.families.common.base import Part
from archdsl.families.common.stage import Stage
from archdsl.graphs.steps import plan
from archdsl.language.document import Spec
from archdsl.shape import Map


def padding_hints(spec: Spec) -> list[str]:
    """A sentence for each part that pads its input, in the order of the nodes; blocks that pad alike share one."""
    types: dict[tuple[str, str], dict[str, None]] = {}
    for step in plan(spec):
        node, x = step.node, step.inputs[0]
        if not isinstance(x, Map):
            continue
        for part in node.blocks_in_order() if isinstance(node, Stage) else (node,):
            padded = part.padded(x)
            if padded != x:
                types.setdefault((node.id, _sentence(part, x, padded)), {})[part.type] = None
    return [f"{node} ({', '.join(which)}): {sentence}" for (node, sentence), which in types.items()]


def _sentence(part: Part, x: Map, padded: Map) -> str:
    field, side = next((name, getattr(part, name)) for name in ("window", "patch") if hasattr(part, name))
    what = f"the {x.height}x{x.width} {'image' if field == 'patch' else 'map'}"
    relation = "is larger than" if side > max(x.height, x.width) else "does not divide"
    share = 1 - x.positions / padded.positions
    result = f"which is padded to {padded.height}x{padded.width}: {share:.0%} of it is padding"
    return f"{field} {side} {relation} {what}, {result}"
