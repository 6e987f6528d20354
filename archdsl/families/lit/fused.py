"""Forms of the modules of LIT and LITv2 for inference on a CPU."""

from __future__ import annotations

from torch import Tensor, nn

from archdsl.families.common.fused import Make, Size, adopted, fold_batch_norm, gelu_
from archdsl.families.common.layers import check_holds, normed, to_first, to_last
from archdsl.families.lit.modules import Attention, DeformableMerge, PatchStem

LAST_LINEARS: dict[type[nn.Module], tuple[str, ...]] = {Attention: ("proj",)}


class InPlaceDeformableMerge(DeformableMerge):
    """Deformable token merging with GELU in place; a batch norm is folded into its convolution."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, width, H // 2, W // 2)"""
        check_holds(x.shape[2], x.shape[3], 2, "a patch of 2x2")
        x = to_last(self.conv(self.sample(x, self.offset(x))))
        return to_first(gelu_(normed(self.norm, x)))


def _merge(module: DeformableMerge, _size: Size) -> InPlaceDeformableMerge:
    fold_batch_norm(module, "conv", "norm")
    return adopted(module, InPlaceDeformableMerge)


def _stem(module: PatchStem, _size: Size) -> PatchStem:
    fold_batch_norm(module, "proj", "norm")
    return module


FORMS: dict[type[nn.Module], Make] = {DeformableMerge: _merge, PatchStem: _stem}
