"""What the dimensions of mixers are: heads in the rows of q, k and v and in the columns of a projection.

Heads are taken whole where there are fewer of them, and channels of a head evenly where it is narrower. New heads keep
their initial values, and the projection reads none of them yet. Of wider heads the new channels of k start at 0, and
the old ones make up for the score's smaller scale, so that the scores stay.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from archdsl.deriving.axes import Axis, chosen, combined, even, joined, padded, part, same
from archdsl.families.common.windows import WindowAttention
from archdsl.families.dat.modules import DeformableAttention
from archdsl.families.datpp.modules import DeformablePlusAttention, PooledAttention
from archdsl.families.datpp.neighborhood_modules import NeighborhoodAttention
from archdsl.families.dualvit import block_modules as dualvit
from archdsl.families.dualvit.modules import SemanticStem
from archdsl.families.fcvit.modules import Context
from archdsl.families.lit.modules import Attention
from archdsl.families.litv2.modules import HiLo


@dataclass(frozen=True)
class Scope:
    """What the dimensions of a module's tensors are, by their sizes: what it reads, what it writes, else its own.

    repeats: whether a wider dimension of its own repeats channels, as a norm over them asks for.
    """

    reads: Axis
    writes: Axis
    repeats: bool = False

    def output(self, count: int, of: int) -> Axis:
        """The dimension that a tensor writes."""
        return self.writes if self.writes.sizes == (count, of) else self._inner_axis(count, of)

    def input(self, count: int, of: int) -> Axis:
        """A dimension that it reads."""
        return self.reads if self.reads.sizes == (count, of) else self._inner_axis(count, of)

    def _inner_axis(self, count: int, of: int) -> Axis:
        return even(count, of) if self.repeats else padded(count, of)


class _Heads(NamedTuple):
    """Rows of q, k and v, head after head."""

    heads: Axis
    q: Axis
    k: Axis
    v: Axis


def _of(count: tuple[int, int], width: tuple[int, int], repeat: bool = False) -> _Heads:
    """Heads and their width, each ours and the parent's."""
    heads = chosen((even if repeat else padded)(*count), "heads")
    rows = combined(heads, padded(*width))
    if width[0] <= width[1]:
        return _Heads(heads, rows, rows, rows)
    scale = torch.full((len(rows.index),), math.sqrt(width[0] / width[1]), dtype=torch.float64)
    beyond = combined(same(count[0]), padded(*width)).index < 0
    return _Heads(heads, rows, Axis(rows.index, rows.of, scale, beyond, rows.label), rows)


def _in_groups(count: tuple[int, int], width: tuple[int, int], groups: tuple[int, int]) -> _Heads:
    """Heads whose keys are sampled in groups: wider ones repeat the parent's, whose offsets are made of q by a norm."""
    heads = chosen(combined(even(*groups), even(count[0] // groups[0], count[1] // groups[1])), "heads")
    channels = even(*width)
    rows = combined(heads, channels)
    if width[0] <= width[1]:
        return _Heads(heads, rows, rows, rows)
    scale = channels.reading_gain.repeat(count[0]) * math.sqrt(width[0] / width[1])
    return _Heads(heads, rows, Axis(rows.index, rows.of, scale, label=rows.label), rows)


def _pair(child: nn.Linear, parent: nn.Linear, parts: int = 1) -> tuple[int, int]:
    return child.out_features // parts, parent.out_features // parts


def _widths(channels: tuple[int, int], heads: tuple[int, int]) -> tuple[int, int]:
    return channels[0] // heads[0], channels[1] // heads[1]


def _qkv(child: _Qkv, parent: _Qkv, scope: Scope) -> Mapping[str, Scope]:
    heads = (child.heads, parent.heads)
    inner = _of(heads, _widths(_pair(child.proj, parent.proj), heads))
    return {
        "qkv": Scope(scope.reads, joined(inner.q, inner.k, inner.v)),
        "proj": Scope(inner.v, scope.writes),
        "bias": Scope(inner.heads, inner.heads),
        "table": Scope(inner.heads, inner.heads),
    }


def _hilo(child: HiLo, parent: HiLo, scope: Scope) -> Mapping[str, Scope]:
    """Hi-Fi's channels come first in what the mixer writes."""
    width = (child.head_dim, parent.head_dim)
    high, low = _of((child.high, parent.high), width), _of((child.low, parent.low), width)
    mine, old = child.high * child.head_dim, parent.high * parent.head_dim
    first = part(scope.writes, 0, mine, 0, old)
    second = part(scope.writes, mine, len(scope.writes.index), old, scope.writes.of)
    return {
        "h_qkv": Scope(scope.reads, joined(high.q, high.k, high.v)),
        "h_proj": Scope(high.v, first),
        "l_q": Scope(scope.reads, low.q),
        "l_kv": Scope(scope.reads, joined(low.k, low.v)),
        "l_proj": Scope(low.v, second),
    }


def _apart(child: _Apart, parent: _Apart, scope: Scope) -> Mapping[str, Scope]:
    """q, k and v by Linears of their own; keys may be sampled in groups of heads."""
    heads = (child.heads, parent.heads)
    width = _widths(_pair(child.q, parent.q), heads)
    groups = getattr(child, "groups", 0), getattr(parent, "groups", 0)
    in_group = (heads[0] // max(groups[0], 1), heads[1] // max(groups[1], 1))
    inner = _in_groups(heads, width, groups) if all(groups) else _of(heads, width)
    group = combined(even(*in_group), even(*width))
    return {
        "q": Scope(scope.reads, inner.q),
        "k": Scope(scope.reads, inner.k),
        "v": Scope(scope.reads, inner.v),
        "proj": Scope(inner.v, scope.writes),
        "offset": Scope(group, group),
        "bias": _bias_scope(child, inner, in_group),
    }


def _bias_scope(child: _Apart, inner: _Heads, in_group: tuple[int, int]) -> Scope:
    """A table has a row a head, a depthwise convolution a channel, an MLP a result for each head of a group."""
    bias = getattr(child, "bias", None)
    if isinstance(bias, nn.Conv2d):
        return Scope(inner.v, inner.v)
    if bias is not None and hasattr(bias, "fc2"):
        return Scope(same(2), even(*in_group))
    return Scope(inner.heads, inner.heads)


def _reader(child: dualvit.Attention, parent: dualvit.Attention, scope: Scope) -> Mapping[str, Scope]:
    """Without a projection the values are written as they are, so that they are channels of the stream."""
    is_projected = isinstance(child.proj, nn.Linear)
    heads = (child.heads, parent.heads)
    inner = _of(heads, _widths(_pair(child.q, parent.q), heads), repeat=not is_projected)
    return {
        "q": Scope(scope.reads, inner.q),
        "kv": Scope(scope.reads, joined(inner.k, inner.v if is_projected else scope.writes)),
        "proj": Scope(inner.v, scope.writes),
    }


def _unprojected(child: dualvit.SelfAttention, parent: dualvit.SelfAttention, scope: Scope) -> Mapping[str, Scope]:
    heads = (child.heads, parent.heads)
    inner = _of(heads, _widths(_pair(child.qkv, parent.qkv, 3), heads), repeat=True)
    return {"qkv": Scope(scope.reads, joined(inner.q, inner.k, scope.writes))}


def _semantic_stem(child: SemanticStem, parent: SemanticStem, scope: Scope) -> Mapping[str, Scope]:
    """One head; its queries, normed over the channels, repeat them as the stream does."""
    inner = _of((1, 1), _pair(child.query, parent.query))
    queries = even(child.query.in_features, parent.query.in_features)
    gate = padded(child.gate.fc1.out_features, parent.gate.fc1.out_features)
    return {
        "query_norm": Scope(queries, queries),
        "query": Scope(queries, inner.q),
        "kv": Scope(scope.reads, joined(inner.k, scope.writes)),
        "gate.fc1": Scope(scope.reads, gate),
        "gate.fc2": Scope(gate, joined(scope.writes, scope.writes)),
    }


def _context(child: Context, parent: Context, scope: Scope) -> Mapping[str, Scope]:
    """With `compete` the first Linear gives two halves, each as long as what the second one reads."""
    hidden = padded(child.fc2.in_features, parent.fc2.in_features)
    halves = joined(hidden, hidden) if child.compete else hidden
    heads = even(child.heads, parent.heads) if child.heads and parent.heads else same(1)
    scales = dict.fromkeys(("rescale_weight", "rescale_bias"), Scope(heads, heads))
    return {**scales, "fc1": Scope(scope.reads, halves), "fc2": Scope(hidden, scope.writes)}


_Qkv = Attention | WindowAttention | NeighborhoodAttention
_Apart = DeformableAttention | DeformablePlusAttention | PooledAttention


def scopes_inside(child: nn.Module, parent: nn.Module, scope: Scope) -> Mapping[str, Scope]:
    """The scopes of the submodules that have one of their own, by name; all others have the module's."""
    for kind, rule in _RULES:
        if isinstance(child, kind) and isinstance(parent, kind):
            return rule(child, parent, scope)
    return {}


_Rule = Callable[..., Mapping[str, Scope]]
_RULES: tuple[tuple[type[nn.Module] | tuple[type[nn.Module], ...], _Rule], ...] = (
    ((Attention, WindowAttention, NeighborhoodAttention), _qkv),
    (HiLo, _hilo),
    ((DeformableAttention, DeformablePlusAttention, PooledAttention), _apart),
    (dualvit.Attention, _reader),
    (dualvit.SelfAttention, _unprojected),
    (SemanticStem, _semantic_stem),
    (Context, _context),
)
