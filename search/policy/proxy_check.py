"""What a proxy check looks at, and what it aims at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ProxyCheckPolicy:
    """How the ranks of networks are judged."""

    least: int = 8
    """Networks, before anything is said of ranks."""
    best: int = 5
    """The top of the truth that a score should keep in its upper third."""
    after: tuple[int, ...] = (8, 16, 32)
    """Trained networks from which the others are told, as a search has them one after another."""
    deals: int = 50
    """Choices of these networks, over which a figure has its mean and its interval."""
    spread: float = 3.0
    """Standard errors that accuracies lie apart: below, most neighbours in rank could as well stand the other way."""
    short_share: float = 0.2
    """Of a full training, that a short one of its own takes, with its whole schedule."""
    zero_cost: float = 0.75
    """Aim: Spearman's correlation of the zero-cost rung."""
    more_than_params: float = 0.2
    """Aim: of the zero-cost rung above that of params."""
    short_training: float = 0.80
    """Aim: of what a fifth of a training tells."""
