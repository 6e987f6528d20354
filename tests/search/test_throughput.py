"""A throughput budget is a latency at the batch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

from archdsl.cli.units import rate
from archdsl.errors import SearchError
from archdsl.search.config import Budgets
from archdsl.search.defaults import resumed_settings, settings_of
from archdsl.search.request import SettingsRequest
from archdsl.search.store.folder import RunFolder

CPU = SettingsRequest(device="cpu")


@pytest.mark.parametrize(
    ("said", "ms"),
    [
        ({"throughput_budget": 500.0}, 2.0),
        ({"throughput_budget": 500.0, "batch": 8}, 16.0),
        ({"latency_budget_ms": 10.0}, 10.0),
        ({}, 5.0),
    ],
)
def test_images_a_second_become_milliseconds(said: dict[str, Any], ms: float) -> None:
    """Without either the space's own budget stands, which is 5 ms in this one."""
    assert settings_of("lit-dat-64", replace(CPU, **said)).latency_budget_ms == ms


def test_budgets_are_one_value_and_stand_in_a_run_each_by_its_name() -> None:
    asked = settings_of("lit-dat-64", replace(CPU, throughput_budget=400.0, batch=4, macs_budget=1e9))
    assert asked.budgets == Budgets(latency_ms=10.0, throughput=400.0, params=asked.params_budget, macs=1e9)
    assert "budgets" not in asked.model_dump()
    assert asked.budgets.static == {"params": asked.params_budget, "macs": 1e9}
    assert [asked.budgets.allows_ms(ms) for ms in (9.9, 10.0, 10.1)] == [True, True, False]
    assert Budgets().allows_ms(1e9)


def test_a_throughput_must_be_above_zero() -> None:
    with pytest.raises(SearchError, match="throughput_budget must be above 0 images per second; got 0"):
        settings_of("lit-dat-64", replace(CPU, throughput_budget=0.0))


def test_a_run_is_resumed_with_the_throughput_that_it_was_begun_with(tmp_path: Path) -> None:
    begun = settings_of("lit-dat-64", replace(CPU, throughput_budget=400.0, batch=4, trials=3))
    folder = RunFolder(tmp_path / "run")
    folder.begin(begun, False)
    folder.release()
    same = resumed_settings(folder.settings(), None, SettingsRequest(throughput_budget=400.0))
    other = resumed_settings(folder.settings(), None, SettingsRequest(throughput_budget=200.0))
    assert same.differences(begun) == []
    assert {text.partition(":")[0] for text in other.differences(begun)} == {"--latency-budget", "--throughput-budget"}


def test_a_rate_is_written_with_its_unit() -> None:
    assert [rate("500/s"), rate("2.5K/s"), rate(" 40 /s")] == [500.0, 2500.0, 40.0]


@pytest.mark.parametrize("text", ["500", "/s", "-3/s", "0/s", "fast/s", "5ms"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        rate(text)
