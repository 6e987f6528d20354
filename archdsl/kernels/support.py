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


@cache
def has_triton() -> bool:
    """Whether Triton is installed; it is not imported to know it."""
    return find_spec("triton") is not None


def is_interpreted() -> bool:
    """Whether kernels run in Triton's interpreter, on a CPU: for tests of their arithmetic, far too slow for else."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def runs_kernels(x: Tensor) -> bool:
    """Whether kernels may run on a tensor: it is on CUDA, or they are interpreted."""
    return has_triton() and (x.is_cuda or is_interpreted())


def for_inference_only(operator: CustomOpDef, name: str) -> None:
    """Give an operator a gradient that refuses: it would otherwise be silently absent.

    Raises, when it is used in training:
        WrongUse: it names the operator and what to use instead.
    """

    def refuse(_context: torch.autograd.function.FunctionCtx, *_gradients: Tensor) -> None:
        raise WrongUse(f"{name} is for inference and has no gradient; train the model that archdsl.build gives")

    operator.register_autograd(refuse)
