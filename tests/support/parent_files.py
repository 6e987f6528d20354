"""The file of a parent for searches with fake workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from archdsl.load.spaces import load_space, point
from tests.support.fake_weights import fake_named, write_fake_weights
from tests.support.searching import SPACE

FIELDS = {"epochs": 1.0, "images": 10, "batch": 16, "seed": 0, "device": "cpu"}


def parent_file(folder: Path) -> str:
    """A trained point of the small space."""
    chosen: dict[str, Any] = {"w": 48, "d1": 4, "mlp": "dwconv", "stage2": "mlp", "d2": 4}
    spec = point(load_space(SPACE), chosen.__getitem__)[0].to_json()
    sets = {name: fake_named(0.9) for name in ("validation", "held")}
    write_fake_weights(folder / "parent.safetensors", FIELDS | {"spec": spec}, sets)
    return str(folder / "parent.safetensors")
