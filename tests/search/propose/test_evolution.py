"""Evolution over the ladder: what is bred of what was measured, and what is never bred."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from archdsl.search.policy import Policy
from archdsl.search.propose.candidates import candidate
from archdsl.search.propose.network_evolution import Evolution
from tests.support.bred import BUDGET_MS, PARAMETERS, SPACE_, bred, completed, evolution
from tests.support.fake_worker import Machine, accuracy_of, latency_of
from tests.support.places import ROOT
from tests.support.searching import quicken, search, settings


def spec_of_choices(choices: dict[str, Any]) -> Any:
    return candidate(SPACE_, choices.__getitem__, settings()).spec


def test_nothing_is_bred_before_there_is_enough_or_of_nothing_that_passed() -> None:
    earlier = completed(Policy().evolution.least)
    assert bred(evolution(), earlier[:-1], set(), 0) is None
    for excess in (-1.0, 0.5):
        untrained = [each._replace(excess=excess, is_trained=False) for each in earlier]
        assert bred(evolution(), untrained, set(), 0) is None
    assert bred(evolution(), earlier, set(), 0) is not None


def test_children_are_new_and_are_not_predicted_to_be_too_slow() -> None:
    earlier, seen = completed(20), set[str]()
    for number in range(8):
        child = bred(evolution(), earlier, seen, number)
        assert child is not None
        found = candidate(SPACE_, child.__getitem__, settings())
        assert found.network_hash not in seen
        assert latency_of(found.spec) <= BUDGET_MS
        seen.add(found.network_hash)


def test_children_keep_the_static_budgets() -> None:
    earlier = completed(30)
    child = bred(evolution(params_budget=60e3), earlier, set(), 0)
    assert child is not None
    assert candidate(SPACE_, child.__getitem__, settings(params_budget=60e3)).counted.params <= 60e3


def test_equal_generators_breed_equal_children() -> None:
    earlier = completed(20)
    first, second = (bred(evolution(), earlier, set(), 5) for _ in range(2))
    assert first == second


def test_another_process_breeds_the_same_children() -> None:
    """Whatever the hashes of strings are there."""
    code = "from tests.support.bred import bred, completed, evolution\n"
    code += "print(bred(evolution(), completed(12), set(), 0))"
    printed = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed.startswith("{")
    assert printed == f"{bred(evolution(), completed(12), set(), 0)}\n"


def test_children_are_better_than_chance() -> None:
    """By accuracy alone, what is bred of twenty is on average above the best quarter of what is drawn."""
    objectives = ["max proxy_accuracy"]
    breeder = evolution(objectives)
    earlier = completed(20, objectives=1)
    children = [bred(breeder, earlier, set(), seed, objectives) for seed in range(10)]
    reached = sorted(accuracy_of(spec_of_choices(child)) for child in children if child is not None)
    drawn = sorted(each.values[0] for each in completed(200, seed=1, objectives=1) if each.is_inside)
    assert sum(reached) / len(reached) > drawn[3 * len(drawn) // 4]


def test_params_and_macs_may_be_objectives() -> None:
    objectives = ["max proxy_accuracy", "min params", "min macs"]
    breeder = evolution(objectives)
    earlier = [
        each._replace(values=(each.values[0], float(found.params), float(found.macs)))
        for each in completed(20)
        if (found := candidate(SPACE_, each.choices.__getitem__, settings()).counted)
    ]
    assert bred(breeder, earlier, set(), 0, objectives) is not None


def test_a_search_by_evolution_ends_with_a_winner_and_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quicken(monkeypatch, tmp_path / "cache")
    asked: dict[str, Any] = {"sampler": "evolution", "trials": 24, "policy": Policy()}
    assert search(tmp_path / "whole", Machine(), **asked).verdict.passed
    search(tmp_path / "parts", Machine(), **{**asked, "trials": 17})
    search(tmp_path / "parts", Machine(), resume=True, **asked)
    tried = [
        [json.loads(line)["hash"] for line in (tmp_path / name / "trials.jsonl").read_text().splitlines()]
        for name in ("whole", "parts")
    ]
    assert [len(set(hashes)) for hashes in tried] == [24, 24]
    assert set(tried[0]) == set(tried[1])


def test_the_likelier_a_child_passes_the_gate_the_more_it_counts() -> None:
    """By accuracy alone larger networks are better here; with a gate those that are tried keep it, mostly."""
    earlier = [
        each._replace(latency_ms=latency_of(spec_of_choices(each.choices))) for each in completed(40, objectives=1)
    ]
    objectives = ["max proxy_accuracy"]
    space = SPACE_.model_copy(update={"objectives": objectives})
    inside = list[int]()
    for gate_ms in (None, BUDGET_MS):
        breeder = Evolution(space, PARAMETERS, settings(), Policy(), lambda found: None, lambda found: False, gate_ms)
        children = [bred(breeder, earlier, set(), seed, objectives) for seed in range(10)]
        inside.append(sum(latency_of(spec_of_choices(child)) <= BUDGET_MS for child in children if child is not None))
    assert inside[0] < inside[1]
    assert inside[1] >= 7
