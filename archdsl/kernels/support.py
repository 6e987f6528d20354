"""When Triton's kernels may run, and what all operators here share."""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor
from torch._library.custom_ops import CustomOpDef  # torch.library makes it and does not name it

from archdsl.errors import WrongUse

HALF = (torch.float16, torch.bfloat16)
WIDTHS = (16, 32, 64, 128)
"""Channels of a head that the kernels of attention take."""


@cache
def has_triton() -> bool:
    """Whether Triton is installed; it is not imported to know it."""
    return find_spec("triton") is not None


def is_interpreted() -> bool:
    """Whether kernels run in Triton's interpreter, on a CPU: for tests of their arithmetic, far too slow for else."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def runs_kernels(x: Tensor) -> bool:
    """Whether kernels may run on a tensor: it is on CUDA, or they are interpreted; never in float64, as they sum in
    float32.
    """
    return has_triton() and (x.is_cuda or is_interpreted()) and x.dtype != torch.float64


def for_inference_only(operator: CustomOpDef, name: str) -> None:
    """Give an operator a gradient that refuses: it would otherwise be silently absent.

    Raises, when it is used in training:
        WrongUse: it names the operator and what to use instead.
    """

    def refuse(_context: torch.autograd.function.FunctionCtx, *_gradients: Tensor) -> None:
        raise WrongUse(f"{name} is for inference and has no gradient; train the model that archdsl.build gives")

    operator.register_autograd(refuse)


def check_rows(q: Tensor, k: Tensor, v: Tensor, heads: int) -> None:
    """Raises `WrongUse` for queries, keys and values that do not belong together."""
    if q.dim() != 3 or q.shape[2] % heads or any(x.stride(2) != 1 for x in (q, k, v)):
        raise WrongUse(f"q, k and v must be (B, tokens, {heads} heads * d), channels adjacent; got {tuple(q.shape)}")
    if k.shape != v.shape or k.stride() != v.stride() or len(k) != len(q) or k.shape[2] != q.shape[2]:
        raise WrongUse(
            f"k and v must have the same shape, and the batch and channels of q; got {tuple(k.shape)}, {tuple(v.shape)}"
        )
    if len({q.dtype, k.dtype, v.dtype}) > 1:
        raise WrongUse(f"q, k and v must be of one dtype; got {q.dtype}, {k.dtype} and {v.dtype}")
    if k.shape[1] == 0:
        raise WrongUse("attention needs one key or more")
