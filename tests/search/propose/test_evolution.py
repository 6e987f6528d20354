"""Evolution over the ladder: what is bred of what was measured, and what is never bred."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from archdsl.load.spaces import draw, point, space_of
from archdsl.search.propose import network_evolution as bred
from archdsl.search.propose.candidates import candidate
from archdsl.search.propose.network_evolution import LEAST, Evolution
from archdsl.search.propose.study import Completed
from archdsl.spaces.variables import variables
from tests.support.places import ROOT
from tests.support.searching import SPACE, Machine, accuracy_of, latency_of, quicken, search, settings

SPACE_ = space_of(SPACE)
KNOWN = variables(SPACE_.nodes)
BUDGET_MS = 6.0


def evolution(objectives: list[str] | None = None, **limits: Any) -> Evolution:
    space = SPACE_.model_copy(update={"objectives": objectives or SPACE_.objectives})
    return Evolution(
        space,
        KNOWN,
        settings(**limits),
        lambda found: latency_of(found.spec),
        lambda found: latency_of(found.spec) > BUDGET_MS,
    )


def completed(count: int, seed: int = 0, objectives: int = 2) -> list[Completed]:
    """Random networks as the fake machine would measure and train them."""
    generator, found = random.Random(seed), list[Completed]()
    while len(found) < count:
        choices = {name: draw(variable, generator) for name, variable in KNOWN.items()}
        spec = point(SPACE_, choices.__getitem__)[0]
        values = (accuracy_of(spec), latency_of(spec))[:objectives]
        is_inside = latency_of(spec) <= BUDGET_MS
        found.append(Completed(choices, values, latency_of(spec) / BUDGET_MS - 1, is_inside))
    return found


def spec_of_choices(choices: dict[str, Any]) -> Any:
    return candidate(SPACE_, choices.__getitem__, settings()).spec


def test_nothing_is_bred_before_there_is_enough_or_of_nothing_that_passed() -> None:
    known = completed(LEAST)
    assert evolution().child(known[:-1], set(), random.Random(0)) is None
    for excess in (-1.0, 0.5):
        untrained = [one._replace(excess=excess, is_trained=False) for one in known]
        assert evolution().child(untrained, set(), random.Random(0)) is None
    assert evolution().child(known, set(), random.Random(0)) is not None


def test_children_are_new_and_are_not_predicted_to_be_too_slow() -> None:
    known, seen = completed(20), set[str]()
    for number in range(20):
        choices = evolution().child(known, seen, random.Random(number))
        assert choices is not None
        found = candidate(SPACE_, choices.__getitem__, settings())
        assert found.hash not in seen
        assert latency_of(found.spec) <= BUDGET_MS
        seen.add(found.hash)


def test_children_keep_the_static_budgets() -> None:
    known = completed(30)
    choices = evolution(params_budget=60e3).child(known, set(), random.Random(0))
    assert choices is not None
    assert candidate(SPACE_, choices.__getitem__, settings(params_budget=60e3)).counted.params <= 60e3


def test_equal_generators_breed_equal_children() -> None:
    known = completed(20)
    one, two = (evolution().child(known, set(), random.Random(5)) for _ in range(2))
    assert one == two


def test_another_process_breeds_the_same_children() -> None:
    """Whatever the hashes of strings are there."""
    code = (
        "import random\nfrom tests.search.propose.test_evolution import completed, evolution\nknown = completed(12)\n"
    )
    code += "print([evolution().child(known, set(), random.Random(seed)) for seed in range(4)])"
    told = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    ]
    assert told[0].startswith("[{")
    assert told[0] == told[1] == told[2]


def test_children_are_better_than_chance() -> None:
    """By accuracy alone, what is bred of twenty is on average above the best quarter of what is drawn."""
    own = evolution(["max proxy_accuracy"])
    known = completed(20, objectives=1)
    bred = [own.child(known, set(), random.Random(seed)) for seed in range(10)]
    reached = sorted(accuracy_of(spec_of_choices(choices)) for choices in bred if choices is not None)
    drawn = sorted(one.values[0] for one in completed(200, seed=1, objectives=1) if one.is_inside)
    assert sum(reached) / len(reached) > drawn[3 * len(drawn) // 4]


def test_params_and_macs_may_be_objectives() -> None:
    own = evolution(["max proxy_accuracy", "min params", "min macs"])
    known = [
        one._replace(values=(one.values[0], float(found.params), float(found.macs)))
        for one in completed(20)
        if (found := candidate(SPACE_, one.choices.__getitem__, settings()).counted)
    ]
    assert own.child(known, set(), random.Random(0)) is not None


def test_a_search_by_evolution_ends_with_a_winner_and_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quicken(monkeypatch, tmp_path / "cache")
    monkeypatch.setattr(bred, "LEAST", LEAST)
    asked: dict[str, Any] = {"sampler": "evolution", "trials": 24}
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
    known = [one._replace(latency_ms=latency_of(spec_of_choices(one.choices))) for one in completed(40, objectives=1)]
    space = SPACE_.model_copy(update={"objectives": ["max proxy_accuracy"]})
    inside = list[int]()
    for gate_ms in (None, BUDGET_MS):
        own = Evolution(space, KNOWN, settings(), lambda found: None, lambda found: False, gate_ms)
        bred = [own.child(known, set(), random.Random(seed)) for seed in range(10)]
        inside.append(sum(latency_of(spec_of_choices(choices)) <= BUDGET_MS for choices in bred if choices is not None))
    assert inside[0] < inside[1]
    assert inside[1] >= 7
