"""Forms of DAT++'s modules for inference on a CPU."""

from __future__ import annotations

from torch import Tensor, nn

from archdsl.families.common.fused import Make, Size, adopted, fold_batch_norm, gelu_
from archdsl.families.common.layers import normed, to_first, to_last
from archdsl.families.dat.fused import repeated_offsets
from archdsl.families.datpp.modules import ConvStem, DeformablePlusAttention, OffsetNetwork, PooledAttention
from archdsl.families.datpp.neighborhood_modules import Cut, NeighborhoodAttention, cut

LAST_LINEARS: dict[type[nn.Module], tuple[str, ...]] = {
    DeformablePlusAttention: ("proj",),
    NeighborhoodAttention: ("proj",),
    PooledAttention: ("proj",),
}


class GatheredNeighborhoodAttention(NeighborhoodAttention):
    """Neighborhood attention whose bias of all blocks is gathered once for one size of the map."""

    made_for: Size
    made: Tensor

    def bias(self, rows: Cut, columns: Cut, like: Tensor) -> Tensor:
        """-> (1, heads * blocks, queries, keys) in the dtype of `like`; -inf where they are not near"""
        sides = (*rows.displacement.shape, *columns.displacement.shape)
        return self.made if sides == self.made_for else super().bias(rows, columns, like)


class InPlaceConvStem(ConvStem):
    """The stem with GELU in place."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, width, H / 4, W / 4), each half rounded up"""
        x = gelu_(normed(self.norm1, to_last(self.conv1(x))))
        return to_first(normed(self.norm2, to_last(self.conv2(to_first(x)))))


def _gathered(module: NeighborhoodAttention, size: Size) -> GatheredNeighborhoodAttention:
    form = adopted(module, GatheredNeighborhoodAttention)
    like = module.qkv.weight
    rows, columns = (cut(max(side, module.window), module.window, like.device) for side in size[1:3])
    form.made_for = (*rows.displacement.shape, *columns.displacement.shape)
    form.register_buffer("made", module.bias(rows, columns, like).detach().contiguous(), persistent=False)
    return form


def _stem(module: ConvStem, _size: Size) -> InPlaceConvStem:
    fold_batch_norm(module, "conv1", "norm1")
    fold_batch_norm(module, "conv2", "norm2")
    return adopted(module, InPlaceConvStem)


FORMS: dict[type[nn.Module], Make] = {
    OffsetNetwork: repeated_offsets,
    NeighborhoodAttention: _gathered,
    ConvStem: _stem,
}
