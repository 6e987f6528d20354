"""A moving average of the weights: steadier than the last step's, and often more accurate."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn


class WeightAverage:
    """The exponential moving average of a model's tensors, by name.

    The early average follows the weights closely: at step t the decay is at most (1 + t) / (10 + t), so that initial
    weights are forgotten in a short training too. Whole numbers, such as a norm's counter, are those of the model.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.step = decay, 0
        self.tensors: dict[str, Tensor] = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    def update(self, model: nn.Module) -> None:
        """Take in the weights as they are after a step."""
        import torch

        self.step += 1
        decay = min(self.decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, tensor in model.state_dict().items():
                mean = self.tensors[name]
                if mean.is_floating_point():
                    mean.lerp_(tensor, 1 - decay)
                else:
                    mean.copy_(tensor)
