"""Which modules have a form for a CPU, by their class: a subclass that changes the arithmetic has none."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from archdsl.families.common import fused as common
from archdsl.families.common.fused import Make
from archdsl.families.common.layers import ResidualBlock
from archdsl.families.dat import fused as dat
from archdsl.families.datpp import fused as datpp
from archdsl.families.dualvit import fused as dualvit
from archdsl.families.fcvit import fused as fcvit
from archdsl.families.lit import fused as lit
from archdsl.families.litv2 import fused as litv2
from archdsl.optimizing import common_forms

LAST_LINEARS = {
    **common.LAST_LINEARS,
    **dat.LAST_LINEARS,
    **datpp.LAST_LINEARS,
    **dualvit.LAST_LINEARS,
    **lit.LAST_LINEARS,
    **litv2.LAST_LINEARS,
}

FORMS: dict[type[nn.Module], Make] = {
    **common_forms.FORMS,
    ResidualBlock: common_forms.block_with_folded_scales(LAST_LINEARS),
    **dat.FORMS,
    **datpp.FORMS,
    **dualvit.FORMS,
    **fcvit.FORMS,
    **lit.FORMS,
}


def inputs_of(model: nn.Module, x: Tensor) -> dict[nn.Module, Tensor]:
    """What every module reads first when the model runs on x, as meta tensors; modules that do not run are left out."""
    inputs: dict[nn.Module, Tensor] = {}

    def note(module: nn.Module, read: tuple[object, ...]) -> None:
        if read and isinstance(first := read[0], Tensor):
            inputs[module] = torch.empty_strided(first.shape, first.stride(), dtype=first.dtype, device="meta")
        else:
            inputs[module] = torch.empty(0, device="meta")

    hooks = [module.register_forward_pre_hook(note) for module in model.modules()]
    try:
        model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return inputs


def put_cpu_forms(module: nn.Module, inputs: Mapping[nn.Module, Tensor]) -> int:
    """Put forms in the place of a module's submodules, the outermost first; how many.

    Those that did not run stay as they are.
    """
    count = 0
    for name, child in list(module.named_children()):
        form = child
        if type(child) in FORMS and child in inputs:
            form = FORMS[type(child)](child, tuple(inputs[child].shape))
            module._modules[name] = form
            count += 1
        count += put_cpu_forms(form, inputs)
    return count
