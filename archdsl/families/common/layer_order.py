"""The layers of a network in the order in which they run, for learning rates that decay from the last to the first."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import nn

from archdsl.families.common.stage_modules import Stage


def layer_numbers(nodes: Iterable[tuple[str, nn.Module]], coarse: bool) -> Callable[[str], int]:
    """The number of the layer of a parameter, by its name; `nodes` are in the order in which they run.

    A block is a layer, and so is a node without blocks; with `coarse` every node is one. What a stage has in front of
    its blocks belongs to the first of them, and the norm at its end to the last.
    """
    first: dict[str, int] = {}
    blocks: dict[str, int] = {}
    count = 0
    for name, module in nodes:
        first[name] = count
        blocks[name] = 1 if coarse or not isinstance(module, Stage) else len(module.blocks)
        count += blocks[name]

    def number(parameter: str) -> int:
        node, part, index = [*parameter.split(".", 3), "", ""][:3]
        if part == "out_norm":
            return first[node] + blocks[node] - 1
        return first[node] + (int(index) if part == "blocks" and blocks[node] > 1 else 0)

    return number
