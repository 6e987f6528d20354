"""Which modules of a network show something of themselves, and which of them a page has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from archdsl.compile import Backbone
from archdsl.errors import WrongUse, nearest
from archdsl.families.common import stage as declared
from archdsl.families.common.fields import type_name
from archdsl.families.common.stage_modules import Stage
from archdsl.families.common.views import Viewable
from archdsl.inspecting.panels import Place
from archdsl.language.nodes import Node
from archdsl.shape import Map


@dataclass(frozen=True)
class Chosen:
    """A module that shows something, with the stride of the map that it reads."""

    place: Place
    stride: int
    tokens_in_front: int


@dataclass(frozen=True)
class Choice:
    """The modules of a page in the order in which they run, and the nodes that have none, as (id, type)."""

    modules: tuple[Chosen, ...]
    without: tuple[tuple[str, str], ...]


def choose(model: Backbone, names: Sequence[str] | None) -> Choice:
    """Of each node what shows something: of a stage in its last such block, or in the block that is named.

    `names` are nodes (`stage3`, `merge2`), or blocks of a stage (`stage3.2`, from 1); None: all nodes.

    Raises:
        WrongUse: there is no such node or block.
    """
    wanted = _wanted(model, names)
    modules: list[Chosen] = []
    without: list[tuple[str, str]] = []
    for step in model.spec.plan(model.features_only):
        node = step.node
        if node.id not in wanted or node.id not in model._modules:
            continue
        shape = next((shape for shape in step.inputs if isinstance(shape, Map)), None)
        places = [] if shape is None else list(_places(model, node, wanted[node.id]))
        in_front = getattr(model.get_submodule(node.id), "tokens_in_front", 0)
        modules += [Chosen(place, shape.stride, in_front) for place in places if shape is not None]
        if not places and node.kind != "stem":
            without.append((node.id, node.type))
    return Choice(tuple(modules), tuple(without))


def _wanted(model: Backbone, names: Sequence[str] | None) -> dict[str, list[int]]:
    """The blocks that are asked for of each node; 0 is the last that has something to be drawn."""
    nodes = [step.node.id for step in model.spec.plan(model.features_only) if step.node.id in model._modules]
    if names is None:
        return {name: [0] for name in nodes}
    wanted: dict[str, list[int]] = {}
    for name in names:
        node, dot, number = name.partition(".")
        if node not in nodes:
            raise WrongUse(f"{model.spec.name} has no node '{name[:60]}'; {nearest(node, nodes)}")
        blocks = wanted.setdefault(node, [])
        blocks.append(_block(model, node, number) if dot else 0)
    return wanted


def _block(model: Backbone, node: str, number: str) -> int:
    stage = model.get_submodule(node)
    if not isinstance(stage, Stage):
        raise WrongUse(f"{node} is no stage and has no blocks; write {node} alone")
    count = len(stage.blocks)
    if not re.fullmatch("[0-9]{1,4}", number) or not 1 <= int(number) <= count:
        raise WrongUse(f"{node} has blocks 1 to {count}; got '{number[:20]}'")
    return int(number)


def _places(model: Backbone, node: Node, blocks: Sequence[int]) -> Iterator[Place]:
    module = model.get_submodule(node.id)
    if not isinstance(module, Stage):
        for name in _viewable(module):
            yield Place(node.id, node.type, ".".join(filter(None, (node.id, name))), inside=name)
        return
    count = len(module.blocks)
    having = [number for number in range(1, count + 1) if _viewable(module.blocks[number - 1])]
    last = having[-1:]
    for number in sorted({each for block in blocks for each in ([block] if block else last)}):
        for name in _viewable(module.blocks[number - 1]):
            path = ".".join(filter(None, (node.id, "blocks", str(number - 1), name)))
            inside = "" if name in ("", "mixer") else name.removeprefix("mixer.")
            yield Place(node.id, _type(node, number, count), path, number, count, inside)


def _type(node: Node, number: int, count: int) -> str:
    """The type of a block; of a stage where some are not built, the stage's."""
    types: list[str] = []
    if isinstance(node, declared.Stage):
        types = [type_name(type(block)) for block in node.blocks_in_order()]
    return types[number - 1] if len(types) == count else node.type


def _viewable(module: nn.Module) -> list[str]:
    """Names of the modules inside that show something, the outermost alone."""
    names: list[str] = []
    for name, part in module.named_modules():
        if isinstance(part, Viewable) and not any(name.startswith(f"{outer}." if outer else "") for outer in names):
            names.append(name)
    return names
