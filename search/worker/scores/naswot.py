"""NASWOT: how differently a network's units answer to different images.

Mellor et al., Neural Architecture Search without Training, arXiv:2006.04647, eq. 2: log |det K|, with K_ij the number
of units on which images i and j switch alike. A unit is a value that goes into a ReLU, GELU or the like, on where it is
positive.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from archdsl.search.worker.scores.surroundings import Batch, frozen_eval_mode, logits

_SWITCHES = (F.gelu, F.relu, torch.relu, F.silu, F.leaky_relu, F.relu6, F.hardswish, F.elu, F.mish)


def naswot(model: nn.Module, batch: Batch) -> float:
    """The score of a freshly built model; the higher the better, minus infinity where two images switch all alike."""
    switches = _Switches(len(batch.images))
    with frozen_eval_mode(model), torch.inference_mode(), switches:
        logits(model, batch.images)
    sign, value = torch.linalg.slogdet(switches.kernel)
    return float(value) if sign > 0 else -math.inf


class _Switches(TorchFunctionMode):
    """Counts on how many units the images of a batch switch alike, wherever a block calls an activation."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.kernel = torch.zeros(size, size, dtype=torch.float64)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Hand everything on; what is switched is looked at first, tables that are no image's apart."""
        if func in _SWITCHES and args[0].shape[0] == len(self.kernel):
            self._count(args[0])
        return func(*args, **(kwargs or {}))

    def _count(self, x: Tensor) -> None:
        on = (x.flatten(1) > 0).float()
        alike = on @ on.t() + (1 - on) @ (1 - on).t()
        self.kernel += alike.double().cpu()
