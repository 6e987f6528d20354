"""Fused forms of attentions: rows of the projection are read as they lie, and nothing is cut, rolled or put back."""

from __future__ import annotations

from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.families.common.fused import adopted
from archdsl.families.common.windows import WindowAttention
from archdsl.families.dat.modules import DeformableAttention
from archdsl.families.datpp.modules import DeformablePlusAttention
from archdsl.families.dualvit import block_modules as dualvit
from archdsl.families.lit.modules import Attention
from archdsl.families.litv2.modules import HiLo
from archdsl.kernels.block_attention import block_attention
from archdsl.kernels.row_tables import MOST_KEYS, TILE, Blocks, packed_bias, small_windows, whole, windows
from archdsl.kernels.sampling import sample_keys
from archdsl.kernels.token_attention import token_attention

Tables = tuple[Blocks, Tensor]


class BlockTables:
    """Row tables and packed biases of an attention, made once for a size and a device."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, int, torch.device], Tables] = {}

    def of(self, height: int, width: int, device: torch.device) -> Tables | None:
        """What was made for that size."""
        return self._made.get((height, width, device))

    def keep(self, height: int, width: int, device: torch.device, blocks: Blocks, bias: Tensor) -> Tables:
        """Keep what was made, on that device."""
        made = blocks.to(device), bias.to(device)
        self._made[height, width, device] = made
        return made


def attended(qkv: Tensor, tables: Tables, heads: int) -> Tensor:
    """(B, tokens, 3 C) -> (B, tokens, C)"""
    blocks, bias = tables
    q, k, v = qkv.chunk(3, dim=-1)
    scale = (q.shape[-1] // heads) ** -0.5
    return block_attention(q, k, v, blocks.query_rows, blocks.key_rows, blocks.kinds, bias, heads, scale)


class FusedWindowAttention(WindowAttention):
    """Attention inside windows, shifted or not, without partition and roll."""

    shift: int
    tables: BlockTables

    def distance_of_shift(self) -> int:
        """That of the module that it is a form of."""
        return self.shift

    def attend(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C), H and W multiples of the window"""
        B, H, W, C = x.shape
        tables = self.tables.of(H, W, x.device) or self._make(H, W, x.device)
        out = attended(self.qkv(x.reshape(B, H * W, C)), tables, self.heads)
        return self.proj(out).view(B, H, W, C)

    def _make(self, H: int, W: int, device: torch.device) -> Tables:
        blocks = windows(H, W, self.window, self.shift)
        bias = None if self.bias is None else self.bias(self.window, self.window).detach()
        packed = packed_bias(bias, blocks, self.heads, (self.qkv.in_features // self.heads) ** -0.5)
        return self.tables.keep(H, W, device, blocks, packed)


def fused_windows(module: WindowAttention) -> nn.Module | None:
    """The fused form of window attention; None where a window holds more than 64 positions."""
    if module.window**2 > TILE:
        return None
    form = adopted(module, FusedWindowAttention)
    form.shift = module.distance_of_shift()
    form.tables = BlockTables()
    return form


class FusedAttention(Attention):
    """Attention over all positions; of a map of more than 384 of them as before."""

    tables: BlockTables

    def attend(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C), head after head"""
        B, H, W, C = x.shape
        if H * W > MOST_KEYS:
            return super().attend(x)
        tables = self.tables.of(H, W, x.device) or self._make(H, W, x.device)
        return attended(self.qkv(x.reshape(B, H * W, C)), tables, self.heads).view(B, H, W, C)

    def _make(self, H: int, W: int, device: torch.device) -> Tables:
        blocks = whole(H * W)
        bias = None
        if self.bias is not None:
            count = len(blocks.kinds)
            rows = F.pad(self.bias(H, W).detach(), (0, 0, 0, count * TILE - H * W))
            bias = rows.unflatten(1, (count, TILE))  # (heads, kinds, 64, keys)
        packed = packed_bias(bias, blocks, self.heads, (self.qkv.in_features // self.heads) ** -0.5)
        return self.tables.keep(H, W, device, blocks, packed)


def fused_attention(module: Attention) -> nn.Module:
    """The fused form of attention over all positions."""
    form = adopted(module, FusedAttention)
    form.tables = BlockTables()
    return form


class FusedHiLo(HiLo):
    """HiLo attention: Hi-Fi's windows many to a block, Lo-Fi's averages as keys of all positions."""

    tables: BlockTables

    def high_frequencies(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, high * head_dim): attention inside windows"""
        B, H, W, C = x.shape
        tables = self.tables.of(H, W, x.device) or self._make(H, W, x.device)
        out = attended(self.h_qkv(x.reshape(B, H * W, C)), tables, self.high)
        return self.h_proj(out).view(B, H, W, self.high * self.head_dim)

    def low_frequencies(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, low * head_dim): attention to the averages of the windows"""
        B, H, W, C = x.shape
        k, v = self.l_kv(self.averages(x).flatten(1, 2)).chunk(2, dim=-1)
        out = token_attention(self.l_q(x.reshape(B, H * W, C)), k, v, self.low, self.head_dim**-0.5)
        return self.l_proj(out).view(B, H, W, self.low * self.head_dim)

    def _make(self, H: int, W: int, device: torch.device) -> Tables:
        blocks = small_windows(H, W, self.window)
        return self.tables.keep(H, W, device, blocks, packed_bias(None, blocks, self.high, self.head_dim**-0.5))


def fused_hilo(module: HiLo) -> nn.Module | None:
    """The fused form of HiLo; None where a window holds more than 64 positions."""
    if module.window**2 > TILE:
        return None
    form = adopted(module, FusedHiLo)
    form.tables = BlockTables()
    return form


class FusedDeformableAttention(DeformableAttention):
    """Deformable attention of DAT whose keys are sampled in one pass."""

    def keys_and_values(self, x: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H, W, C), (B, groups, Hk, Wk, xy) -> (B, Hk * Wk, C) each"""
        samples = sample_keys(x.contiguous(), places.flatten(2, 3).contiguous())
        return self.k(samples), self.v(samples)


class FusedDeformablePlusAttention(DeformablePlusAttention):
    """Deformable attention of DAT++ whose keys are sampled in one pass."""

    def _keys_and_values(self, x: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H, W, C), (B, groups, Hk, Wk, xy) -> (B, Hk * Wk, C) each"""
        samples = sample_keys(x.contiguous(), places.flatten(2, 3).contiguous())
        return self.k(samples), self.v(samples)


class FusedReader(dualvit.Attention):
    """Attention of some tokens to others (Dual-ViT), over rows as they lie."""

    def attended(self, x: Tensor, read: Tensor) -> Tensor:
        """(B, ..., C), (B, ..., C) -> (B, ..., C) in the shape of x"""
        B, C = x.shape[0], x.shape[-1]
        q = self.q(x).reshape(B, prod(x.shape[1:-1]), C)
        k, v = self.kv(read.reshape(B, prod(read.shape[1:-1]), C)).chunk(2, dim=-1)
        return token_attention(q, k, v, self.heads, (C // self.heads) ** -0.5).view(x.shape)


class FusedSelfAttention(dualvit.SelfAttention):
    """Self-attention of semantics (Dual-ViT), over rows as they lie."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, C) -> (B, N, C)"""
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return token_attention(q, k, v, self.heads, (x.shape[-1] // self.heads) ** -0.5)
