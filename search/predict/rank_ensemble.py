"""One order out of several scores: the geometric mean of a network's ranks among all networks seen so far.

As AZ-NAS joins its scores (arXiv:2403.19232): the mean of log(rank / m) over the scores, the lowest of m networks
at rank 1. A network must rank well by all of them: one low rank weighs more than one high rank.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from archdsl.search.predict.ranks import Floats, ranks

MEMBERS = ("params", "snip", "synflow", "naswot")
"""What the search ranks by; chosen before any network of the shipped spaces was trained for it."""
AZ_NAS = ("expressivity", "progressivity", "trainability", "macs")


def ensemble(seen: Sequence[Mapping[str, float]], members: Sequence[str] = MEMBERS) -> Floats:
    """Of each network by its scores, above 0 to 1; the higher the better."""
    if not seen:
        return np.zeros(0)
    logs = [np.log(ranks([scores[name] for scores in seen]) / len(seen)) for name in members]
    combined: Floats = np.exp(np.mean(logs, axis=0))
    return combined
