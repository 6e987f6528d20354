"""Stages: blocks at one resolution and width, with what stands at their entry and their exit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from archdsl.families.common.layers import normed, to_first, to_last
from archdsl.families.common.tables import resize, square


class PositionEmbedding(nn.Module):
    """A learned embedding a position, resized bilinearly at other map sizes; the `first` rows in front stay."""

    def __init__(self, channels: int, height: int, width: int, first: int) -> None:
        super().__init__()
        self.size, self.first = (height, width), first
        self.table = nn.Parameter(torch.zeros(1, first + height * width, channels))
        nn.init.trunc_normal_(self.table, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        H, W = x.shape[1:3]
        table = self.table[:, self.first :].reshape(1, *self.size, -1)
        if self.size != (H, W):
            table = to_last(F.interpolate(to_first(table), size=(H, W), mode="bilinear", align_corners=False))
        return x + table

    def of_token(self, token: Tensor) -> Tensor:
        """(1, 1, C) -> (1, 1, C): the class token's own row added"""
        return token + self.table[:, :1]

    def size_of(self, table: Tensor) -> tuple[int, int] | None:
        """The map of another size's table, (1, first + H * W, C): square, since its rows do not tell H from W."""
        if table.dim() != 3 or (table.shape[0], table.shape[2]) != (1, self.table.shape[2]):
            return None
        return square(table.shape[1] - self.first) if table.shape[1] > self.first else None

    def resized(self, table: Tensor, size: tuple[int, int]) -> Tensor:
        """A table of a map of that size -> one of this module's shape, bilinearly; the first rows stay."""
        first, rows = table[:, : self.first], table[0, self.first :]
        grid = resize(rows.t().reshape(-1, *size), self.size, "bilinear")
        return torch.cat([first.to(grid), grid.flatten(1).t()[None]], dim=1)


class Stage(nn.Module):
    """Blocks one after the other.

    What leaves is raw, unless `norm_all` gives every reader the ports normed; else `out_norm` is for `feature` alone.
    """

    tokens_in_front = 0
    """Tokens that its blocks read in front of the positions; the map is a row (B, 1, tokens + H * W, C) then."""

    def __init__(
        self,
        blocks: Sequence[nn.Module],
        position_embedding: PositionEmbedding | None = None,
        out_norm: Mapping[str, nn.Module] | None = None,
        norm_all: bool = False,
    ) -> None:
        super().__init__()
        self.position_embedding = position_embedding
        self.blocks = nn.ModuleList(blocks)
        self.out_norm = nn.ModuleDict(out_norm)
        self.norm_all = norm_all
        self.grad_checkpointing = False

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)"""
        x = self._entered(to_last(x))
        for block in self.blocks:
            x = self._run(block, x)
        return to_first(self._normed("pixels", x))

    def feature(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W): the map as a dense-prediction reader gets it"""
        if self.norm_all or "pixels" not in self.out_norm:
            return x
        return to_first(normed(self.out_norm["pixels"], to_last(x)))

    def _entered(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C): what the blocks read"""
        return x if self.position_embedding is None else self.position_embedding(x)

    def _run(self, block: nn.Module, *inputs: Tensor) -> Any:
        """One block, recomputed in the backward pass where that is asked"""
        again = self.grad_checkpointing and self.training
        return checkpoint(block, *inputs, use_reentrant=False) if again else block(*inputs)

    def _normed(self, port: str, x: Tensor) -> Tensor:
        """A port as all readers get it; one that nobody reads has no norm."""
        return normed(self.out_norm[port], x) if self.norm_all and port in self.out_norm else x


class TokenStage(Stage):
    """A stage with a class token (LIT-Ti): the blocks read it in front of the positions, as a map of one row."""

    undecayed = ("class_token",)
    tokens_in_front = 1

    def __init__(
        self,
        blocks: Sequence[nn.Module],
        token_channels: int,
        position_embedding: PositionEmbedding | None = None,
        out_norm: Mapping[str, nn.Module] | None = None,
        norm_all: bool = False,
    ) -> None:
        super().__init__(blocks, position_embedding, out_norm, norm_all)
        self.class_token = nn.Parameter(torch.zeros(1, 1, token_channels))
        nn.init.trunc_normal_(self.class_token, std=0.02)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]  # the token too
        """(B, C, H, W) -> (B, C, H, W) and (B, 1, C)"""
        H, W = x.shape[2:]
        x = self._with_token(self._entered(to_last(x)))
        for block in self.blocks:
            x = self._run(block, x)
        token = x[:, 0, :1].clone()  # a copy, so that the map is not kept with it
        x = x[:, 0, 1:].reshape(x.shape[0], H, W, x.shape[3])
        return to_first(self._normed("pixels", x)), self._normed("class", token)

    def _with_token(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, 1, 1 + H * W, C)"""
        token: Tensor = self.class_token
        if self.position_embedding is not None:
            token = self.position_embedding.of_token(token)
        return torch.cat([token.expand(x.shape[0], -1, -1), x.flatten(1, 2)], dim=1)[:, None]


class TwoPathStage(Stage):
    """A stage that semantics go through beside the map (Dual-ViT): blocks without `two_paths` pass them on.

    They are given where they are read (`gives_semantics`).
    """

    def __init__(
        self,
        blocks: Sequence[nn.Module],
        gives_semantics: bool,
        position_embedding: PositionEmbedding | None = None,
        out_norm: Mapping[str, nn.Module] | None = None,
        norm_all: bool = False,
    ) -> None:
        super().__init__(blocks, position_embedding, out_norm, norm_all)
        self.gives_semantics = gives_semantics

    def forward(self, x: Tensor, semantics: Tensor) -> Tensor | tuple[Tensor, Tensor]:  # type: ignore[override]
        """(B, C, H, W), (B, M, C) -> the same, or (B, C, H, W) alone"""
        x = self._entered(to_last(x))
        for block in self.blocks:
            if getattr(block, "two_paths", False):
                x, semantics = self._run(block, x, semantics)
            else:
                x = self._run(block, x)
        if not self.gives_semantics:
            return to_first(self._normed("pixels", x))
        return to_first(self._normed("pixels", x)), self._normed("semantics", semantics[:, None])[:, 0]
