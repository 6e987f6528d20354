"""SynFlow: how much flows through all weights together, from the first layer to the last.

Tanaka et al., Pruning neural networks without any data by iteratively conserving synaptic flow, arXiv:2006.05467:
the sum over all weights w of dR/dw * w, with R the sum of the outputs of the network as pipes (`flow.py`). Its
logarithm, since it grows with the product of all widths.
"""

from __future__ import annotations

import math

from torch import nn

from archdsl.search.worker.scores.surroundings import saliency


def synflow(pipes: nn.Module) -> float:
    """The score of a network as pipes; the higher the better."""
    flow = sum(float((weight * gradient).sum()) for weight, gradient in saliency(pipes).values())
    return math.log(flow) if 0 < flow < math.inf else -math.inf
