"""What a training without a network tells and leaves; imported by child processes, so without torch and Optuna."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from archdsl.training.accuracy import packed
from archdsl.weights.facts import ModelFacts

Reply = dict[str, Any]


def fake_named(accuracy: float) -> Reply:
    """A hundred images of two classes, of which the first are named rightly."""
    right = min(max(round(100 * accuracy), 0), 100)
    per_class = {"first": [min(right, 50), 50], "second": [max(right - 50, 0), 50]}
    answers = packed([place < right for place in range(100)])
    return {"answers": answers, "images": 100, "right": right, "per_class": per_class, "accuracy": accuracy}


def write_fake_weights(path: Path, request: Reply, sets: Reply, parent: str | None = None) -> None:
    """A file of ours without a tensor: what is read of it in a search is its header."""
    measured = {
        name: {**found, "standard_error": 0.02}
        for name, found in (("validation", sets["validation"]), ("held_out", sets["held"]))
    }
    provenance = {name: request[name] for name in ("epochs", "images", "batch", "seed", "device")}
    provenance |= {"parent": parent, "recipe": 2, "steps": 7, "autocast": None, "threads": 1, "torch": "2.0"}
    facts = ModelFacts.model_validate(
        {
            "classes": ["first", "second"],
            "accuracy": {**measured, "data": {"name": "fake", "fingerprint": "0" * 16}},
            "provenance": provenance | {"archdsl": "0"},
        }
    )
    header = {"archdsl": "0", "format": "pt", "spec": json.dumps(request["spec"]), **facts.header()}
    text = json.dumps({"__metadata__": header}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(text).to_bytes(8, "little") + text)
