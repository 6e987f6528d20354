"""SNIP: how much of the loss hangs on the weights as they are.

Lee et al., SNIP: Single-shot network pruning based on connection sensitivity, arXiv:1810.02340, summed over the network
as in Abdelfattah et al., Zero-Cost Proxies for Lightweight NAS, arXiv:2101.08134: the sum over all weights w of
|dL/dw * w|, with L the cross-entropy of one batch.
"""

from __future__ import annotations

from torch import nn
from torch.nn.functional import cross_entropy

from archdsl.search.worker.scores.surroundings import Batch, frozen_eval_mode, logits, saliency


def snip(model: nn.Module, batch: Batch) -> float:
    """The score of a freshly built model; the higher the better."""
    with frozen_eval_mode(model):
        cross_entropy(logits(model, batch.images), batch.labels).backward()
        return sum(float((weight * gradient).abs().sum()) for weight, gradient in saliency(model).values())
