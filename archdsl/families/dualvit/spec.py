"""Dual-ViT: Dual Vision Transformer (arXiv:2207.04976).

Two pathways: pixels, and a few semantic tokens that are made once and never change in number. Differs from the
published code in that the mixing of tokens between images of a training batch is left to the training loop, and that
any part may stand elsewhere: a pathway may begin late or end early, and what nobody reads is not built. Its blocks are
in `dualvit_blocks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from archdsl.errors import ShapeError
from archdsl.families.common.base import Head, Merge, Stem
from archdsl.families.common.fields import Flag, Heads, Integer, Knob, LayerNorm, Mlp, Norm, PlainMlp, Width, Window
from archdsl.families.common.inputs import Inputs
from archdsl.families.common.rules import check_heads, check_norm, check_semantics
from archdsl.families.dualvit import names
from archdsl.shape import Cost, Map, Shape, Tokens

if TYPE_CHECKING:
    from torch import nn


class DeepStem(Stem):
    """Three convolutions at half the resolution, each with batch norm and ReLU, then one to the first map."""

    type: Literal["deep_stem"]
    width: Width
    hidden: Annotated[Integer, Field(ge=1, le=8192, description="channels inside"), Knob((16, 32, 64))]
    norm: Norm = LayerNorm(type="layer")

    published: ClassVar[Mapping[str, str]] = names.DEEP_STEM

    def out(self, image: Map) -> Map:
        """H / 4, rounded up twice."""
        check_norm(self.width, self.norm)
        height, width = -(-image.height // 2), -(-image.width // 2)
        return Map(self.width, -(-height // 2), -(-width // 2), image.stride * 4)

    def cost(self, image: Map) -> Cost:
        """Four convolutions; alive at most beside the image: two inner maps, an inner and an outer, or two outer."""
        out, h = self.out(image), self.hidden
        inner = -(-image.height // 2) * -(-image.width // 2)
        first = 49 * image.channels * h + 18 * h * h
        params = first + 6 * h + 9 * h * self.width + 3 * self.width
        macs = inner * first + out.positions * 9 * h * self.width
        alive = max(2 * inner * h, inner * h + out.elements, 2 * out.elements)
        return Cost(params, macs, image.elements + alive)

    def build(self, image: Map) -> nn.Module:
        """(B, channels, H, W) -> (B, width, H / 4, W / 4)"""
        from archdsl.families.common import layers
        from archdsl.families.dualvit import modules as dualvit

        return dualvit.DeepStem(image.channels, self.hidden, self.width, layers.norm(self.norm, self.width))


class SemanticStem(Merge):
    """The first semantic tokens: learned queries attend to the pooled map, and are gated with it."""

    type: Literal["semantic_stem"]
    grid: Annotated[Integer, Field(ge=1, le=64, description="side of the table of queries"), Knob((4, 8))] = 8
    window: Annotated[Window, Knob((2, 4, 7))] = 7

    gives = ("semantics",)
    published: ClassVar[Mapping[str, str]] = names.SEMANTIC_STEM

    def out(self, x: Map) -> Tokens:
        """One token per whole window; rows and columns that do not fill a window are dropped."""
        count = (x.height // self.window) * (x.width // self.window)
        if not count:
            values = f"window {self.window} on {x.height}x{x.width}"
            raise ShapeError("the map must hold a whole window", values, "use a smaller window", "window")
        return Tokens(x.channels, count)

    def cost(self, x: Map) -> Cost:
        """One head of attention and a gate for all tokens.

        Alive at most beside the map: pooled tokens, queries, keys, values, scores and result, or at the end the pooled
        and the attended tokens, the gate, both gated and their sum.
        """
        C, tokens = x.channels, self.out(x)
        M = tokens.count
        params = self.grid**2 * C + 4 * C + 2 * (C * C + C) + 2 * (2 * C * C + 2 * C)
        macs = 3 * M * C * C + 2 * M * M * C + 3 * C * C
        return Cost(params, macs, x.elements + 5 * tokens.elements + max(M * M, 2 * C))

    def build(self, x: Map) -> nn.Module:
        """(B, C, H, W) -> (B, M, C)"""
        from archdsl.families.dualvit import modules as dualvit

        return dualvit.SemanticStem(x.channels, self.grid, self.window)


class SemanticMerge(Merge):
    """A Linear and a norm, which change the width of the semantic tokens; their number stays."""

    type: Literal["semantic_merge"]
    width: Width
    norm: Norm = LayerNorm(type="layer")

    reads = gives = ("semantics",)
    published: ClassVar[Mapping[str, str]] = names.SEMANTIC_MERGE

    def out(self, x: Tokens) -> Tokens:
        """As many tokens."""
        check_norm(self.width, self.norm)
        return Tokens(self.width, x.count)

    def cost(self, x: Tokens) -> Cost:
        """One Linear and a norm; alive beside the tokens: two of the new ones."""
        C = x.channels
        params = C * self.width + 3 * self.width
        return Cost(params, x.elements * self.width, x.elements + 2 * x.count * self.width)

    def build(self, x: Tokens) -> nn.Module:
        """(B, M, C) -> (B, M, width)"""
        from archdsl.families.common import layers
        from archdsl.families.dualvit import modules as dualvit

        return dualvit.SemanticMerge(x.channels, self.width, layers.norm(self.norm, self.width))


class ClassAttentionHead(Head):
    """A class token, the mean of all tokens, attends to them in one block; then norm and Linear.

    Reads one pathway or both: after a node without semantics, or from "NODE.pixels", the pixels alone. With
    `token_label` a second Linear names every pixel. Evaluation adds half of its largest logits over the pixels;
    training gives the pair (logits (B, classes), logits of pixels (B, H * W, classes)) for a loss on both. The
    published training also mixes regions of two images in front of the semantic stem: that is no part of the network
    here. Where one tensor is expected in training, set `token_label` false; a search trains the logits alone.
    """

    type: Literal["class_attention_head"]
    heads: Heads
    mlp: Mlp = PlainMlp(type="plain", ratio=2)
    norm: Norm = LayerNorm(type="layer", eps=1e-6)
    token_label: Annotated[
        Flag, Field(description="add a second Linear on every pixel; training then returns a pair")
    ] = True

    reads = ("pixels", "semantics")
    optional = frozenset({"semantics"})
    published: ClassVar[Mapping[str, str]] = names.CLASS_ATTENTION_HEAD

    def infer_outputs(self, inputs: Inputs) -> dict[str, Shape]:
        """`classes` logits; semantics are beside the map where they are read."""
        x = inputs.pixels
        check_heads(x.channels, self.heads)
        if inputs.tokens is not None:
            check_semantics(x, inputs.tokens)
        if self.norm.type != "layer":
            raise ShapeError("one token has layer norms only", self.norm.type, "use layer", "norm")
        if self.mlp.type != "plain":
            raise ShapeError("one token has a plain mlp only", self.mlp.type, "use plain", "mlp")
        return {"logits": Tokens(inputs.classes)}

    def infer_cost(self, inputs: Inputs) -> Cost:
        """One block for one token, and the Linears.

        Alive at most beside what is read: the class token's attention, its MLP, the first Linear, or the second one.
        """
        x, K = inputs.pixels, inputs.classes
        C, N = x.channels, x.positions
        beside = inputs.tokens.elements if inputs.tokens is not None else 0
        n, hidden = 1 + N + beside // C, int(self.mlp.ratio * C)
        params = 6 * C + 4 * C * C + 4 * C + 2 * C * hidden + hidden + C + (1 + self.token_label) * (C * K + K)
        macs = 2 * (n + 1) * C * C + 2 * n * C + 2 * C * hidden + (1 + self.token_label * N) * C * K
        attention = 3 * (n + 1) * C + self.heads * n
        labels = N * K + max(K + x.elements, 3 * K) if self.token_label else C + K
        alive = max(attention, 2 * C + max(2 * hidden, hidden + C), C + K, labels)
        return Cost(params, macs, x.elements + beside + alive)

    def build_module(self, inputs: Inputs) -> nn.Module:
        """(B, C, H, W), (B, M, C) if they are read -> (B, classes)"""
        from archdsl.families.dualvit import modules as dualvit

        C = inputs.pixels.channels
        hidden = int(self.mlp.ratio * C)
        return dualvit.ClassAttentionHead(C, self.heads, hidden, self.norm.eps, inputs.classes, self.token_label)
