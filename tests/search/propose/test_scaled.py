"""What is over a budget, made smaller until it may keep it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from archdsl.load.spaces import load_space, seeds, space_of
from archdsl.load.specs import spec_of
from archdsl.search.config import Settings
from archdsl.search.network import Choices, Network
from archdsl.search.policy import Policy
from archdsl.search.propose.candidates import candidate
from archdsl.search.propose.proposals import Proposals
from archdsl.search.propose.scaled import Scaled
from archdsl.search.propose.study import Completed, Study
from archdsl.spaces.variables import variables
from tests.support.fake_worker import Machine, latency_of
from tests.support.places import ROOT
from tests.support.searching import SPACE, quicken, search, settings

SHIPPED: dict[str, Any] = json.loads((ROOT / "specs/spaces/lit-dat-64.json").read_bytes())
NUMBERS = ("w", "d1", "d2", "d3", "d4")
SPACE_ = load_space("lit-dat-64")
SEEDS = [choices for _, choices in seeds(SPACE_)]
SCALING = Policy().scaling


def scaled(gate_ms: float | None = None, **limits: Any) -> tuple[Scaled, Settings]:
    asked = Settings(space=SHIPPED, device="cpu", stat="p10", **limits)
    return Scaled(SPACE_, variables(SPACE_.nodes), asked, SCALING, SEEDS, gate_ms=gate_ms), asked


def over(choices: dict[str, Any], excess: float) -> Completed:
    return Completed(choices, (0.0, 1.0), excess, is_trained=False)


def network(choices: dict[str, Any], asked: Settings) -> Network:
    return candidate(asked.space_document, choices.__getitem__, None)


def first(scaler: Scaled, measured: list[Completed], taken: set[str]) -> dict[str, Any] | None:
    return next(scaler.each(measured, taken), None)


def hashes(asked: Settings) -> set[str]:
    """Of the seeds."""
    return {network(choices, asked).network_hash for choices in SEEDS}


def blocks(found: Network) -> int:
    return sum(getattr(node, "depth", 0) for node in found.spec.nodes)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("excess", [0.1, 0.5, 1.0])
def test_a_smaller_network_is_of_the_same_kind_and_small_enough(seed: int, excess: float) -> None:
    scaler, asked = scaled()
    smaller = first(scaler, [over(SEEDS[seed], excess)], hashes(asked))
    assert smaller is not None
    before, after = network(SEEDS[seed], asked), network(smaller, asked)
    assert blocks(after) <= blocks(before) / (1 + excess)
    assert after.counted.macs <= before.counted.macs / (1 + excess)
    assert all(smaller[name] <= SEEDS[seed][name] for name in NUMBERS)
    others = SEEDS[seed].keys() - {*NUMBERS, "stem.patch", "stage3.hilo.alpha"}
    assert {name: smaller[name] for name in others} == {name: SEEDS[seed][name] for name in others}


def test_no_more_is_taken_away_than_must_be() -> None:
    """A fifth too slow costs depth alone, and one block more would be too many."""
    scaler, asked = scaled()
    start = SEEDS[0]
    smaller = first(scaler, [over(start, 0.2)], hashes(asked))
    assert smaller is not None
    assert smaller["w"] == start["w"]
    assert blocks(network(smaller, asked)) + 1 > blocks(network(start, asked)) / 1.2


def test_widths_follow_where_no_depth_can_be_lowered() -> None:
    scaler, asked = scaled()
    start = SEEDS[0] | {"d1": 1, "d2": 1, "d3": 2, "d4": 1}
    smaller = first(scaler, [over(start, 0.5)], {*hashes(asked), network(start, asked).network_hash})
    assert smaller is not None
    assert smaller["w"] < start["w"]


def test_what_is_as_small_as_can_be_has_no_smaller_one() -> None:
    scaler, asked = scaled()
    start = SEEDS[0] | {"stem.patch": 2, "w": 16, "d1": 1, "d2": 1, "d3": 2, "d4": 1}
    assert first(scaler, [over(start, 1.0)], {*hashes(asked), network(start, asked).network_hash}) is None


def test_a_seed_over_a_static_budget_is_made_smaller_before_anything_is_measured() -> None:
    scaler, asked = scaled(params_budget=1.5e6)
    smaller = first(scaler, [], set())
    assert smaller is not None
    assert network(smaller, asked).counted.params <= 1.5e6
    assert first(scaler, [], {network(smaller, asked).network_hash}) != smaller


def test_a_budget_that_no_smaller_network_keeps_gives_none() -> None:
    scaler, _ = scaled(params_budget=1e3)
    assert first(scaler, [], set()) is None


def test_what_keeps_its_budgets_stays_as_it_is() -> None:
    scaler, asked = scaled()
    assert first(scaler, [over(SEEDS[0], -0.1)], hashes(asked)) is None


def test_ranges_without_steps_and_numbers_of_zero_are_left_alone() -> None:
    document = json.loads(json.dumps(SPACE))
    document["nodes"][3]["$one_of"][1]["alpha"] = {"$float": [0.25, 0.75]}
    document["nodes"][1]["out_norm"] = {"$one_of": ["never", "always"]}
    space = space_of(document)
    scaler = Scaled(space, variables(space.nodes), settings(space=document), SCALING, [])
    start = {"w": 64, "d1": 4, "mlp": "plain", "stage2": "hilo", "d2": 4, "stage2.hilo.alpha": 0.6}
    start |= {"stage1.out_norm": "never"}
    smaller = first(scaler, [over(start, 1.0)], set())
    assert smaller is not None
    assert smaller["stage2.hilo.alpha"] == 0.6


def test_a_search_tries_what_fell_first_again_as_a_smaller_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quicken(monkeypatch, tmp_path / "cache")
    budget = 3.0
    search(tmp_path / "run", Machine(), sampler="auto", trials=8, latency_budget_ms=budget)
    records = [json.loads(line) for line in (tmp_path / "run" / "trials.jsonl").read_text().splitlines()]
    trials = [record for record in records if record["rung"] != "train_longer"]
    fell = [number for number, record in enumerate(trials[:-1]) if record["outcome"] == "fell"]
    assert fell
    for number in fell:
        before, after = spec_of(trials[number]["spec"]), spec_of(trials[number + 1]["spec"])
        assert latency_of(after) < latency_of(before)
        assert [node.type for node in after.nodes] == [node.type for node in before.nodes]


def test_what_is_surely_too_slow_is_made_smaller_unmeasured_and_keeps_nothing_else_back() -> None:
    """By an exact table, say: a seed that is refused by it is no reason to leave the next one alone."""
    asked = scaled()[1]
    scaler = Scaled(SPACE_, variables(SPACE_.nodes), asked, SCALING, SEEDS, lambda found: blocks(found) > 8)
    smaller = list(scaler.each([], hashes(asked)))
    assert len(smaller) == len(SEEDS)
    assert all(blocks(network(choices, asked)) <= 8 for choices in smaller)
    kinds = [(choices["stage3"], choices["w"]) for choices in smaller]
    assert kinds == [(choices["stage3"], choices["w"]) for choices in SEEDS]


def test_a_smaller_network_that_was_refused_keeps_the_next_one_from_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is among the trials of the study then, but among nothing that was measured."""
    quicken(monkeypatch, tmp_path / "cache")
    first, second = ({"w": 64, "d1": 4, "mlp": mlp, "stage2": "mlp", "d2": 4} for mlp in ("plain", "dwconv"))
    space = space_of(SPACE)
    study = Study("sqlite://", variables(space.nodes), space.objectives, 0, resume=False, policy=Policy())
    proposals = Proposals(study, space, settings(), Policy(), set(), Counter())
    alone = Scaled(space, variables(space.nodes), settings(), SCALING, [])
    smaller = list(alone.each([over(first, 1.0), over(second, 1.0)], set()))
    study.enqueue(smaller[0])
    study.refused(study.ask()[0], "static")
    monkeypatch.setattr(study, "completed", lambda: [over(first, 1.0), over(second, 1.0)])
    found = proposals.next()
    assert found is not None
    assert found[0].network_hash == candidate(space, smaller[1].__getitem__, settings()).network_hash


@pytest.mark.parametrize("name", ["a" * 9 + "-" * 10 + "b" * 45, "a"])
def test_networks_of_every_space_have_a_name_that_is_allowed(name: str) -> None:
    space = space_of({**SPACE, "name": name})
    start: Choices = {"w": 16, "d1": 1, "mlp": "plain", "stage2": "mlp", "d2": 1}
    found = candidate(space, start.__getitem__, settings())
    assert spec_of(found.spec.to_json()).name == f"{name[:55]}-{found.network_hash[:8]}"


def test_wide_ranges_are_lowered_in_few_steps() -> None:
    document = json.loads(json.dumps(SPACE))
    document["nodes"][0]["width"] = {"$int": [16, 2048], "$name": "w"}
    space = space_of(document)
    looked_at = list[Network]()

    def never(found: Network) -> bool:
        looked_at.append(found)
        return True

    scaler = Scaled(space, variables(space.nodes), settings(space=document), SCALING, [], never)
    start = {"w": 2048, "d1": 4, "mlp": "plain", "stage2": "mlp", "d2": 4}
    assert list(scaler.each([over(start, 1.0)], set())) == []
    assert looked_at[-1].spec.nodes[0].width == 16
    assert len(looked_at) < 60


@pytest.mark.parametrize("seed", range(3))
def test_a_seed_that_was_scaled_and_has_room_is_widened_until_it_has_none(seed: int) -> None:
    """No block is added; once it is too wide, that is the end."""
    scaler, asked = scaled(gate_ms=4.0)
    start, taken = [over(choices, 1.0) for choices in SEEDS], hashes(asked)

    def of_its_kind() -> list[dict[str, Any]]:
        kind = ("stage3", "stem.patch")
        return [found for found in scaler.each(start, taken) if all(found[name] == SEEDS[seed][name] for name in kind)]

    def measured(choices: dict[str, Any], ms: float) -> None:
        start.append(over(choices, ms / 4.0 - 1)._replace(latency_ms=ms))
        taken.add(network(choices, asked).network_hash)

    smaller = of_its_kind()[0]
    measured(smaller, 2.5)
    wider = of_its_kind()[0]
    assert wider["w"] > smaller["w"]
    assert blocks(network(wider, asked)) == blocks(network(smaller, asked))
    measured(wider, 5.0)
    assert of_its_kind() == [] or of_its_kind()[0]["w"] < wider["w"]


def test_a_seed_that_is_near_the_gate_stays_as_it_is() -> None:
    scaler, asked = scaled(gate_ms=4.0)
    start = [over(choices, -0.05)._replace(latency_ms=3.8) for choices in SEEDS]
    assert list(scaler.each(start, hashes(asked))) == []
