"""Forms for a CPU of what families share: GELU in place, tables gathered once, scales folded."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archdsl.families.common.fused import Make, Size, adopted, fold_scale, gelu_, last_linears, takes_place
from archdsl.families.common.layers import ConvMlp, LayerScale, Mlp, ResidualBlock, ResidualConvMlp, normed
from archdsl.families.common.tables import RelativeBias
from archdsl.families.common.windows import ShiftedWindowAttention


class InPlaceMlp(Mlp):
    """Linear, GELU in place, Linear."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, ..., C) -> (B, ..., C)"""
        return self.fc2(gelu_(self.fc1(x)))


class InPlaceConvMlp(ConvMlp):
    """Linear, depthwise convolution, GELU in place, Linear."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        return self.fc2(gelu_(self.dwconv(self.fc1(x))))


class InPlaceResidualConvMlp(ResidualConvMlp):
    """As `InPlaceConvMlp`, the convolution added to its input."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        x = self.fc1(x)
        return self.fc2(gelu_(self.dwconv(x).add_(x)))


class ScaledBlock(ResidualBlock):
    """A residual block whose layer scales and sums are one pass over the map."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        if self.local is not None:
            x = self.local(x) + x
        if self.mixer is not None and self.norm1 is not None and self.scale1 is not None:
            x = _added(x, self.mixer(normed(self.norm1, x)), self.scale1)
        return _added(x, self.mlp(normed(self.norm2, x)), self.scale2)


def _added(x: Tensor, branch: Tensor, scale: nn.Module) -> Tensor:
    return torch.addcmul(x, branch, scale.gamma) if isinstance(scale, LayerScale) else x + branch


class GatheredBias(RelativeBias):
    """A bias by displacement, gathered once for the map or window that it is built for."""

    gathered: Tensor

    def forward(self, height: int, width: int) -> Tensor:
        """-> (heads, N, N), query by key, N = height * width"""
        if (2 * height - 1, 2 * width - 1) == self.size:
            return self.gathered
        return super().forward(height, width)


class MaskedWindowAttention(ShiftedWindowAttention):
    """Attention inside shifted windows, bias and mask of all windows made once for one size of the map."""

    made_for: Size
    made: Tensor

    def mask(self, H: int, W: int, shift: int, like: Tensor) -> Tensor:
        """-> (windows * heads, s * s, s * s) of `like`'s dtype"""
        return self.made if self.made_for == (H, W) else super().mask(H, W, shift, like)


def block_with_folded_scales(linears: dict[type[nn.Module], tuple[str, ...]]) -> Make:
    """Makes a residual block whose layer scales are folded into mixer and MLP, where these end in Linears."""

    def make(module: ResidualBlock, _size: Size) -> ScaledBlock:
        form = adopted(module, ScaledBlock)
        if form.scale1 is not None:
            form.scale1 = fold_scale(form.scale1, last_linears(form.mixer, linears))
        form.scale2 = fold_scale(form.scale2, last_linears(form.mlp, linears))
        return form

    return make


def _gathered(module: RelativeBias, _size: Size) -> GatheredBias:
    form = adopted(module, GatheredBias)
    made = module((module.size[0] + 1) // 2, (module.size[1] + 1) // 2).detach().contiguous()
    form.register_buffer("gathered", made, persistent=False)
    return form


def _masked(module: ShiftedWindowAttention, size: Size) -> MaskedWindowAttention:
    form = adopted(module, MaskedWindowAttention)
    H, W = (-(-side // module.window) * module.window for side in size[1:3])
    like = module.qkv.weight
    form.made_for = (H, W)
    form.register_buffer("made", module.mask(H, W, module.distance_of_shift(), like).detach(), persistent=False)
    return form


FORMS: dict[type[nn.Module], Make] = {
    Mlp: takes_place(InPlaceMlp),
    ConvMlp: takes_place(InPlaceConvMlp),
    ResidualConvMlp: takes_place(InPlaceResidualConvMlp),
    RelativeBias: _gathered,
    ShiftedWindowAttention: _masked,
}
