"""The front of a library: the best network for each budget, from the parent to the cheapest network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from archdsl.cost import count
from archdsl.deriving.choice import BudgetTooSmall
from archdsl.deriving.library.covering import DerivedBlock
from archdsl.deriving.library.folder import read_library
from archdsl.deriving.library.front import library_front, macs_front
from archdsl.deriving.library.solutions import Solver
from tests.support.library_runs import keys_of, solved_for, solver_of


@pytest.fixture
def solver(tmp_path: Path) -> Solver:
    return solver_of(tmp_path)


def test_the_front_goes_from_the_parent_to_the_cheapest_network(solver: Solver) -> None:
    front = library_front(solver, "latency")
    points = front.points
    assert (points[0].kl, points[0].exchanged, points[0].cost) == (0.0, (), solver.whole["latency"])
    assert front.parent == solver.whole["latency"]
    with pytest.raises(BudgetTooSmall) as refused:
        solver.solve({"latency": 0.0})
    assert points[-1].cost == pytest.approx(refused.value.least)
    assert len(points) > 3
    assert len({point.network_hash for point in points}) == len(points)
    assert [point.cost for point in points] == sorted((point.cost for point in points), reverse=True)
    assert [point.kl for point in points] == sorted(point.kl for point in points)
    assert all(point.cost <= point.limit * (1 + 1e-6) for point in points)


def test_a_budget_of_ones_own_has_a_point_and_one_that_nothing_keeps_has_none(solver: Solver) -> None:
    limit = 0.6137 * solver.whole["latency"]
    front = library_front(solver, "latency", [limit, 1e-9, 2 * solver.whole["latency"]], steps=1)
    assert [point.limit for point in front.points[:2]] == [solver.whole["latency"], limit]
    assert len(front.points) == 3
    assert front.points[1].kl == solved_for(solver, 0.6137).kl


def test_the_front_by_macs_needs_no_latency(solver: Solver, tmp_path: Path) -> None:
    front = macs_front(read_library(tmp_path / "library"))
    assert (front.metric, front.parent) == ("macs", count(solver.parent).macs)
    assert [p.network_hash for p in front.points] == [p.network_hash for p in library_front(solver, "latency").points]


def test_a_library_of_which_everything_was_left_out_gives_the_parent_alone(solver: Solver, tmp_path: Path) -> None:
    library = read_library(tmp_path / "library")
    left_out = [entry.model_copy(update={"state": "left out", "reason": "NaN"}) for entry in library.index.entries]
    empty = replace(library, index=library.index.model_copy(update={"entries": tuple(left_out)}))
    (point,) = macs_front(empty).points
    assert (point.kl, point.cost, point.exchanged) == (0.0, count(solver.parent).macs, ())


def test_what_an_exchange_saves_is_what_the_network_with_it_alone_takes_less(solver: Solver) -> None:
    derived = solved_for(solver)
    saved = 0.0
    for block in derived.exchanged:
        assert block.key is not None
        others = [each for each in solver.covering.own if each[0] != block.stage or not _covers(block, each[1])]
        alone = solver.named([DerivedBlock(stage, first, 1, None) for stage, first in others] + [block])
        assert solver.saved(block.key)["macs"] == count(solver.parent).macs - count(alone).macs
        saved += solver.saved(block.key)["macs"]
    assert keys_of(derived.exchanged)
    assert saved == count(solver.parent).macs - count(derived.spec).macs


def _covers(block: DerivedBlock, position: int) -> bool:
    return block.first <= position < block.first + block.span
