"""The recorded table behind benchmarks/search_quality: it holds its space, and a search can be replayed from it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from archdsl.load.spaces import load_space
from tests.support.places import ROOT

FOLDER = ROOT / "benchmarks" / "search_quality"
OURS = ("table", "replay", "compare")


@pytest.fixture(scope="module")
def tools() -> Iterator[dict[str, Any]]:
    """The benchmark's modules, which are scripts beside each other."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: importlib.import_module(name) for name in OURS}
    finally:
        sys.path.remove(str(FOLDER))
        for name in OURS:
            sys.modules.pop(name, None)


def row(latency: float, accuracy: float) -> dict[str, Any]:
    return {"readings": [{"p10_ms": latency}], "training": {"accuracy": accuracy}}


def test_the_table_holds_every_network_of_its_space(tools: dict[str, Any]) -> None:
    rows = tools["table"].read()["rows"]
    assert {row["hash"] for row in rows} == set(tools["table"].networks(load_space(FOLDER / "space.json")))
    assert all(row["readings"] and 0 <= row["training"]["accuracy"] <= 1 for row in rows)


def test_hypervolume_is_the_area_inside_the_budget_that_networks_dominate(tools: dict[str, Any]) -> None:
    """Above chance, which is 5 % here."""
    hypervolume = tools["compare"].hypervolume
    assert hypervolume([], 4.0) == hypervolume([row(2.0, 0.05)], 4.0) == 0
    assert hypervolume([row(2.0, 0.55)], 4.0) == pytest.approx(0.25)
    assert hypervolume([row(2.0, 0.55), row(3.0, 0.4), row(5.0, 0.9)], 4.0) == pytest.approx(0.25)
    assert hypervolume([row(2.0, 0.55), row(3.0, 0.95)], 4.0) == pytest.approx(0.25 + 0.1)


@pytest.mark.parametrize("sampler", ["random", "evolution"])
def test_a_replayed_search_evaluates_what_was_asked_and_nothing_twice(
    tools: dict[str, Any], monkeypatch: pytest.MonkeyPatch, sampler: str
) -> None:
    monkeypatch.setattr("archdsl.search.propose.study.open_storage", None)  # put back afterwards
    monkeypatch.setenv("ARCHDSL_CACHE", "")
    table = tools["replay"].read_table()
    found = tools["replay"].replayed(table, 4.0, 14, 0, sampler=sampler)
    assert len({evaluation.hash for evaluation in found}) == len(found) == 14
    seconds = [evaluation.seconds for evaluation in found]
    assert seconds == sorted(seconds)
    inside = [tools["replay"].latency_of(table[evaluation.hash]) <= 4.0 for evaluation in found]
    assert all(is_inside for evaluation, is_inside in zip(found, inside, strict=True) if evaluation.is_trained)


def test_equal_seeds_replay_equal_searches(tools: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archdsl.search.propose.study.open_storage", None)
    monkeypatch.setenv("ARCHDSL_CACHE", "")
    table = tools["replay"].read_table()
    runs = [tools["replay"].replayed(table, 4.0, 12, seed, sampler="random") for seed in (3, 3, 4)]
    hashes = [[evaluation.hash for evaluation in run] for run in runs]
    assert hashes[0] == hashes[1] != hashes[2]
