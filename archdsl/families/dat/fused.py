"""Forms of DAT's modules for inference on a CPU."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.families.common.fused import Make, Size, adopted, fold_batch_norm, gelu_
from archdsl.families.common.layers import to_first, to_last
from archdsl.families.dat.modules import ConvMerge, DeformableAttention, OffsetNetwork

LAST_LINEARS: dict[type[nn.Module], tuple[str, ...]] = {DeformableAttention: ("proj",)}


class RepeatedOffsetNetwork(OffsetNetwork):
    """The network for the offsets, its convolution's weights repeated once for all groups."""

    weight: Tensor
    bias: Tensor

    def forward(self, q: Tensor) -> Tensor:
        """(B, H, W, groups * channels) -> (B, Hk, Wk, groups, yx)"""
        x, conv = to_first(q), self.conv
        x = to_last(F.conv2d(x, self.weight, self.bias, conv.stride, conv.padding, groups=x.shape[1]))
        return self.fc(gelu_(self.norm(x.unflatten(-1, (-1, conv.out_channels)))))


def repeated_offsets(module: OffsetNetwork, size: Size) -> RepeatedOffsetNetwork:
    """The form of a network for offsets that reads queries of that shape."""
    form = adopted(module, RepeatedOffsetNetwork)
    groups, bias = size[-1] // module.conv.out_channels, module.conv.bias
    assert bias is not None
    form.register_buffer("weight", module.conv.weight.detach().repeat(groups, 1, 1, 1), persistent=False)
    form.register_buffer("bias", bias.detach().repeat(groups), persistent=False)
    return form


def _merge(module: ConvMerge, _size: Size) -> ConvMerge:
    fold_batch_norm(module, "proj", "norm")
    return module


FORMS: dict[type[nn.Module], Make] = {OffsetNetwork: repeated_offsets, ConvMerge: _merge}
