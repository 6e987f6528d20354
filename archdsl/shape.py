"""Static shapes: what flows along the edges of a graph, known before anything is built.

Ports are named by what they carry: `pixels` a map (B, C, H, W), `semantics` M tokens (B, M, C), `class` one token
(B, 1, C). The batch is never part of a static shape.
"""

from __future__ import annotations

from typing import NamedTuple


class Map(NamedTuple):
    """A map of features, (C, H, W), and how many image pixels one of its positions stands for along a side."""

    channels: int
    height: int
    width: int
    stride: int = 1

    @property
    def positions(self) -> int:
        """H * W."""
        return self.height * self.width

    @property
    def elements(self) -> int:
        """C * H * W."""
        return self.channels * self.height * self.width

    def in_windows(self, side: int) -> Map:
        """The least map of whole windows that holds it."""
        return self._replace(height=-(-self.height // side) * side, width=-(-self.width // side) * side)

    def __str__(self) -> str:
        return f"{self.channels}x{self.height}x{self.width}"


class Tokens(NamedTuple):
    """Tokens without a grid, (M, C): the semantics of a second pathway, or one class token (M = 1)."""

    channels: int
    count: int = 1  # type: ignore[assignment]  # hides tuple.count, which nobody asks of a shape

    @property
    def positions(self) -> int:
        """M."""
        return self.count

    @property
    def elements(self) -> int:
        """M * C."""
        return self.count * self.channels

    def __str__(self) -> str:
        return f"{self.count}x{self.channels}"


Shape = Map | Tokens

PORTS: dict[str, type[Map] | type[Tokens]] = {"pixels": Map, "semantics": Tokens, "class": Tokens}
"""Every port's name and the kind of shape that it carries."""


class Cost(NamedTuple):
    """What a part costs for one image, from closed formulas.

    params: trainable parameters. macs: multiply-adds of convolutions and matrix products; norms, activations, softmax
    and sampling count 0. activations: elements of all tensors that are alive at the worst moment of a forward pass
    without gradients: the part's inputs, which its caller keeps, and what its operations give, until nobody refers to
    it any more. Attention scores are among them as if they were stored, once; parameters, a norm's statistics and what
    an operation needs inside are not. Maps are channels last in memory, which convolutions and norms keep.
    """

    params: int = 0
    macs: int = 0
    activations: int = 0

    def then(self, other: Cost) -> Cost:
        """This part and, after it, another: what is built adds up, what is alive is the larger of the two."""
        return Cost(self.params + other.params, self.macs + other.macs, max(self.activations, other.activations))
