"""Shape rules that several parts have: each raises `ShapeError` with the rule, the values and what would fit."""

from __future__ import annotations

from archdsl.errors import ShapeError, one_of
from archdsl.families.common.fields import BatchNorm, ConvMlp, GroupNorm, LayerNorm, PlainMlp, ResidualConvMlp
from archdsl.shape import Map, Tokens


def check_heads(width: int, heads: int) -> None:
    """`heads` must divide the width."""
    if width % heads:
        raise ShapeError(f"width {width} must be a multiple of heads", f"heads {heads}", _use(width, heads), "heads")


def check_groups(heads: int, groups: int) -> None:
    """`groups` of channels that are sampled apart hold whole heads."""
    if heads % groups:
        raise ShapeError(
            f"heads {heads} must be a multiple of groups", f"groups {groups}", _use(heads, groups), "groups"
        )


def check_norm(width: int, norm: LayerNorm | BatchNorm | GroupNorm) -> None:
    """A group norm's groups must divide the width."""
    if norm.type == "group" and width % norm.groups:
        rule = f"width {width} must be a multiple of norm.groups"
        raise ShapeError(rule, f"groups {norm.groups}", _use(width, norm.groups), "norm.groups")


def check_mlp(mlp: PlainMlp | ConvMlp | ResidualConvMlp) -> None:
    """A depthwise convolution that keeps the size has an odd kernel."""
    if mlp.type != "plain" and mlp.kernel % 2 == 0:
        raise ShapeError("the kernel must be odd", f"kernel {mlp.kernel}", f"use {mlp.kernel + 1}", "mlp.kernel")


def check_semantics(x: Map, semantics: Tokens) -> None:
    """Semantics have the width of the map that they go beside."""
    if semantics.channels != x.channels:
        widths = f"pixels of width {x.channels} and semantics of width {semantics.channels}"
        remedy = f"put a semantic_merge of width {x.channels} before"
        raise ShapeError("pixels and semantics must have one width", widths, remedy)


def _use(number: int, near: int) -> str:
    """Up to three divisors of `number` nearest to `near`, as a remedy."""
    divisors = (d for d in range(1, min(number, 256) + 1) if number % d == 0)
    return f"use {one_of(sorted(sorted(divisors, key=lambda d: abs(d - near))[:3]))}"
