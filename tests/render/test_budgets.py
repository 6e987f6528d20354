"""The first line of a search: every budget in force, and where it comes from."""

from __future__ import annotations

from typing import Any

import pytest

from archdsl.numbers import plain_text
from archdsl.render.budgets import budget_texts
from archdsl.search.defaults import settings_of
from archdsl.search.request import SettingsRequest
from tests.support.searching import SPACE, settings


def texts(*budgets: dict[str, Any], **asked: Any) -> list[str]:
    from archdsl.spaces.space import Space

    space = Space.model_validate({**SPACE, "budgets": list(budgets)})
    return budget_texts(settings_of(space, SettingsRequest(device="cpu", **asked)))


LATENCY = {"metric": "latency", "max": 5, "unit": "ms"}
PARAMS = {"metric": "params", "max": 8, "unit": "M"}


def test_budgets_of_the_space_and_budgets_that_were_asked_for_are_both_stated() -> None:
    assert texts() == []
    assert texts(LATENCY, PARAMS) == ["p50 <= 5 ms (from the space)", "params <= 8.000 M (from the space)"]
    assert texts(LATENCY, PARAMS, latency_budget_ms=4.0, macs_budget=2e9) == [
        "p50 <= 4 ms (given)",
        "params <= 8.000 M (from the space)",
        "MACs <= 2.000 G (given)",
    ]
    assert texts(PARAMS, params_budget=3e6, memory_budget=2e8) == [
        "params <= 3.000 M (given)",
        "memory <= 200.0 MB (given)",
    ]


def test_a_budget_that_was_asked_for_is_told_as_that_where_the_space_has_the_same() -> None:
    assert texts(LATENCY, PARAMS, latency_budget_ms=5.0, params_budget=8e6) == [
        "p50 <= 5 ms (given)",
        "params <= 8.000 M (given)",
    ]
    rate = {"metric": "throughput", "min": 200, "unit": "/s"}
    assert texts(rate, throughput_budget=200.0) == ["p50 <= 5 ms (200 images/s, given)"]


def test_of_an_older_run_equal_values_are_told_as_the_spaces() -> None:
    plain = settings(
        space={**SPACE, "budgets": [LATENCY, PARAMS]}, latency_budget_ms=5.0, params_budget=3e6, stat="p50"
    )
    assert budget_texts(plain) == ["p50 <= 5 ms (from the space)", "params <= 3.000 M (given)"]


def test_a_share_of_the_parents_latency_is_stated_as_one() -> None:
    asked = settings(latency_budget_ms=None, latency_share=0.6, asked_budgets=("latency",))
    assert budget_texts(asked) == ["p10 <= 60 % of the parent's (given)"]
    measured = asked.model_copy(update={"latency_budget_ms": 1.8})
    assert budget_texts(measured) == ["p10 <= 1.8 ms (60 % of the parent's, given)"]


def test_a_throughput_is_stated_beside_the_latency_that_it_means() -> None:
    budget = {"metric": "throughput", "min": 200, "unit": "/s"}
    assert texts(budget) == ["p50 <= 5 ms (200 images/s, from the space)"]
    assert texts(budget, throughput_budget=100.0) == ["p50 <= 10 ms (100 images/s, given)"]


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (84_400.0, 3, "84,400"),
        (84_449.0, 3, "84,400"),
        (5.0, 6, "5"),
        (4.76, 6, "4.76"),
        (0.00001234, 3, "0.0000123"),
        (8.443e19, 3, "8.44 x 10^19"),
        (1e16, 3, "1 x 10^16"),
        (float("inf"), 3, "inf"),
    ],
)
def test_a_number_is_never_written_with_an_e(value: float, digits: int, text: str) -> None:
    assert plain_text(value, digits) == text
