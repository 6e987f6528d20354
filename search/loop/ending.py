"""Why a search tries no further network, and why candidates no longer inherit."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.search.policy.evaluate import GivingUpPolicy
from archdsl.search.trial import Trial

EXHAUSTED = "search space exhausted: the remaining networks are predicted to exceed the latency budget"


def all_failed(trials: Sequence[Trial], policy: GivingUpPolicy) -> str | None:
    """That the last trials failed, so many that it is not the networks' fault, with the last reason; None else."""
    last = trials[-policy.most_failures :]
    if len(last) < policy.most_failures or any(trial.outcome != "failed" for trial in last):
        return None
    return f"the last {policy.most_failures} networks failed, the last one because: {last[-1].reason}"


def none_inherits(trials: Sequence[Trial]) -> str:
    """That no network inherits any more, with the reason of the last one that was to."""
    reasons = [trial.training.not_inherited for trial in trials if trial.training and trial.training.not_inherited]
    why = f", the last one since {reasons[-1]}" if reasons else ""
    return f"no network could inherit from the parent so far{why}: all are trained from initial weights from here on"
