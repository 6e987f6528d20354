"""A network's inference form, made and held to the network that it comes from."""

from __future__ import annotations

import copy
import warnings

import torch
from torch import Tensor

from archdsl.compile import Backbone
from archdsl.errors import WrongUse
from archdsl.kernels.support import HALF, has_triton
from archdsl.language.arguments import wrong_model
from archdsl.numbers import plain_text
from archdsl.optimizing.allocator import keep_freed_memory
from archdsl.optimizing.cpu_forms import inputs_of, put_cpu_forms
from archdsl.optimizing.forms import put_forms
from archdsl.optimizing.weight_order import put_fastest_orders

TOLERANCE = {torch.float32: 3e-5, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Of the largest output: what the form may differ by from the network, both in that dtype."""


def optimize(model: Backbone, *, fused: bool | None = None) -> Backbone:
    """The inference form of a network: a copy in eval mode without gradients, equal to rounding.

    It is checked on a sample of noise at the size that the spec is built for, and what depends on shapes is measured
    and made for that size, on a CPU for batch 1. It runs at other sizes too; run it there once before it is captured
    or compiled. Tables are made of the weights as they are: change weights in the network, and make the form again.

    On a CPU this process also keeps freed memory from then on (`allocator`), which speeds up every network in it.

    Args:
        model: a network in eval mode, of float32, float16 or bfloat16.
        fused: whether modules are replaced by forms that call `archdsl.kernels`; by default on CUDA in half precision,
            where Triton is installed. On a CPU other forms are used by default.

    Raises:
        WrongUse: the model trains, or is of float64.

    Warns:
        RuntimeWarning: the form differs from the network here by more than rounding; the plain copy is given instead.
    """
    if not isinstance(model, Backbone):
        raise wrong_model("optimize", model)
    like = next(model.parameters())
    if model.training:
        raise WrongUse("optimize needs a model in evaluation mode; call model.eval() first")
    if like.dtype not in TOLERANCE:
        raise WrongUse(f"optimize takes float32, float16 or bfloat16; this model is of {like.dtype}")
    with torch.inference_mode(False):  # tensors of a model that was made in it cannot be changed
        plain = copy.deepcopy(model).requires_grad_(False)
        form = copy.deepcopy(plain)
        is_changed = _changed(form, like, fused)
    if not is_changed:
        return plain
    error = _difference(plain, form, like)
    if error <= TOLERANCE[like.dtype]:
        form.__dict__["_declared"] = plain  # not as a module of it
        return form
    what = f"the optimized network differs by {plain_text(error, 2)} of the largest output in {like.dtype}"
    warnings.warn(f"{what}; the original network is used", RuntimeWarning, stacklevel=2)
    return plain


def _changed(form: Backbone, like: Tensor, fused: bool | None) -> bool:
    """Put what this device and dtype has in the place of a copy's modules; whether anything was."""
    if fused is None and like.device.type == "cpu":
        keep_freed_memory()
        with torch.no_grad():
            inputs = inputs_of(form, _noise(form, like)[:1])
            return bool(put_cpu_forms(form, inputs) + put_fastest_orders(form, inputs))
    is_fused = like.is_cuda and has_triton() and like.dtype in HALF if fused is None else fused
    return is_fused and bool(put_forms(form))


def _noise(model: Backbone, like: Tensor) -> Tensor:
    """Two images of noise, the same in every process."""
    spec, generator = model.spec, torch.Generator().manual_seed(0)
    return torch.randn(2, spec.channels, *spec.image_size, generator=generator).to(like)


def _difference(plain: Backbone, form: Backbone, like: Tensor) -> float:
    """The largest difference of two networks on noise, as a share of the largest output."""
    x = _noise(plain, like)
    with torch.inference_mode():
        wanted, actual = plain(x), form(x)
    pairs = list(zip(wanted, actual, strict=True)) if isinstance(wanted, list) else [(wanted, actual)]
    return max(float(((b.float() - a.float()).abs().max() / a.float().abs().max()).item()) for a, b in pairs)
