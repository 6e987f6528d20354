"""Forms of FCViT's modules for inference on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archdsl.families.common.fused import Make, Size, fold_batch_norm, gelu_, takes_place
from archdsl.families.fcvit.modules import OverlapStem, SpatialAttention, Step


class InPlaceStep(Step):
    """Context, depthwise convolution, bottleneck and GELU in place."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        x = self.fc1(self.conv(self.context(x)))
        if self.fc2 is not None:
            x = self.fc2(gelu_(x))
        return gelu_(x)


class InPlaceSpatialAttention(SpatialAttention):
    """The map times its gate, in the gate's memory."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        gate = torch.sigmoid_(self.fc2(gelu_(self.fc1(self.conv(x)))))
        return gate.mul_(x)


def _stem(module: OverlapStem, _size: Size) -> OverlapStem:
    fold_batch_norm(module, "proj", "norm")
    return module


FORMS: dict[type[nn.Module], Make] = {
    Step: takes_place(InPlaceStep),
    SpatialAttention: takes_place(InPlaceSpatialAttention),
    OverlapStem: _stem,
}
