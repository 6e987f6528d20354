"""Which parts of a parent a network's parts come from: by what they are, whatever they are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import nn

from archdsl.compile import Backbone
from archdsl.families.common.layers import ConvMlp, Mlp
from archdsl.families.common.stage_modules import Stage
from archdsl.families.dat.modules import ConvMerge
from archdsl.families.dualvit.modules import ClassAttentionHead
from archdsl.families.fcvit.modules import OverlapStem
from archdsl.families.lit.modules import ClassTokenHead, DeformableMerge, MeanHead, PatchStem

_NORMS = (nn.LayerNorm, nn.BatchNorm2d, nn.GroupNorm)
_LIKE: tuple[tuple[type[nn.Module], ...], ...] = (
    (PatchStem, OverlapStem),
    (ConvMerge, DeformableMerge),
    (Mlp, ConvMlp),
    _NORMS,
    (MeanHead, ClassTokenHead, ClassAttentionHead),
)
"""Modules that hold the same tensors, or some of them, though their classes differ."""
_RENAMED: Mapping[tuple[type[nn.Module], type[nn.Module]], Mapping[str, str]] = {
    (ConvMerge, DeformableMerge): {"proj": "conv"},
    (DeformableMerge, ConvMerge): {"conv": "proj"},
}
"""Names of submodules, ours by the parent's, where one thing has two names: (our class, the parent's)."""
_OTHER_BLOCK = 1000


class NodePair(NamedTuple):
    """A node and the parent's that it comes from; None where it is new.

    blocks: for each block of a stage the parent's, by its index; None in other nodes, and where it is new.
    extra: which of the blocks are more than the parent has.
    """

    name: str
    parent: str | None
    blocks: tuple[int | None, ...] = ()
    extra: frozenset[int] = frozenset()


def alike(child: nn.Module, parent: nn.Module) -> bool:
    """Whether the two hold the same kind of tensors."""
    if isinstance(parent, type(child)) or isinstance(child, type(parent)):
        return not isinstance(child, nn.Conv2d) or (child.groups > 1) == (_groups(parent) > 1)
    if _is_block(child) and _is_block(parent):
        return True
    return any(isinstance(child, kinds) and isinstance(parent, kinds) for kinds in _LIKE)


def _groups(module: nn.Module) -> int:
    return module.groups if isinstance(module, nn.Conv2d) else 1


def _is_block(module: nn.Module) -> bool:
    """Residual blocks have a norm and an MLP each, whatever mixes in them."""
    return {"norm2", "mlp"} <= module._modules.keys() and not isinstance(module, ClassAttentionHead)


def name_there(child: nn.Module, parent: nn.Module, name: str) -> str:
    """What the parent calls a submodule of ours."""
    for (ours, theirs), names in _RENAMED.items():
        if isinstance(child, ours) and isinstance(parent, theirs):
            return names.get(name, name)
    return name


def node_pairs(child: Backbone, parent: Backbone) -> tuple[NodePair, ...]:
    """Each node of a network with the parent's: by its id where both are of a kind, else by its place in its kind."""
    ours, theirs = _kinds(child), _kinds(parent)
    pairs = {name: name for name, kind in ours.items() if theirs.get(name) == kind}
    for kind in dict.fromkeys(ours.values()):
        left = [name for name in ours if ours[name] == kind and name not in pairs]
        there = [name for name in theirs if theirs[name] == kind and name not in pairs.values()]
        if len(left) == len(there):
            pairs.update(zip(left, there, strict=True))
    return tuple(_pair(name, pairs.get(name), child, parent) for name in ours)


def _kinds(model: Backbone) -> dict[str, str]:
    """The nodes that are built, in the order in which they run, each with its kind and the ports that it gives."""
    nodes = (model.spec.node(step.name) for step in model._schedule)
    return {node.id: f"{node.kind} {' '.join(node.gives[:1])} {' '.join(node.reads[:1])}" for node in nodes}


def _pair(name: str, there: str | None, child: Backbone, parent: Backbone) -> NodePair:
    ours = child._modules[name]
    theirs = parent._modules[there] if there is not None else None
    if not isinstance(ours, Stage) or not isinstance(theirs, Stage):
        return NodePair(name, there)
    blocks, extra = block_pairs(ours.blocks, theirs.blocks)
    return NodePair(name, there, blocks, extra)


def block_pairs(
    ours: Sequence[nn.Module] | nn.ModuleList, theirs: Sequence[nn.Module] | nn.ModuleList
) -> tuple[tuple[int | None, ...], frozenset[int]]:
    """The parent's block of each of ours, and which of ours are more than the parent has.

    Of more blocks the first and the last are kept and those between evenly, blocks of the same kind where there are
    any. Of fewer each has its place among ours, and a block between them comes from the nearest before of its kind.
    """
    mine, old = list(ours), list(theirs)
    if len(mine) <= len(old):
        return tuple(_places(mine, old)), frozenset()
    places = {place: index for index, place in enumerate(_places(old, mine))}
    pairs = [places.get(place, _nearest(place, places, mine, old)) for place in range(len(mine))]
    return tuple(pairs), frozenset(range(len(mine))) - places.keys()


def _nearest(place: int, places: Mapping[int, int], mine: Sequence[nn.Module], old: Sequence[nn.Module]) -> int:
    """The parent's block for one that it has not: the last before it of the same kind, else the last before it."""
    before = [index for at, index in places.items() if at < place] or [0]
    least = min(_difference(mine[place], old[index]) for index in before)
    return max(index for index in before if _difference(mine[place], old[index]) == least)


def _places(few: Sequence[nn.Module], many: Sequence[nn.Module]) -> list[int]:
    """A place among `many` for each of `few`, in order: near to even ones with both ends, of the same kind first."""
    ends = len(many) - 1
    wanted = [index * ends / (len(few) - 1) if len(few) > 1 else 0.0 for index in range(len(few))]
    best: list[tuple[float, list[int]]] = [(0.0, []), *((float("inf"), list[int]()) for _ in many)]
    for index, block in enumerate(few):
        # after[n]: the cheapest places of the blocks so far, the last of them before n
        after: list[tuple[float, list[int]]] = [(float("inf"), [])]
        for place, other in enumerate(many):
            cost, places = min(best[: place + 1], key=lambda entry: entry[0])
            cost += _OTHER_BLOCK * _difference(block, other) + (place - wanted[index]) ** 2
            after.append((cost, [*places, place]))
        best = after
    return min(best, key=lambda entry: entry[0])[1]


def _difference(block: nn.Module, other: nn.Module) -> float:
    """1 for blocks of other kinds: another mixer, or one pathway instead of two; a little for other shapes."""
    ours, theirs = block._modules.get("mixer"), other._modules.get("mixer")
    if getattr(block, "two_paths", False) != getattr(other, "two_paths", False):
        return 1
    is_like = ours is theirs if ours is None or theirs is None else alike(ours, theirs)
    return (0 if _shapes(block) == _shapes(other) else 0.1) if is_like else 1


def _shapes(block: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(parameter.shape) for name, parameter in block.named_parameters()}
