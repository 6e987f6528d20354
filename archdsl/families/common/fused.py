"""What the inference forms of all families share: how a form takes a module's place, and what is folded into weights.

A form is of a subclass, and holds the same submodules and parameters. Folding changes weights in place, so it is done
on a copy of the network alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from archdsl.families.common.layers import ConvMlp, LayerScale, Mlp, ResidualConvMlp
from archdsl.families.common.windows import ShiftedWindowAttention, WindowAttention

Form = TypeVar("Form", bound=nn.Module)
Size = tuple[int, ...]
Make = Callable[..., nn.Module]
"""Makes the form of a module, given the shape of its first input at the size that the network is built for."""

LAST_LINEARS: dict[type[nn.Module], tuple[str, ...]] = {
    Mlp: ("fc2",),
    ConvMlp: ("fc2",),
    ResidualConvMlp: ("fc2",),
    WindowAttention: ("proj",),
    ShiftedWindowAttention: ("proj",),
}
"""By class, the Linears that give its channels in turn: layer scales are folded into them."""

gelu_ = torch.ops.aten.gelu_.default
"""GELU in place: a fresh map of millions of values costs as much as the arithmetic."""


def adopted(module: nn.Module, form: type[Form]) -> Form:
    """A module of that class with everything that `module` holds; the class's constructor is not called."""
    taken = form.__new__(form)
    taken.__dict__ = dict(module.__dict__)
    for name in ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"):
        taken.__dict__[name] = type(module.__dict__[name])(module.__dict__[name])
    return taken


def takes_place(form: type[Form]) -> Make:
    """Makes a form of that class, which needs nothing but what the module holds."""

    def make(module: nn.Module, _size: Size) -> Form:
        return adopted(module, form)

    return make


class Float32Tables:
    """Tensors by name that follow a module to its device and keep their dtype, whatever the module is cast to."""

    def __init__(self, **tensors: Tensor) -> None:
        self._tensors = tensors

    def on(self, like: Tensor) -> list[Tensor]:
        """All of them on the device of `like`, in the order in which they were given."""
        for name, tensor in self._tensors.items():
            if tensor.device != like.device:
                self._tensors[name] = tensor.to(like.device)
        return list(self._tensors.values())


def scale_rows(linear: nn.Linear, factor: Tensor, first: int = 0) -> None:
    """Multiply what a Linear gives, from its channel `first` on, by a factor a channel."""
    rows = slice(first, first + len(factor))
    with torch.no_grad():
        linear.weight[rows] *= factor[:, None]
        if linear.bias is not None:
            linear.bias[rows] *= factor


def fold_scale(scale: nn.Module, linears: Sequence[nn.Linear]) -> nn.Module:
    """Fold a layer scale into the Linears that end its branch, which give its channels in turn; what stands for it.

    Without such Linears the scale stays.
    """
    if not isinstance(scale, LayerScale) or not linears:
        return scale
    for linear, factor in zip(linears, scale.gamma.split([each.out_features for each in linears]), strict=True):
        scale_rows(linear, factor)
    return nn.Identity()


def fold_batch_norm(module: nn.Module, convolution: str, norm: str) -> None:
    """Fold a batch norm into the convolution or Linear before it, both of them attributes of a module."""
    before, after = getattr(module, convolution), getattr(module, norm)
    if type(after) is not nn.BatchNorm2d or after.running_mean is None or after.running_var is None:
        return
    with torch.no_grad():
        factor = torch.rsqrt(after.running_var + after.eps)
        factor = factor if after.weight is None else factor * after.weight
        bias = -after.running_mean if before.bias is None else before.bias - after.running_mean
        bias = bias * factor if after.bias is None else bias * factor + after.bias
        before.weight *= factor.view(-1, *[1] * (before.weight.dim() - 1))
    before.bias = nn.Parameter(bias, requires_grad=False)
    setattr(module, norm, nn.Identity())


def last_linears(module: nn.Module | None, names: Mapping[type[nn.Module], Sequence[str]]) -> list[nn.Linear]:
    """The Linears that a module ends in, by its class; none where the class is not among `names`."""
    if module is None:
        return []
    found = [getattr(module, name, None) for name in names.get(type(module), ())]
    return [each for each in found if isinstance(each, nn.Linear)]
