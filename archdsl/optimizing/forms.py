"""Which modules have a fused form, by their class: a subclass that changes the arithmetic has none."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from archdsl.families.common.fused import adopted
from archdsl.families.common.layers import ConvMlp, Depthwise, ResidualConvMlp
from archdsl.families.common.windows import ShiftedWindowAttention, WindowAttention
from archdsl.families.dat.modules import DeformableAttention
from archdsl.families.datpp.modules import DeformablePlusAttention
from archdsl.families.dualvit import block_modules as dualvit
from archdsl.families.lit.modules import Attention
from archdsl.families.litv2.modules import HiLo
from archdsl.optimizing import attentions
from archdsl.optimizing.convolutions import fused_conv_mlp, fused_depthwise

FORMS: dict[type[nn.Module], Callable[..., nn.Module | None]] = {
    Depthwise: fused_depthwise,
    ConvMlp: fused_conv_mlp,
    ResidualConvMlp: fused_conv_mlp,
    WindowAttention: attentions.fused_windows,
    ShiftedWindowAttention: attentions.fused_windows,
    Attention: attentions.fused_attention,
    HiLo: attentions.fused_hilo,
    DeformableAttention: partial(adopted, form=attentions.FusedDeformableAttention),
    DeformablePlusAttention: partial(adopted, form=attentions.FusedDeformablePlusAttention),
    dualvit.Attention: partial(adopted, form=attentions.FusedReader),
    dualvit.SelfAttention: partial(adopted, form=attentions.FusedSelfAttention),
}
"""What makes the fused form of a module; it gives None where this module's sizes have none."""


def put_forms(module: nn.Module) -> int:
    """Put fused forms in the place of a module's submodules, the outermost first; how many."""
    count = 0
    for name, child in list(module.named_children()):
        form = FORMS[type(child)](child) if type(child) in FORMS else None
        if form is None:
            count += put_forms(child)
            continue
        module._modules[name] = form
        count += 1 + put_forms(form)
    return count
