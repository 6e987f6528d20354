"""Which networks keep too little of their parent to be trained, by their loss right after inheriting.

The loss costs a second, a measurement or a fine-tuning several. It ranks networks less well than a
short fine-tuning does, so that it only parts the better from the others, among those that are as large or smaller: a
network near its parent in size loses less.
"""

from __future__ import annotations

import numpy as np

from archdsl.search.policy.inherit import InheritancePolicy
from archdsl.search.trial import Trial

INHERITED_LOSS = "inherited_loss"
"""Under which name a trial's scores tell the loss, in nats."""


class InheritedLosses:
    """The losses of the networks that were looked at so far."""

    def __init__(self, policy: InheritancePolicy) -> None:
        self._policy = policy
        self._seen: list[tuple[int, float]] = []
        """MACs and loss."""

    def learn(self, trial: Trial) -> None:
        """One trial; one without such a loss teaches nothing."""
        if (loss := trial.scores.get(INHERITED_LOSS)) is not None:
            self._seen.append((trial.macs, loss))

    def too_high(self, macs: int, loss: float) -> str | None:
        """Why a network goes no further; None where it does, as while few others of its size were looked at."""
        policy = self._policy
        rivals = [other for size, other in self._seen if size <= macs]
        if len(rivals) < policy.enough_scored:
            return None
        limit = float(np.quantile([*rivals, loss], policy.kept_share))
        if loss <= limit:
            return None
        return (
            f"its loss of {loss:.2f} after inheriting is above {limit:.2f}, which the better "
            f"{100 * policy.kept_share:.0f} % of {len(rivals)} networks with no more MACs reach"
        )
