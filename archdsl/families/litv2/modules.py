"""Modules of LITv2 (arXiv:2205.13213)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.families.common.views import Heat, Position, View, attention_weights


class HiLo(nn.Module):
    """HiLo attention (arXiv:2205.13213, section 3): high and low frequencies by different heads.

    Hi-Fi heads attend inside windows of `window` positions a side, Lo-Fi heads from every position to the map averaged
    over the same windows. A map that the window does not divide is zero-padded right and below, without a mask, and cut
    again after the projections, as the published dense-prediction code does: padded positions are keys of Hi-Fi windows
    and enter the averages of Lo-Fi. The published classification code has no padding and takes every map for square.
    """

    def __init__(self, channels: int, heads: int, low_heads: int, window: int, qkv_bias: bool) -> None:
        super().__init__()
        self.head_dim = channels // heads
        self.low, self.high, self.window = low_heads, heads - low_heads, window
        low, high = self.low * self.head_dim, self.high * self.head_dim
        if self.low:
            self.l_q = nn.Linear(channels, low, bias=qkv_bias)
            self.l_kv = nn.Linear(channels, 2 * low, bias=qkv_bias)
            self.l_proj = nn.Linear(low, low)
        if self.high:
            self.h_qkv = nn.Linear(channels, 3 * high, bias=qkv_bias)
            self.h_proj = nn.Linear(high, high)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C), Hi-Fi's channels first"""
        H, W = x.shape[1:3]
        x = self.padded(x)
        if not self.high:
            x = self.low_frequencies(x)
        elif not self.low:
            x = self.high_frequencies(x)
        else:
            x = torch.cat([self.high_frequencies(x), self.low_frequencies(x)], dim=-1)
        return x[:, :H, :W]

    def padded(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H', W', C), whole windows"""
        right, below = -x.shape[2] % self.window, -x.shape[1] % self.window
        return F.pad(x, (0, 0, 0, right, 0, below)) if right or below else x

    def views(self, x: Tensor, *, query: Position) -> list[View]:
        """(1, H, W, C) -> the energy of both parts, and what the query's Lo-Fi heads attend to.

        The energy is the sum of squares over a part's channels of the output; that of both is that of the output. The
        attention is softmax(q k' / sqrt(d)) over the averages of the windows.
        """
        H, W = x.shape[1:3]
        padded = self.padded(x)
        shown: list[View] = []
        for title, heads, part in (
            ("Hi-Fi, energy of the output", self.high, self.high_frequencies),
            ("Lo-Fi, energy of the output", self.low, self.low_frequencies),
        ):
            if heads:
                energy = part(padded)[:, :H, :W].square().sum(-1)
                shown.append(Heat(title, energy, "amount", query=False))
        return [*shown, *([self._low_attention(padded, query)] if self.low else [])]

    def _low_attention(self, x: Tensor, query: Position) -> Heat:
        """(1, H, W, C) -> (low, rows, columns) of windows"""
        averages = self.averages(x)[0]
        q = self.l_q(x[0, query[0], query[1]]).reshape(self.low, 1, self.head_dim)
        k = self.l_kv(averages).unflatten(-1, (2, self.low, self.head_dim))[:, :, 0].flatten(0, 1).transpose(0, 1)
        weights = attention_weights(q, k).reshape(self.low, *averages.shape[:2])
        return Heat("Lo-Fi, attention of the query", weights, cell=self.window)

    def high_frequencies(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, high * head_dim): attention inside windows"""
        B, H, W, _ = x.shape
        s, rows, columns = self.window, H // self.window, W // self.window
        qkv = (
            self.h_qkv(x)
            .reshape(B, rows, s, columns, s, 3, self.high, self.head_dim)
            .permute(5, 0, 1, 3, 6, 2, 4, 7)  # (3, B, rows, columns, heads, s, s, d)
            .reshape(3, B * rows * columns, self.high, s * s, self.head_dim)
        )
        out = F.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
        out = out.reshape(B, rows, columns, self.high, s, s, self.head_dim).permute(0, 1, 4, 2, 5, 3, 6)
        return self.h_proj(out.reshape(B, H, W, self.high * self.head_dim))

    def low_frequencies(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, low * head_dim): attention to the averages of the windows"""
        B, H, W, _ = x.shape
        q = self.l_q(x).reshape(B, H * W, self.low, self.head_dim).transpose(1, 2)
        kv = self.l_kv(self.averages(x))
        k, v = kv.reshape(B, kv.shape[1] * kv.shape[2], 2, self.low, self.head_dim).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(q, k, v)  # (B, low, H * W, d)
        return self.l_proj(out.transpose(1, 2).reshape(B, H, W, self.low * self.head_dim))

    def averages(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H / window, W / window, C)"""
        if self.window == 1:
            return x
        return F.avg_pool2d(x.permute(0, 3, 1, 2), self.window).permute(0, 2, 3, 1)
