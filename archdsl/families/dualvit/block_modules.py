"""Blocks of Dual-ViT (arXiv:2207.04976): modules that read and give a map and semantic tokens beside it."""

from __future__ import annotations

from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.families.common.layers import Depthwise, DropPath, LayerScale, Mlp, normed
from archdsl.families.common.views import Heat, Position, View, attention_weights


def attend(heads: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """(B, ..., C), (B, ..., C), (B, ..., C) -> (B, ..., C) in the shape of q; all positions, head after head"""

    def split(x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], prod(x.shape[1:-1]), heads, x.shape[-1] // heads).transpose(1, 2)

    out = F.scaled_dot_product_attention(split(q), split(k), split(v))  # (B, heads, N, C // heads)
    return out.transpose(1, 2).reshape(q.shape)


class Attention(nn.Module):
    """Multi-head attention of some tokens to others, or to themselves."""

    def __init__(self, channels: int, heads: int, project: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(channels, channels)
        self.kv = nn.Linear(channels, 2 * channels)
        self.proj = nn.Linear(channels, channels) if project else nn.Identity()

    def forward(self, x: Tensor, read: Tensor | None = None) -> Tensor:
        """(B, ..., C), what they read (B, ..., C) -> (B, ..., C) in the shape of x"""
        return self.proj(self.attended(x, x if read is None else read))

    def attended(self, x: Tensor, read: Tensor) -> Tensor:
        """(B, ..., C), (B, ..., C) -> (B, ..., C) in the shape of x"""
        return attend(self.heads, self.q(x), *self.kv(read).chunk(2, dim=-1))

    def weights(self, x: Tensor, read: Tensor) -> Tensor:
        """Of one image, (1, N, C), (1, P, C) -> (heads, N, P): softmax(q k' / sqrt(d))"""
        q, k = self.q(x)[0], self.kv(read)[0].chunk(2, dim=-1)[0]
        return attention_weights(*(part.unflatten(-1, (self.heads, -1)).transpose(0, 1) for part in (q, k)))


class SelfAttention(nn.Module):
    """Multi-head self-attention without a projection."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, C) -> (B, N, C)"""
        return attend(self.heads, *self.qkv(x).chunk(3, dim=-1))


class ReluMlp(nn.Module):
    """Linear, ReLU, Linear."""

    def __init__(self, channels: int, hidden: int, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, ..., channels) -> (B, ..., width)"""
        x = self.fc1(x)
        x = F.relu(x)
        return self.fc2(x)


def scale(channels: int, layer_scale: float | None) -> nn.Module:
    """The factor of a residual branch, or nothing."""
    return nn.Identity() if layer_scale is None else LayerScale(channels, layer_scale)


class DualPath(nn.Module):
    """Semantics attend to themselves and to the pixels and have an MLP; then pixels attend to them and have theirs.

    The pixels are normed once for both attentions. Norms of semantics are layer norms of eps 1e-5 whatever those of
    pixels are. Without `norm2` and `mlp` the pixels have no reader and leave as they came, local perception aside.
    """

    two_paths = True

    def __init__(
        self,
        channels: int,
        heads: int,
        norm1: nn.Module,
        norm2: nn.Module | None,
        mlp: nn.Module | None,
        semantic_hidden: int,
        layer_scale: float | None = None,
        local_perception: bool = False,
    ) -> None:
        super().__init__()
        self.local = Depthwise(channels, 3) if local_perception else None
        self.norm1 = norm1
        self.semantic_norm1 = nn.LayerNorm(channels)
        self.semantic_mixer = SelfAttention(channels, heads)
        self.semantic_scale1 = scale(channels, layer_scale)
        self.semantic_norm2 = nn.LayerNorm(channels)
        self.semantic_reader = Attention(channels, heads, project=False)
        self.semantic_scale2 = scale(channels, layer_scale)
        self.semantic_norm3 = nn.LayerNorm(channels)
        self.semantic_mlp = ReluMlp(channels, semantic_hidden, channels)
        self.semantic_scale3 = scale(channels, layer_scale)
        self.mlp = mlp
        if mlp is not None and norm2 is not None:
            self.semantic_norm4 = nn.LayerNorm(channels)
            self.mixer = Attention(channels, heads)
            self.scale1 = scale(channels, layer_scale)
            self.norm2 = norm2
            self.scale2 = scale(channels, layer_scale)
        self.drop_path = DropPath()

    def forward(self, x: Tensor, semantics: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H, W, C), (B, M, C) -> the same"""
        if self.local is not None:
            x = x + self.local(x)
        x, semantics = self._mixed(x, semantics)
        if self.mlp is not None:
            x = x + self.drop_path(self.scale2(self.mlp(normed(self.norm2, x))))
        return x, semantics

    def views(self, x: Tensor, semantics: Tensor, *, query: Position) -> list[View]:
        """(1, H, W, C), (1, M, C) -> what the query reads of the map through the semantic tokens.

        The query attends to the tokens, and these have attended to the map: the first view is the product of both
        (section 3.2), the second the attention of the token that the query weighs most. Where nobody reads the pixels,
        what the tokens attend to in the mean.
        """
        y = normed(self.norm1, x if self.local is None else x + self.local(x))
        refined = semantics + self.semantic_scale1(self.semantic_mixer(self.semantic_norm1(semantics)))
        of_tokens = self.semantic_reader.weights(self.semantic_norm2(refined), y.flatten(1, 2)).mean(0)  # (M, N)
        size = (1, *x.shape[1:3])
        if self.mlp is None:
            return [Heat("attention of the semantic tokens, mean", of_tokens.mean(0).reshape(size), query=False)]
        tokens = self.semantic_norm4(self._refined(semantics, y))
        of_query = self.mixer.weights(y[:, query[0], query[1] : query[1] + 1], tokens)[:, 0]  # (heads, M)
        most = int(of_query.mean(0).argmax())
        share = 100 * float(of_query.mean(0)[most])
        first = f"its strongest token, {most + 1} of {len(of_tokens)} ({share:.1f} % of its attention)"
        through = (of_query @ of_tokens).reshape(-1, *x.shape[1:3])
        return [
            Heat("attention of the query, through the semantic tokens", through),
            Heat(f"attention of {first}", of_tokens[most].reshape(size)),
        ]

    def _mixed(self, x: Tensor, semantics: Tensor) -> tuple[Tensor, Tensor]:
        """Refined semantics, and pixels that have read them."""
        y = normed(self.norm1, x)
        semantics = self._refined(semantics, y)
        if self.mlp is None:
            return x, semantics
        return x + self.drop_path(self.scale1(self.mixer(y, self.semantic_norm4(semantics)))), semantics

    def _refined(self, x: Tensor, pixels: Tensor) -> Tensor:
        """(B, M, C), the normed map (B, H, W, C) -> (B, M, C)"""
        x = x + self.drop_path(self.semantic_scale1(self.semantic_mixer(self.semantic_norm1(x))))
        x = x + self.drop_path(self.semantic_scale2(self.semantic_reader(self.semantic_norm2(x), pixels)))
        return x + self.drop_path(self.semantic_scale3(self.semantic_mlp(self.semantic_norm3(x))))


class JointPath(nn.Module):
    """Self-attention over all positions and semantics together, then an MLP of each, under one norm and one scale.

    A port without an MLP has no reader, and leaves as it came.
    """

    two_paths = True

    def __init__(
        self,
        channels: int,
        heads: int,
        norm1: nn.Module,
        norm2: nn.Module,
        mlp: nn.Module | None,
        semantic_hidden: int | None,
        layer_scale: float | None = None,
        local_perception: bool = False,
    ) -> None:
        super().__init__()
        self.local = Depthwise(channels, 3) if local_perception else None
        self.norm1 = norm1
        self.mixer = Attention(channels, heads)
        self.scale1 = scale(channels, layer_scale)
        self.norm2 = norm2
        self.mlp = mlp
        self.semantic_mlp = None if semantic_hidden is None else Mlp(channels, semantic_hidden)
        self.scale2 = scale(channels, layer_scale)
        self.drop_path = DropPath()

    def forward(self, x: Tensor, semantics: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H, W, C), (B, M, C) -> the same"""
        z = self._joined(x, semantics)
        z = z + self.drop_path(self.scale1(self.mixer(normed(self.norm1, z))))
        for_pixels, for_semantics = self._branches(normed(self.norm2, z), x.shape)
        N = x.shape[1] * x.shape[2]
        if for_pixels is not None:
            x = z[:, 0, :N].reshape(x.shape) + for_pixels
        if for_semantics is not None:
            semantics = z[:, 0, N:] + for_semantics
        return x, semantics

    def views(self, x: Tensor, semantics: Tensor, *, query: Position) -> list[View]:
        """(1, H, W, C), (1, M, C) -> softmax(q k' / sqrt(d)) of the query, over the map, with semantics beside it"""
        H, W = x.shape[1:3]
        z = normed(self.norm1, self._joined(x, semantics))[:, 0]
        number = query[0] * W + query[1]
        weights = self.mixer.weights(z[:, number : number + 1], z)[:, 0]
        beside = {"semantic tokens": weights[:, H * W :].sum(1)}
        return [Heat("attention of the query", weights[:, : H * W].reshape(-1, H, W), beside=beside)]

    def _joined(self, x: Tensor, semantics: Tensor) -> Tensor:
        """(B, H, W, C), (B, M, C) -> a map of one row (B, 1, H * W + M, C)"""
        if self.local is not None:
            x = x + self.local(x)
        return torch.cat([x.flatten(1, 2), semantics], dim=1)[:, None]

    def _branches(self, z: Tensor, shape: torch.Size) -> tuple[Tensor | None, Tensor | None]:
        """The normed tokens -> what the MLPs add to the pixels and to the semantics, dropped together."""
        N = shape[1] * shape[2]
        pixels = semantics = None
        if self.mlp is not None:
            pixels = self.scale2(self.mlp(z[:, 0, :N].reshape(shape)))
        if self.semantic_mlp is not None:
            semantics = self.scale2(self.semantic_mlp(z[:, 0, N:]))
        if pixels is None or semantics is None:
            return (
                None if pixels is None else self.drop_path(pixels),
                None if semantics is None else self.drop_path(semantics),
            )
        return self._dropped(pixels, semantics)

    def _dropped(self, pixels: Tensor, semantics: Tensor) -> tuple[Tensor, Tensor]:
        """Both branches of a sample, or neither."""
        if not self.training:
            return pixels, semantics
        both = torch.cat([pixels.flatten(1, 2), semantics], dim=1)
        kept, tokens = self.drop_path(both).split([both.shape[1] - semantics.shape[1], semantics.shape[1]], dim=1)
        return kept.reshape(pixels.shape), tokens
