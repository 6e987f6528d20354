"""LIT: Less is More: Pay Less Attention in Vision Transformers (arXiv:2105.14217).

MLP blocks alone in the early stages, attention over the whole map in the late ones, deformable token merging between.
Differs from the published code in that any image size runs: images are padded to whole patches, tables are resized.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from archdsl.errors import ShapeError
from archdsl.families.common.base import Head, Merge, Stem
from archdsl.families.common.block import Block
from archdsl.families.common.fields import (
    BatchNorm,
    Flag,
    Heads,
    Integer,
    Knob,
    LayerNorm,
    MapBias,
    NoBias,
    Norm,
    QkvBias,
    Width,
)
from archdsl.families.common.rules import check_heads, check_norm
from archdsl.families.common.stage import Stage
from archdsl.families.lit import names
from archdsl.shape import Cost, Map, Shape, Tokens

if TYPE_CHECKING:
    from torch import nn

    from archdsl.families.common.tables import RelativeBias as RelativeBiasModule


class PatchStem(Stem):
    """A convolution of side and stride `patch`, then a norm (LIT, LITv2, DAT)."""

    type: Literal["patch_stem"]
    width: Width
    patch: Annotated[Integer, Field(ge=1, le=16, description="side and stride, in pixels"), Knob((2, 4))] = 4
    pad: Annotated[Flag, Field(description="pad an image to whole patches; false cuts it (LIT-Ti)")] = True
    norm: Norm = LayerNorm(type="layer")

    def out(self, image: Map) -> Map:
        """H / patch, rounded up, or down with `pad` false."""
        up = self.patch - 1 if self.pad else 0
        height, width = (image.height + up) // self.patch, (image.width + up) // self.patch
        if not height or not width:
            raise ShapeError(
                "the image must hold a whole patch", f"patch {self.patch}", "pad it or use a larger image", "patch"
            )
        check_norm(self.width, self.norm)
        return Map(self.width, height, width, image.stride * self.patch)

    def padded(self, x: Map) -> Map:
        """Whole patches, unless it cuts the image."""
        return x.in_windows(self.patch) if self.pad else x

    def cost(self, image: Map) -> Cost:
        """One convolution; alive at most: the image with its padded copy and a map, or with two maps."""
        out, taps = self.out(image), image.channels * self.patch**2
        exact = image.height % self.patch == image.width % self.patch == 0
        padded = 0 if exact or not self.pad else out.positions * taps
        alive = image.elements + max(padded + out.elements, 2 * out.elements)
        return Cost(taps * self.width + 3 * self.width, out.positions * taps * self.width, alive)

    def build(self, image: Map) -> nn.Module:
        """(B, channels, H, W) -> (B, width, H / patch, W / patch)"""
        from archdsl.families.common import layers
        from archdsl.families.lit import modules as lit

        return lit.PatchStem(image.channels, self.width, self.patch, self.pad, layers.norm(self.norm, self.width))


class DeformableMerge(Merge):
    """Deformable token merging (section 3.3): a 2x2/2 convolution at learned offsets, norm, GELU (LIT, LITv2)."""

    type: Literal["deformable_merge"]
    width: Width
    norm: Norm = BatchNorm(type="batch")

    published: ClassVar[Mapping[str, str]] = names.DEFORMABLE_MERGE

    def out(self, x: Map) -> Map:
        """H // 2: an odd map loses its last row or column."""
        if x.height < 2 or x.width < 2:
            raise ShapeError("a merge halves the map, which must have 2 positions a side at least")
        check_norm(self.width, self.norm)
        return Map(self.width, x.height // 2, x.width // 2, x.stride * 2)

    def cost(self, x: Map) -> Cost:
        """Two convolutions; sampling counts no MACs.

        Alive at most beside the map: offsets and what becomes a grid of them, offsets, grid and samples, samples and
        what reads them, or two maps.
        """
        out, taps = self.out(x), 4 * x.channels
        offsets, samples = 8 * out.positions, taps * out.positions
        grid = 3 * offsets + 2 * (out.height + out.width)
        alive = max(offsets + grid, 2 * offsets + samples, samples + out.elements, 2 * out.elements)
        params = taps * 8 + 8 + taps * self.width + self.width + 2 * self.width
        return Cost(params, out.positions * taps * (8 + self.width), x.elements + alive)

    def build(self, x: Map) -> nn.Module:
        """(B, C, H, W) -> (B, width, H // 2, W // 2)"""
        from archdsl.families.common import layers
        from archdsl.families.lit import modules as lit

        return lit.DeformableMerge(x.channels, self.width, layers.norm(self.norm, self.width))


class MlpBlock(Block):
    """x + mlp(norm x), without a mixer: LIT's early stages (section 3.2)."""

    type: Literal["mlp"]
    mixes = False


class ClassTokenStage(Stage):
    """A stage that can put a learned class token in front of its map (LIT-Ti's last)."""

    class_token: Annotated[Flag, Field(description="put a learned token in front, and output it as `class`")] = False

    @property
    def gives(self) -> tuple[str, ...]:  # type: ignore[override]  # depends on the document
        """The map and, if there is one, the token."""
        return ("pixels", "class") if self.class_token else ("pixels",)

    def out(self, x: Map, semantics: Tokens | None = None) -> Shape | tuple[Shape, ...]:
        """The map, and the token of the same width; what acts on a map alone cannot take a token along."""
        super().out(x, semantics)
        if not self.class_token:
            return x
        for _, block in self.parts():
            alone = {"mlp": block.mlp.type == "plain", "norm": block.norm.type == "layer"}
            for field, fits in alone.items():
                if not fits:
                    rule = f"a class token goes through {'a plain mlp' if field == 'mlp' else 'layer norms'} only"
                    raise ShapeError(rule, getattr(block, field).type, "set class_token false or change it", field)
            if isinstance(block, Attention) and block.position_bias.type != "none":
                rule, remedy = "a class token has no displacement for a position bias", "set one of them otherwise"
                raise ShapeError(rule, block.position_bias.type, remedy, "position_bias")
            if block.local_perception:
                raise ShapeError("a class token has no place on the map for local_perception", field="local_perception")
        return x, Tokens(x.channels)

    def _tokens(self, read: frozenset[str]) -> int:
        return int(self.class_token and "class" in read)

    def _token_rows(self) -> int:
        return int(self.class_token)


class Attention(Block):
    """Self-attention over the whole map and the class token, optionally with a bias by displacement (section 3.2)."""

    type: Literal["attention"]
    heads: Heads
    position_bias: Annotated[MapBias, Knob(({"type": "none"}, {"type": "relative"}))] = NoBias(type="none")
    qkv_bias: QkvBias = True

    stage = ClassTokenStage
    published: ClassVar[Mapping[str, str]] = names.ATTENTION

    def mixer_out(self, x: Map) -> None:
        """Heads divide the width."""
        check_heads(x.channels, self.heads)

    def mixer_cost(self, x: Map, tokens: int = 0) -> Cost:
        """Scores and their product with v over all pairs; alive: q, k, v, scores, a bias of their size, the result."""
        C, N = x.channels, x.positions + tokens
        params = 4 * C * C + C + self.qkv_bias * 3 * C
        biased = self.position_bias.type == "relative"
        if biased:
            params += (2 * x.height - 1) * (2 * x.width - 1) * self.heads
        scores = self.heads * N * N
        return Cost(params, 4 * N * C * C + 2 * N * N * C, 4 * N * C + (1 + biased) * scores)

    def bias_module(self, x: Map) -> RelativeBiasModule | None:
        """The table for a map of that size, if there is one."""
        from archdsl.families.common import tables

        biased = self.position_bias.type == "relative"
        return tables.RelativeBias(x.height, x.width, self.heads, std=0.02) if biased else None

    def mixer(self, x: Map) -> nn.Module:
        """(B, H, W, C) -> (B, H, W, C)"""
        from archdsl.families.lit import modules as lit

        return lit.Attention(x.channels, self.heads, self.qkv_bias, self.bias_module(x))


class MeanHead(Head):
    """Norm, mean over positions, Linear."""

    type: Literal["mean_head"]
    norm: Norm = LayerNorm(type="layer")

    def out(self, x: Map, classes: int) -> Tokens:
        """`classes` logits."""
        check_norm(x.channels, self.norm)
        return Tokens(classes)

    def cost(self, x: Map, classes: int) -> Cost:
        """The norm and one Linear."""
        C = x.channels
        alive = x.elements + C + max(x.elements, classes)
        return Cost(2 * C + C * classes + classes, C * classes, alive)

    def build(self, x: Map, classes: int) -> nn.Module:
        """(B, C, H, W) -> (B, classes)"""
        from archdsl.families.common import layers
        from archdsl.families.lit import modules as lit

        return lit.MeanHead(x.channels, classes, layers.norm(self.norm, x.channels))


class ClassTokenHead(Head):
    """Norm of the class token, Linear (LIT-Ti)."""

    type: Literal["class_token_head"]
    norm: Norm = LayerNorm(type="layer")

    reads = ("class",)

    def out(self, x: Tokens, classes: int) -> Tokens:
        """`classes` logits."""
        if x.count != 1:
            raise ShapeError("class_token_head reads one token", f"{x.count} tokens", "use class_attention_head")
        if self.norm.type != "layer":
            raise ShapeError("one token has layer norms only", self.norm.type, "use layer", "norm")
        return Tokens(classes)

    def cost(self, x: Tokens, classes: int) -> Cost:
        """The norm and one Linear."""
        C = x.channels
        return Cost(2 * C + C * classes + classes, C * classes, 2 * C + classes)

    def build(self, x: Tokens, classes: int) -> nn.Module:
        """(B, 1, C) -> (B, classes)"""
        from archdsl.families.common import layers
        from archdsl.families.lit import modules as lit

        return lit.ClassTokenHead(x.channels, classes, layers.norm(self.norm, x.channels))
