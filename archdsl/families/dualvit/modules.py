"""Modules of Dual-ViT (arXiv:2207.04976) but for its blocks: stems, the merge of semantics, the head."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.families.common.layers import Mlp, check_holds, normed, to_first, to_last
from archdsl.families.common.views import Heat, Position, View
from archdsl.families.dualvit.block_modules import Attention, ReluMlp, attend


class DeepStem(nn.Module):
    """Convolutions 7x7/2, 3x3 and 3x3 without bias, each with batch norm and ReLU, then 3x3/2 with bias and a norm."""

    def __init__(self, channels: int, hidden: int, width: int, norm: nn.Module) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, hidden, 7, stride=2, padding=3, bias=False)
        self.norm1 = nn.BatchNorm2d(hidden)
        self.conv2 = nn.Conv2d(hidden, hidden, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(hidden)
        self.conv3 = nn.Conv2d(hidden, hidden, 3, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(hidden)
        self.proj = nn.Conv2d(hidden, width, 3, stride=2, padding=1)
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, width, ceil(ceil(H / 2) / 2), ceil(ceil(W / 2) / 2))"""
        pairs = ((self.conv1, self.norm1), (self.conv2, self.norm2), (self.conv3, self.norm3))
        for conv, norm in pairs:
            x = conv(x)
            x = norm(x)
            x = F.relu(x)
        x = self.proj(x)
        x = to_last(x)
        return to_first(normed(self.norm, x))


class SemanticStem(nn.Module):
    """The first semantic tokens of a map: learned queries attend to the averages of its windows, with one head.

    A gate, one for all tokens, then weighs what they found against the averages themselves, channel by channel. Rows
    and columns that fill no window are dropped. The queries are a grid, resized bicubically to that of the windows: in
    a dense-prediction build (`dense`) wherever the grids differ; else only where there are not as many windows as
    queries, as the published classification code does, which so gives a 4x16 grid the 8x8 queries in their order.
    """

    def __init__(self, channels: int, grid: int, window: int) -> None:
        super().__init__()
        self.grid, self.window, self.dense = grid, window, False
        self.queries = nn.Parameter(torch.zeros(grid * grid, channels))
        nn.init.trunc_normal_(self.queries, std=0.02)
        self.query_norm = nn.LayerNorm(channels)
        self.query = nn.Linear(channels, channels)
        self.kv = nn.Linear(channels, 2 * channels)
        self.gate = ReluMlp(channels, channels, 2 * channels)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, M, C), M = (H // window) * (W // window)"""
        check_holds(x.shape[2], x.shape[3], self.window, f"a window of {self.window}x{self.window}")
        pooled = to_last(F.avg_pool2d(x, self.window))  # (B, rows, columns, C)
        B, rows, columns, C = pooled.shape
        pooled = pooled.reshape(B, rows * columns, C)
        attended = attend(1, self._q(B, rows, columns), *self.kv(pooled).chunk(2, dim=-1))
        gate = self.gate((attended + pooled).mean(dim=1)).reshape(B, 2, C).softmax(dim=1)
        return self.norm(gate[:, :1] * attended + gate[:, 1:] * pooled)

    def _q(self, batch: int, rows: int, columns: int) -> Tensor:
        """-> (batch, rows * columns, C)"""
        return self.query(self.query_norm(self.queries_of(rows, columns))).expand(batch, -1, -1)

    def queries_of(self, rows: int, columns: int) -> Tensor:
        """-> (rows * columns, C)"""
        fits = (rows, columns) == (self.grid, self.grid) if self.dense else rows * columns == self.grid**2
        if fits:
            return self.queries
        grid = self.queries.t().reshape(1, -1, self.grid, self.grid)
        grid = F.interpolate(grid, size=(rows, columns), mode="bicubic", align_corners=False)
        return grid[0].flatten(1).t()


class SemanticMerge(nn.Module):
    """A Linear and a norm on every semantic token."""

    def __init__(self, channels: int, width: int, norm: nn.Module) -> None:
        super().__init__()
        self.proj = nn.Linear(channels, width)
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """(B, M, C) -> (B, M, width)"""
        return normed(self.norm, self.proj(x)[:, None])[:, 0]


class ClassAttentionHead(nn.Module):
    """A class token, the mean of all tokens, attends to itself and all of them in one block; then norm and Linear.

    `fc` reads the class token, `aux_fc` every pixel; without token labels there is none. Evaluation adds half of the
    largest of the pixels' logits, class by class.
    """

    classifiers = ("fc", "aux_fc")
    pools = ("token",)

    def __init__(self, channels: int, heads: int, hidden: int, eps: float, classes: int, token_label: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=eps)
        self.mixer = Attention(channels, heads)
        self.norm2 = nn.LayerNorm(channels, eps=eps)
        self.mlp = Mlp(channels, hidden)
        self.norm = nn.LayerNorm(channels, eps=eps)
        self.fc: nn.Module = nn.Linear(channels, classes)
        self.aux_fc: nn.Module | None = nn.Linear(channels, classes) if token_label else None

    def pool(self, x: Tensor, semantics: Tensor | None = None) -> Tensor:
        """(B, C, H, W), (B, M, C) -> (B, C)"""
        token = self._attended(x, semantics)
        token = token + self.mlp(self.norm2(token))
        return self.norm(token)[:, 0]

    def forward(self, x: Tensor, semantics: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """(B, C, H, W), (B, M, C) -> (B, classes); in training with token labels also (B, H * W, classes)"""
        logits = self.fc(self.pool(x, semantics))
        if self.aux_fc is None or isinstance(self.aux_fc, nn.Identity):
            return logits
        aux = self.aux_fc(self.norm(to_last(x)).flatten(1, 2))
        return (logits, aux) if self.training else torch.add(logits, aux.amax(dim=1), alpha=0.5)

    def views(self, x: Tensor, semantics: Tensor | None = None, *, query: Position) -> list[View]:
        """(1, C, H, W), (1, M, C) -> softmax(q k' / sqrt(d)) of the class token, over the map"""
        H, W = x.shape[2:]
        _, tokens = self._gathered(x, semantics)
        weights = self.mixer.weights(tokens[:, :1], tokens)[:, 0]
        beside = {"class token": weights[:, 0]}
        if semantics is not None:
            beside["semantic tokens"] = weights[:, 1 + H * W :].sum(1)
        placed = weights[:, 1 : 1 + H * W].reshape(-1, H, W)
        return [Heat("attention of the class token", placed, beside=beside, query=False)]

    def _attended(self, x: Tensor, semantics: Tensor | None) -> Tensor:
        """(B, C, H, W), (B, M, C) -> the class token after its attention (B, 1, C)"""
        token, tokens = self._gathered(x, semantics)
        return token + self.mixer(tokens[:, :1], tokens)

    def _gathered(self, x: Tensor, semantics: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B, C, H, W), (B, M, C) -> the class token (B, 1, C), and it and all others normed (B, 1 + H * W + M, C)"""
        tokens = to_last(x).flatten(1, 2)
        if semantics is not None:
            tokens = torch.cat([tokens, semantics], dim=1)
        token = tokens.mean(dim=1, keepdim=True)
        return token, self.norm1(torch.cat([token, tokens], dim=1))
