"""Changes of resolution and width between two stages, and what makes semantic tokens of a map."""

from __future__ import annotations

from torch import Tensor

from archdsl.families.common import layers
from archdsl.families.common.views import Position, View
from archdsl.families.dat import modules as dat
from archdsl.families.dat import spec as dat_spec
from archdsl.families.dualvit import modules as dualvit
from archdsl.families.dualvit import spec as dualvit_spec
from archdsl.families.lit import modules as lit
from archdsl.families.lit import spec as lit_spec
from archdsl.nn.arguments import Norm, chosen, declared, map_of
from archdsl.nn.maps import FirstInside, MapModule
from archdsl.shape import Tokens


class DeformableMerge(FirstInside, lit.DeformableMerge):
    """Deformable token merging (arXiv:2105.14217, section 3.3): deformable convolution 2x2/2, norm, GELU.

    (B, C, H, W) -> (B, width, H // 2, W // 2). Each of the four taps of an output position reads the map bilinearly at
    its place plus a learned offset; what lies outside the map counts 0. An odd map loses its last row or column.
    Offsets start at 0. The published recipes train `offset.weight` at a hundredth of the learning rate. Sampling is
    done in float32 where the map is of half precision.

    Args:
        channels: of the map.
        width: channels of the result, 4 to 8192.
        norm: "batch", "layer" or "group", or an object as in a document (`{"type": "batch", "eps": 1e-6}`).
        channels_last: take and return (B, H, W, C).

    Raises:
        WrongUse: a value is out of its bounds.
        ShapeError: when called, the map does not have these channels, or less than 2 positions a side.
    """

    def __init__(self, channels: int, width: int, norm: Norm = "batch", *, channels_last: bool = False) -> None:
        spec = declared(self, lit_spec.DeformableMerge, map_of(self, channels), width=width, norm=chosen(norm))
        super().__init__(channels, spec.width, layers.norm(spec.norm, spec.width))
        self.take_maps(channels, channels_last)

    def sampling_positions(self, x: Tensor) -> Tensor:
        """Where the taps read, to be drawn: a map as `forward` takes it -> (B, 2 (H // 2), 2 (W // 2), yx).

        In positions of the map: 0 is the centre of the first row or column. Without an offset a tap reads at its own
        row and column.
        """
        self.check_map(x)
        return super().sampling_positions(layers.to_first(x) if self.channels_last else x)

    def views(self, x: Tensor, *, query: Position) -> list[View]:
        """What there is to be drawn for one map, as `forward` takes it."""
        self.check_map(x)
        return super().views(layers.to_first(x) if self.channels_last else x, query=query)


class ConvMerge(FirstInside, dat.ConvMerge):
    """A strided convolution, zero-padded by (kernel - 1) // 2, then a norm (DAT, DAT++, Dual-ViT, FCViT).

    (B, C, H, W) -> (B, width, H', W') with H' = (H + 2p - kernel) // stride + 1, p = (kernel - 1) // 2: at stride 2 a
    kernel of 2 rounds an odd map down, one of 3 up.

    Args:
        channels: of the map.
        width: channels of the result, 4 to 8192.
        kernel: side of the convolution, 1 to 31.
        stride: positions of the map per position of the result, 1 to 16.
        bias: whether the convolution has a bias.
        norm: "layer", "batch" or "group", or an object as in a document.
        channels_last: take and return (B, H, W, C).

    Raises:
        WrongUse: a value is out of its bounds.
        ShapeError: when called, the map does not have these channels, or does not hold the kernel.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        kernel: int = 3,
        stride: int = 2,
        bias: bool = True,
        norm: Norm = "layer",
        *,
        channels_last: bool = False,
    ) -> None:
        spec = declared(
            self,
            dat_spec.ConvMerge,
            map_of(self, channels),
            width=width,
            kernel=kernel,
            stride=stride,
            bias=bias,
            norm=chosen(norm),
        )
        norm_module = layers.norm(spec.norm, spec.width)
        super().__init__(channels, spec.width, spec.kernel, spec.stride, spec.bias, norm_module)
        self.take_maps(channels, channels_last)


class SemanticStem(MapModule, dualvit.SemanticStem):
    """The first semantic tokens of a map, for `DualPathBlock` and `JointPathBlock` (arXiv:2207.04976).

    (B, C, H, W) -> (B, M, C) with M = (H // window) * (W // window). A grid of learned queries attends, with one head,
    to the map averaged by `window`, and is gated with the averages. Rows and columns that fill no window are dropped.
    The queries are resized bicubically where M is not grid^2.

    Args:
        channels: of the map.
        grid: side of the grid of learned queries, 1 to 64.
        window: side of the square that is averaged, in positions, 1 to 128.
        channels_last: take (B, H, W, C).

    Raises:
        WrongUse: a value is out of its bounds.
        ShapeError: when called, the map does not have these channels, or does not hold a window.
    """

    def __init__(self, channels: int, grid: int = 8, window: int = 7, *, channels_last: bool = False) -> None:
        spec = declared(self, dualvit_spec.SemanticStem, map_of(self, channels), grid=grid, window=window)
        super().__init__(channels, spec.grid, spec.window)
        self.take_maps(channels, channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W), or channels last -> (B, M, C)"""
        self.check_map(x)
        return super().forward(layers.to_first(x) if self.channels_last else x)


class SemanticMerge(MapModule, dualvit.SemanticMerge):
    """A Linear and a norm that change the width of semantic tokens (arXiv:2207.04976).

    (B, M, C) -> (B, M, width).

    Args:
        channels: of the tokens.
        width: channels of the result, 4 to 8192.
        norm: "layer", "batch" or "group", or an object as in a document.

    Raises:
        WrongUse: a value is out of its bounds.
        ShapeError: when called, the tokens do not have these channels.
    """

    def __init__(self, channels: int, width: int, norm: Norm = "layer") -> None:
        tokens = Tokens(map_of(self, channels).channels)
        spec = declared(self, dualvit_spec.SemanticMerge, tokens, width=width, norm=chosen(norm))
        super().__init__(channels, spec.width, layers.norm(spec.norm, spec.width))
        self.take_maps(channels, channels_last=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, M, C) -> (B, M, width)"""
        self.check_tokens(x)
        return super().forward(x)
