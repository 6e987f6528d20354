"""A network turned into pipes: what flows from the image to the logits if every weight counts by its size.

Of Tanaka et al., arXiv:2006.05467: weights are replaced by their absolute values, the image by ones, and R is the sum
of the outputs. Networks with attention have more than weights, and that would stop the flow:
norms forget how much came in, and are left out; where to look is no flow, so offsets are 0 and attention is even, as it
is over equal positions anyway.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from archdsl.search.worker.scores.surroundings import logits

OFFSET = "offset"
"""In the name of parameters that decide where to look; they are 0 in the pipes."""
_SOFTMAX = (F.softmax, torch.softmax, Tensor.softmax)


def linearised(model: nn.Module, image: torch.Size) -> nn.Module:
    """A copy of a model in float64 as pipes, with the gradients of R for an image (C, H, W) of ones in it."""
    pipes = copy.deepcopy(model).double().eval()
    with torch.no_grad():
        for name, weight in pipes.named_parameters():
            weight.zero_() if OFFSET in name else weight.abs_()
    for module in pipes.modules():
        if "Norm" in type(module).__name__:
            module.register_forward_hook(_unchanged)
    ones = torch.ones(1, *image, dtype=torch.float64, device=next(pipes.parameters()).device)
    with _Even():
        logits(pipes, ones).sum().backward()
    return pipes


def _unchanged(_module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Tensor | None:
    """What a norm read, in place of what it gives."""
    x = inputs[0]
    return x if isinstance(x, Tensor) and isinstance(output, Tensor) and x.shape == output.shape else None


class _Even(TorchFunctionMode):
    """Attention looks at all positions evenly, but for those that a mask forbids."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Hand everything on, the queries or the scores as zeros."""
        if func is F.scaled_dot_product_attention:
            args = (args[0] * 0, *args[1:])
        elif func in _SOFTMAX:
            args = (torch.where(args[0].isinf(), args[0], 0.0), *args[1:])
        return func(*args, **(kwargs or {}))
