"""A search for a budget far below what the networks of the parent's width take, over blocks in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from archdsl.load.specs import spec_of
from archdsl.search.store.result import Result
from archdsl.spaces.around import around
from tests.support.fake_weights import fake_named, write_fake_weights
from tests.support.fake_worker import Machine
from tests.support.searching import search

_MLP = {"type": "mlp", "mlp": {"type": "dwconv"}}
SPEC = spec_of(
    {
        "kind": "arch",
        "version": 1,
        "name": "wide",
        "image": 128,
        "classes": 10,
        "nodes": [
            {"id": "stem", "type": "patch_stem", "width": 48},
            {"id": "stage1", "depth": 4, **_MLP},
            {"id": "merge1", "type": "deformable_merge", "width": 96},
            {"id": "stage2", "type": "hilo", "depth": 6, "heads": 6, "window": 2},
            {"id": "head", "type": "mean_head"},
        ],
    }
)
OWN_SPACE = around(SPEC)
FIELDS = {"epochs": 1.0, "images": 10, "batch": 16, "seed": 0, "device": "cpu"}
DEEP: dict[str, Any] = {"leaves_space": True, "latency_budget_ms": 3.0, "trials": 9}
"""A budget between the fastest network of the parent's width, 7.9 ms, and its narrowest copy, 1.7 ms."""


def narrowing(folder: Path, machine: Machine | None = None, **changes: Any) -> Result:
    parent = folder / "parent.safetensors"
    sets = {name: fake_named(0.9) for name in ("validation", "held")}
    write_fake_weights(parent, FIELDS | {"spec": SPEC.to_json()}, sets)
    return search(folder / "run", machine, **{"space": OWN_SPACE, "parent": str(parent), **DEEP, **changes})
