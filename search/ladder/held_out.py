"""The winner's accuracy on images that no choice of the search has seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archdsl.search.results.front import Record


def held_out(records: Sequence[Record], known: str | None) -> dict[str, Any] | None:
    """Of the network with this hash, as trained the longest; None where it was not trained, or nothing is held out.

    `accuracy` is the mean over the `seeds` trainings, `least` and `most` the ends, `fidelity` the length of each.
    """
    own = [record for record in records if record["hash"] == known and record["accuracy"] is not None]
    longer = [record for record in own if record["rung"] == "train_longer"]
    for record in [*reversed(longer), *own]:
        proxy = record["provenance"]["proxy"]
        found = [training.get("held_out") for training in proxy.get("trainings", [proxy])]
        if found and None not in found:
            return {
                "accuracy": sum(found) / len(found),
                "least": min(found),
                "most": max(found),
                "seeds": len(found),
                "fidelity": proxy["fidelity"],
            }
    return None
