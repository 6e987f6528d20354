"""Maps and modules in float64 whose values have nothing special, for tests against second implementations."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def noise(*shape: int, seed: int = 7) -> Tensor:
    """Normal noise, the same at every call."""
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def shaken(module: nn.Module) -> Any:
    """The module in eval mode with every parameter away from 0 and 1, and statistics that matter."""
    module = module.double().eval()
    source = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, dtype=parameter.dtype, generator=source))
        for buffer in module.buffers():
            if buffer.is_floating_point():  # a variance stays above 0
                buffer.add_(0.3 * torch.rand(buffer.shape, dtype=buffer.dtype, generator=source))
    return module
