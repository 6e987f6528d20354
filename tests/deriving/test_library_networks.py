"""Networks of a library: they keep budgets, are known by their blocks, and have the library's very tensors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from archdsl.compile import build
from archdsl.deriving.choice import BudgetTooSmall
from archdsl.deriving.fitting import RefitSettings
from archdsl.deriving.library.derived import derive
from archdsl.deriving.library.folder import Library
from archdsl.deriving.library.solutions import Solver
from archdsl.deriving.parents import read_parent
from archdsl.language.canonical import canonical_hash
from archdsl.load.specs import override
from archdsl.render.library import library_sheet
from tests.support.built_library import params
from tests.support.libraries import parent_spec
from tests.support.screens import text_of


def test_a_solution_keeps_the_budgets_by_its_own_count(library: Library) -> None:
    solver, whole = Solver(library, params), params(parent_spec())
    limits = {name: 0.8 * value for name, value in whole.items()}
    derived = solver.solve(limits)
    assert derived is not None
    assert derived.exchanged
    assert params(derived.spec) == pytest.approx(derived.costs)
    assert all(derived.costs[name] <= limit for name, limit in limits.items())
    second = solver.solve(limits, unlike=[derived])
    assert second is not None
    assert second.kl >= derived.kl
    assert solver.solve({}).kl == 0  # type: ignore[union-attr]
    with pytest.raises(BudgetTooSmall, match=r"params of at most 100; the least is \d+"):
        solver.solve({"params": 100})


def test_a_network_is_known_by_the_blocks_that_make_it_up_with_the_least_loss(library: Library) -> None:
    solver, whole = Solver(library, params), params(parent_spec())
    for share in (1.0, 0.8, 0.6):
        derived = solver.solve({"params": share * whole["params"]})
        assert derived is not None
        found = solver.blocks_of(derived.spec)
        assert found is not None
        assert canonical_hash(solver.named(found)) == canonical_hash(derived.spec)
        kl = {entry.key: entry.kl for entry in library.usable}
        assert sum(kl[block.key] or 0.0 for block in found if block.key is not None) <= derived.kl + 1e-12
    assert solver.blocks_of(override(parent_spec(), ["stage2.mlp.ratio=3"])) is None
    assert solver.blocks_of(override(parent_spec(), ["merge1.width=32"])) is None
    assert solver.blocks_of(override(parent_spec(), ["stage2.depth=4"])) is None


def test_networks_and_tables_have_the_parents_order_whatever_the_order_of_the_entries(library: Library) -> None:
    backwards = library.index.model_copy(
        update={"entries": library.index.entries[::-1], "keys": library.index.keys[::-1]}
    )
    shuffled = replace(library, index=backwards)
    derived = Solver(shuffled, params).solve({"params": 0.6 * params(parent_spec())["params"]})
    assert derived is not None
    assert [(block.stage, block.first) for block in derived.blocks] == sorted(
        (block.stage, block.first) for block in derived.blocks
    )
    assert {block.stage for block in derived.blocks} == {"stage1", "stage2"}
    rows = [line.split()[0] for line in text_of(library_sheet(shuffled)).splitlines() if line.startswith("stage")]
    assert rows == sorted(rows)


def test_a_derived_network_has_exactly_the_librarys_tensors_and_the_parents(library: Library, parent: Path) -> None:
    source = read_parent(parent)
    derived = Solver(library, params).solve({"params": 0.7 * params(parent_spec())["params"]})
    assert derived is not None
    model = build(derived.spec).eval()
    report = derive(model, source, derived.blocks, library.folder)
    state, theirs = model.state_dict(), source.model.state_dict()
    assert torch.equal(state["stem.proj.weight"], theirs["stem.proj.weight"])
    for stage in ("stage1", "stage2"):
        for place, block in enumerate(each for each in derived.blocks if each.stage == stage):
            prefix, old = f"{stage}.blocks.{place}.", f"{stage}.blocks.{block.first}."
            wanted = {key.removeprefix(old): value for key, value in theirs.items() if key.startswith(old)}
            if block.key is not None:
                wanted = load_file(library.file(block.key))
            mine = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
            assert mine.keys() == wanted.keys()
            assert all(torch.equal(mine[key], wanted[key]) for key in mine)
    assert any(tensor.note == "fitted" for tensor in report.tensors)
    again = build(derived.spec).eval()
    refitted = derive(again, source, derived.blocks, library.folder, torch.randn(64, 3, 32, 32), RefitSettings(2))
    assert {block.outcome for block in refitted.refits} <= {"fitted", "kept", "exact"}
