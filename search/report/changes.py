"""How the winner differs from what it came from: its parent, else the nearest seed of the space."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from archdsl.errors import ArchError
from archdsl.files import read_json
from archdsl.inspecting.diff import SpecDiff, diff
from archdsl.json_types import Json, JsonObject
from archdsl.language.document import Spec
from archdsl.load.spaces import seed_spec
from archdsl.load.specs import spec_of
from archdsl.search.report.reading import mapping
from archdsl.search.store.parent import PARENT
from archdsl.spaces.space import Space


@dataclass(frozen=True)
class WinnerChanges:
    """From a parent or a seed to the winner."""

    origin: Literal["parent", "seed"]
    diff: SpecDiff

    def as_json(self) -> JsonObject:
        """The same facts for programs."""
        return {"origin": self.origin, **self.diff.as_json()}


def winner_changes(folder: Path, space: Json, winner: Spec | None) -> WinnerChanges | None:
    """From the run's parent, else from the seed that has the fewest other nodes; None where there is neither."""
    if winner is None:
        return None
    parent = parent_of(folder)
    if parent is not None:
        return WinnerChanges("parent", diff(parent, winner))
    seeds = [diff(seed, winner) for seed in _seeds(space, winner)]
    return WinnerChanges("seed", min(seeds, key=_distance)) if seeds else None


def parent_of(folder: Path) -> Spec | None:
    """The run's parent, in the classes and channels of its data; None where there is none that can be read."""
    facts = mapping(read_json(folder / PARENT))
    try:
        return spec_of(facts["spec"]) if "spec" in facts else None
    except (ArchError, ValidationError, RecursionError):
        return None


def _seeds(space: Json, winner: Spec) -> list[Spec]:
    """Those that this version can read, in the winner's classes and channels."""
    seeds: list[Spec] = []
    try:
        document = Space.model_validate(space)
    except (ValidationError, ValueError, TypeError, RecursionError):
        return []
    read = document.model_copy(update={"channels": winner.channels, "classes": winner.classes})
    for index in range(len(read.seeds)):
        try:
            seeds.append(seed_spec(read, index).model_copy(update={"classes": winner.classes}))
        except (ArchError, ValidationError, ValueError, TypeError):
            continue
    return seeds


def _distance(changes: SpecDiff) -> tuple[int, int, int]:
    """Nodes that differ, their fields, and params."""
    fields = sum(len(node.fields) for node in changes.nodes)
    return len(changes.nodes), fields, abs(changes.after_count.params - changes.before_count.params)
