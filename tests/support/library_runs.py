"""A recorded run as if its winner were made of a library's blocks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from archdsl.cost import count
from archdsl.deriving.library.covering import DerivedBlock
from archdsl.deriving.library.folder import read_library
from archdsl.deriving.library.solutions import Derived, Solver
from archdsl.language.canonical import canonical_hash
from archdsl.search.evaluate.library_facts import library_facts
from tests.support.fake_weights import fake_named, write_fake_weights
from tests.support.libraries import fake_library, parent_spec
from tests.support.reported import RECORDED, edit, edit_records

FIELDS = {"epochs": 1.0, "images": 10, "batch": 16, "seed": 0, "device": "cpu"}
SHARE = 0.6
"""Of the parent's latency, for which the winner was solved."""
WINNER = "2af8e78d1d4f06fc"
"""Of the recorded run."""


def solver_of(folder: Path, has_latency: bool = True) -> Solver:
    """Of a library without tensors in `folder`, made there; a million MACs take a millisecond."""
    spec = parent_spec()
    sets = {name: fake_named(0.9) for name in ("validation", "held")}
    write_fake_weights(folder / "parent.safetensors", FIELDS | {"spec": spec.to_json()}, sets)
    library = read_library(fake_library(folder / "library", folder / "parent.safetensors", spec))

    def costs(network: Any) -> dict[str, float]:
        macs = float(count(network).macs)
        return {"latency": macs / 1e6 if has_latency else 0.0, "macs": macs}

    return Solver(library, costs)


def solved_for(solver: Solver, share: float = SHARE) -> Derived:
    """The network of the least KL within a share of the parent's MACs."""
    derived = solver.solve({"macs": share * solver.whole["macs"]})
    assert derived is not None
    return derived


def library_run(folder: Path, solver: Solver) -> Derived:
    """The recorded run in `folder / "run"`, whose winner is what the library gives for `SHARE`."""
    run = Path(shutil.copytree(RECORDED, folder / "run"))
    derived = solved_for(solver)
    document, network_hash = derived.spec.to_json(), canonical_hash(derived.spec)

    def renamed(record: dict[str, Any]) -> dict[str, Any]:
        if record["hash"] != WINNER:
            return record
        blocks = [["stage2.blocks.0", "<- stage2.blocks.0", "9 copied"]]
        proxy = record["provenance"]["proxy"] | {"inherited_blocks": blocks}
        provenance = record["provenance"] | {"proxy": proxy}
        return record | {"hash": network_hash, "spec": document, "provenance": provenance}

    edit_records(run, renamed)
    edit(run, "verdict.json", lambda verdict: verdict | {"hash": network_hash})
    edit(run, "winner.json", lambda _: document)
    write(run, "parent.json", {"spec": solver.parent.to_json()})
    limit_ms = SHARE * solver.whole["latency"] or None
    facts = library_facts(solver, [limit_ms]).model_dump(mode="json")
    write(run, "library.json", {"library": str(folder / "library"), "networks": [], "facts": facts})
    return derived


def keys_of(blocks: tuple[DerivedBlock, ...]) -> list[str]:
    return [block.key for block in blocks if block.key is not None]


def write(folder: Path, name: str, value: Any) -> None:
    (folder / name).write_text(json.dumps(value), encoding="utf-8")
