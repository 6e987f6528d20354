"""The winner's accuracy: of the weights that are handed over, and on images that no choice of the search has seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archdsl.search.evaluate.kept_weights import KeptWeights
from archdsl.search.store.front import Record


def accuracy_facts(records: Sequence[Record], network: str, kept: KeptWeights, chance: float) -> dict[str, Any]:
    """What `verdict.json` says of the accuracy of these very weights, and of the other seeds of their network.

    `chance` is the share of the largest class, which an accuracy must exceed by two standard errors.
    """
    seeds = held_out(records, network)
    own = {
        "accuracy": kept.held_out_accuracy,
        "error": kept.held_out_error,
        "images": kept.held_out_images,
        "fidelity": kept.fidelity,
    }
    spread = {"seeds": 1, "mean": kept.held_out_accuracy, "least": None, "most": None}
    if seeds is not None:
        spread = {name: seeds[name] for name in ("seeds", "least", "most")} | {"mean": seeds["accuracy"]}
    return {
        "validation": {
            "accuracy": kept.validation_accuracy,
            "error": kept.validation_error,
            "images": kept.validation_images,
            "fidelity": kept.fidelity,
            **kept.trained_seeds._asdict(),
        },
        "held_out": None if kept.held_out_accuracy is None else own | spread,
        "chance": chance,
        "seed": kept.seed,
        "per_class": {
            name: None if classes is None else {label: list(pair) for label, pair in classes.items()}
            for name, classes in kept.per_class.items()
        },
        "balanced_accuracy": kept.balanced_accuracy,
    }


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
