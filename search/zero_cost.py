"""A score at initialisation, without training: how differently a network's units answer to different images.

NASWOT (Mellor et al., Neural Architecture Search without Training, arXiv:2006.04647, eq. 2): the log-determinant of the
kernel K of a batch, K_ij = units on which images i and j switch alike. Units are the hidden channels of every MLP, on
where their input to GELU is positive.

The score earns its place in each search anew: it is used only while its rank correlation with the proxy accuracies
measured there is high enough, and then only against the lowest scores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn

ENOUGH = 10
"""Trained networks before the score is trusted or not."""
LEAST_CORRELATION = 0.5
LOWEST_SHARE = 0.2
"""Share of the scores seen that is too low to be trained, while the score is trusted."""


def naswot(model: nn.Module, images: Tensor) -> float:
    """The score of a freshly built model on a batch (B, C, H, W), normalised; the higher the better."""
    import torch

    size = len(images)
    kernel = torch.zeros(size, size, dtype=torch.float64)
    hooks = []

    def add(_module: Any, _inputs: Any, output: Tensor) -> None:
        on = (output.detach().reshape(size, -1) > 0).float()
        alike = on @ on.t() + (1 - on) @ (1 - on).t()
        kernel.add_(alike.double().cpu() / on.shape[1])

    for name, module in model.named_modules():
        if name.endswith("mlp.fc1"):
            hooks.append(module.register_forward_hook(add))
    try:
        with torch.inference_mode():
            model.eval()(images)
    finally:
        for hook in hooks:
            hook.remove()
    if not hooks:
        return -math.inf
    sign, value = torch.linalg.slogdet(kernel / len(hooks))
    return float(value) if sign > 0 else -math.inf


class Screen:
    """Whether a score is too low to be trained, by what this search has learned."""

    def __init__(self) -> None:
        self._scores: list[float] = []
        self._trained: list[tuple[float, float]] = []

    def saw(self, score: float) -> None:
        """The score of a network that came as far as being scored."""
        self._scores.append(score)

    def learn(self, score: float, accuracy: float) -> None:
        """The score and the proxy accuracy of a trained network."""
        self._trained.append((score, accuracy))

    @property
    def correlation(self) -> float | None:
        """Spearman's rank correlation of score and proxy accuracy here; None before there is enough of both."""
        if len(self._trained) < ENOUGH:
            return None
        return spearman([score for score, _ in self._trained], [accuracy for _, accuracy in self._trained])

    def too_low(self, score: float) -> bool:
        """Whether a score is among the lowest seen here, while the score is trusted."""
        found = self.correlation
        if found is None or found < LEAST_CORRELATION:
            return False
        return score < float(np.quantile(self._scores, LOWEST_SHARE))


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Spearman's rank correlation, ties at their mean rank; 0 where one side is constant."""
    x, y = _ranks(a), _ranks(b)
    if x.std() == 0 or y.std() == 0:
        return 0.0
    return float(np.corrcoef(x, y)[0, 1])


def _ranks(values: Sequence[float]) -> Any:
    array = np.asarray(values)
    return np.array([(array < value).sum() + (array == value).sum() / 2 for value in array])
