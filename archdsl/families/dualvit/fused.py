"""Forms of Dual-ViT's modules for inference on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archdsl.families.common.fused import LAST_LINEARS as COMMON_LAST_LINEARS
from archdsl.families.common.fused import (
    Make,
    Size,
    adopted,
    fold_batch_norm,
    fold_scale,
    last_linears,
    scale_rows,
    takes_place,
)
from archdsl.families.common.layers import LayerScale, normed, to_first, to_last
from archdsl.families.dualvit.block_modules import Attention, DualPath, JointPath, ReluMlp
from archdsl.families.dualvit.modules import DeepStem

LAST_LINEARS: dict[type[nn.Module], tuple[str, ...]] = {Attention: ("proj",), ReluMlp: ("fc2",)}


class FoldedDeepStem(DeepStem):
    """The stem with its batch norms in its convolutions and ReLU in place."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, width, ceil(ceil(H / 2) / 2), ceil(ceil(W / 2) / 2))"""
        for conv, norm in ((self.conv1, self.norm1), (self.conv2, self.norm2), (self.conv3, self.norm3)):
            x = torch.relu_(norm(conv(x)))
        return to_first(normed(self.norm, to_last(self.proj(x))))


class InPlaceReluMlp(ReluMlp):
    """Linear, ReLU in place, Linear."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, ..., channels) -> (B, ..., width)"""
        return self.fc2(torch.relu_(self.fc1(x)))


def _stem(module: DeepStem, _size: Size) -> FoldedDeepStem:
    for conv, norm in (("conv1", "norm1"), ("conv2", "norm2"), ("conv3", "norm3"), ("proj", "norm")):
        fold_batch_norm(module, conv, norm)
    return adopted(module, FoldedDeepStem)


def _fold_values(scale: nn.Module, linear: nn.Linear) -> nn.Module:
    """Fold a layer scale into the values, the last channels of a Linear: their mean is scaled as they are."""
    if not isinstance(scale, LayerScale):
        return scale
    scale_rows(linear, scale.gamma, linear.out_features - len(scale.gamma))
    return nn.Identity()


def _ends(*modules: nn.Module | None) -> list[list[nn.Linear]]:
    return [last_linears(module, {**COMMON_LAST_LINEARS, **LAST_LINEARS}) for module in modules]


def _dual_path(module: DualPath, _size: Size) -> DualPath:
    form = adopted(module, DualPath)
    (semantic_end,) = _ends(form.semantic_mlp)
    form.semantic_scale1 = _fold_values(form.semantic_scale1, form.semantic_mixer.qkv)
    form.semantic_scale2 = _fold_values(form.semantic_scale2, form.semantic_reader.kv)
    form.semantic_scale3 = fold_scale(form.semantic_scale3, semantic_end)
    if form.mlp is not None:
        mixer_end, mlp_end = _ends(form.mixer, form.mlp)
        form.scale1 = fold_scale(form.scale1, mixer_end)
        form.scale2 = fold_scale(form.scale2, mlp_end)
    return form


def _joint_path(module: JointPath, _size: Size) -> JointPath:
    form = adopted(module, JointPath)
    (mixer_end,) = _ends(form.mixer)
    form.scale1 = fold_scale(form.scale1, mixer_end)
    scale, ends = form.scale2, _ends(*(mlp for mlp in (form.mlp, form.semantic_mlp) if mlp is not None))
    if ends and all(ends):  # one scale for both MLPs
        for end in ends:
            form.scale2 = fold_scale(scale, end)
    return form


FORMS: dict[type[nn.Module], Make] = {
    DeepStem: _stem,
    ReluMlp: takes_place(InPlaceReluMlp),
    DualPath: _dual_path,
    JointPath: _joint_path,
}
