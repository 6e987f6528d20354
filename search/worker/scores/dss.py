"""DSS: the diversity of what attends, and the saliency of what computes position by position.

Zhou et al., Training-free Transformer Architecture Search, arXiv:2203.12217: over the matrices of attention the
sum of |dR/dW|_nuc * |W|_nuc, nuclear norms, since attention loses rank with depth; over those of MLPs the sum of
dR/dW * W. R as in SynFlow (`flow.py`). Here mixers without attention (the convolutions of FCViT) count as attention
does, a kernel as the matrix of its output channels. Its logarithm, as of
SynFlow.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from archdsl.search.worker.scores.flow import OFFSET
from archdsl.search.worker.scores.surroundings import blocks, saliency


def dss(pipes: nn.Module) -> float:
    """The score of a network as pipes; the higher the better."""
    score = 0.0
    for block in blocks(pipes):
        for name, (weight, gradient) in saliency(block).items():
            if weight.ndim > 1 and OFFSET not in name:
                score += float((weight * gradient).sum()) if "mlp" in name else _nuclear(weight) * _nuclear(gradient)
    return math.log(score) if 0 < score < math.inf else -math.inf


def _nuclear(matrix: Tensor) -> float:
    """Of a matrix, or of a kernel (out, in, h, w) as the matrix (out, in * h * w); scaled, so that none overflows."""
    size = float(matrix.abs().max())
    if not 0 < size < math.inf:
        return size
    return size * float(torch.linalg.matrix_norm((matrix / size).flatten(1).float(), "nuc"))
