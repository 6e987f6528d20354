"""A latency budget that nearly every network of the space keeps, or hardly any, is told at the end of a search."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from archdsl.json_types import Json
from archdsl.render.budget_share import budget_share_text
from archdsl.render.page.page import html
from archdsl.render.search import summary
from archdsl.search import run as run_search
from archdsl.search.policy.evaluate import BudgetSharePolicy
from archdsl.search.report import read_report
from archdsl.search.store.budget_share import BudgetShare
from archdsl.search.store.result import Result
from tests.support.fake_worker import Machine
from tests.support.reported import edit, terminal
from tests.support.screens import text_of
from tests.support.searching import quicken, search


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


def told(result: Result) -> str:
    return " ".join(text_of(summary(result), 120).split())


@pytest.mark.parametrize(
    ("budget_ms", "trials", "sentence"),
    [
        (
            1000.0,
            18,
            "The latency budget of 1,000 ms excludes almost nothing: 100.0% of 400 networks drawn at random",
        ),
        (
            1000.0,
            10,
            "The latency budget of 1,000 ms excludes almost nothing: 100.0% of 10 measured networks",
        ),
        (0.01, 10, "The latency budget of 0.01 ms excludes almost everything: 0.0% of"),
    ],
)
def test_a_search_tells_it_with_the_budget_that_half_of_the_networks_keep(
    tmp_path: Path, budget_ms: float, trials: int, sentence: str
) -> None:
    result = search(tmp_path / "run", Machine(), trials=trials, latency_budget_ms=budget_ms)
    assert result.budget_share is not None
    half = f"Half of them keep {result.budget_share.half_ms:.2g} ms."
    assert sentence in told(result)
    assert half in told(result)
    written = json.loads((tmp_path / "run" / "verdict.json").read_text())["budget_share"]
    assert written == result.as_json()["budget_share"] == result.budget_share.as_json()
    report = read_report(tmp_path / "run")
    assert sentence in " ".join(terminal(report, 120).split())
    assert sentence in " ".join(html(report).split())
    assert told(run_search(out=tmp_path / "run", resume=True)) == told(result)


def test_nothing_is_said_of_a_budget_that_excludes_some_nor_before_enough_is_measured(tmp_path: Path) -> None:
    some = search(tmp_path / "some", Machine(), trials=18, latency_budget_ms=3.0)
    assert some.budget_share is not None
    assert some.budget_share.networks < BudgetSharePolicy().many
    assert BudgetSharePolicy().clear < some.budget_share.share < 1 - BudgetSharePolicy().clear
    few = search(tmp_path / "few", Machine(), trials=3, latency_budget_ms=1000.0)
    none = search(tmp_path / "none", Machine(), trials=12, latency_budget_ms=None)
    assert few.budget_share is none.budget_share is None
    assert not [result for result in (some, few, none) if "excludes almost" in told(result)]


def test_networks_over_another_budget_are_not_counted(tmp_path: Path) -> None:
    result = search(tmp_path / "run", Machine(), trials=18, latency_budget_ms=1000.0, params_budget=2e5)
    assert result.budget_share is not None
    assert result.budget_share.networks < BudgetSharePolicy().many


def test_a_report_reads_a_run_without_the_share_and_one_that_is_damaged(tmp_path: Path) -> None:
    search(tmp_path / "run", Machine(), trials=10, latency_budget_ms=1000.0)
    assert "excludes almost" in terminal(read_report(tmp_path / "run"))

    def with_share(put: Json) -> str:
        edit(tmp_path / "run", "verdict.json", partial(_put, put))
        return terminal(read_report(tmp_path / "run"))

    assert not [text for text in (with_share({"share": "all"}), with_share(None), with_share(3)) if "excludes" in text]


def _put(share: Json, written: dict[str, Json]) -> dict[str, Json]:
    return {**written, "budget_share": share}


@pytest.mark.parametrize(("share", "words"), [(0.95, "almost nothing"), (0.05, "almost everything"), (0.9, "")])
def test_the_limits_are_95_and_5_percent(share: float, words: str) -> None:
    text = budget_share_text(BudgetShare(share, 400, 390, 0.905, 0.14), 5.0, "onnxruntime")
    assert words in text
    assert bool(text) == bool(words)
    if share == 0.95:
        assert text == (
            "The latency budget of 5 ms excludes almost nothing: 95.0% of 400 networks drawn at random, by their "
            "predicted latency (median error 14%), keep it in onnxruntime. Half of them keep 0.91 ms."
        )
