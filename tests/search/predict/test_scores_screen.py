"""The screen by scores: who is too low among networks that cost no more, and when scores are not trusted."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pytest

from archdsl.json_types import JsonObject
from archdsl.search.policy import SHIPPED
from archdsl.search.predict.rank_ensemble import ensemble
from archdsl.search.predict.screen import Screen
from archdsl.search.predict.surrogate import NetworkFeatures, network_features
from archdsl.search.trial import Trial
from archdsl.search.worker.scores.every import NAMES
from tests.support.trials import trial


def scores(value: float, **others: float) -> dict[str, float]:
    return dict.fromkeys(NAMES, value) | others


def trial_of(value: float, accuracy: float | None = None, latency: float = 1.0, **others: float) -> Trial:
    return trial(accuracy=accuracy, latency_ms=latency, scores=scores(value, **others))


def screen_of(records: Iterable[Trial]) -> Screen:
    found = Screen(("max proxy_accuracy", "min latency"), SHIPPED)
    for record in records:
        found.learn(record)
    return found


def test_an_ensemble_is_the_geometric_mean_of_ranks() -> None:
    seen = [{"a": 1.0, "b": 30.0}, {"a": 2.0, "b": 10.0}, {"a": 9.0, "b": 20.0}]
    first, second, third = ensemble(seen, ("a", "b"))
    assert first == pytest.approx(math.sqrt(1 / 3 * 3 / 3))
    assert second == pytest.approx(math.sqrt(2 / 3 * 1 / 3))
    assert third == pytest.approx(math.sqrt(3 / 3 * 2 / 3))
    assert len(ensemble([])) == 0


def test_scores_are_used_only_while_they_rank_well_here() -> None:
    trusted = screen_of(trial_of(float(step), 0.1 + 0.01 * step) for step in range(20))
    distrusted = screen_of(trial_of(float(step), 0.1 + 0.01 * ((7 * step) % 20)) for step in range(20))  # in no order
    assert trusted.correlation == pytest.approx(1.0)
    assert trusted.too_low(trial_of(1.5)) == (
        "zero-cost score in the lowest 20 % of equal-or-cheaper networks (Spearman with accuracy here: 1.00)"
    )
    assert trusted.too_low(trial_of(10.5)) is None
    assert distrusted.correlation is not None
    assert distrusted.correlation < SHIPPED.screen.least_correlation
    assert distrusted.too_low(trial_of(1.5)) is None


def test_scores_that_rank_the_wrong_way_round_here_are_turned_by_fitting_them() -> None:
    """Networks that flow most are the worst: the ensemble cannot know, ten trained networks tell."""
    screen = screen_of(trial_of(float(step), 0.9 - 0.01 * step) for step in range(20))
    assert ensemble([scores(float(step)) for step in range(3)]).tolist() == pytest.approx([1 / 3, 2 / 3, 1])
    assert screen.correlation is not None
    assert screen.correlation > 0.95
    reason = screen.too_low(trial_of(18.5))
    assert reason is not None
    assert reason.startswith("predicted accuracy in the lowest 20 % of equal-or-cheaper networks")
    assert screen.too_low(trial_of(0.5)) is None


def test_the_lowest_are_those_among_networks_that_cost_no_more() -> None:
    screen = screen_of(trial_of(float(step), 0.1 + 0.01 * step, latency=1.0 + step) for step in range(30))
    assert screen.too_low(trial_of(12.5, latency=13.5)) is None  # the best of its latency
    assert screen.too_low(trial_of(0.5, latency=13.5)) is not None
    assert screen.too_low(trial_of(0.5, latency=1.5)) is None  # faster than all but one


def test_where_accuracy_is_no_objective_no_score_is_too_low() -> None:
    screen = Screen(("min latency",), SHIPPED)
    for step in range(20):
        screen.learn(trial_of(float(step), 0.01 * step))
    assert screen.too_low(trial_of(0.5)) is None


def test_one_high_score_does_not_make_up_for_three_low_ones() -> None:
    screen = screen_of(trial_of(float(step), 0.01 * step) for step in range(20))
    assert screen.too_low(trial_of(0.5, params=30.0)) is not None


def test_before_enough_networks_were_trained_no_score_is_too_low() -> None:
    screen = screen_of(trial_of(float(step), float(step) if step < 5 else None) for step in range(30))
    assert screen.correlation is None
    assert screen.too_low(trial_of(-1.0)) is None


def test_scores_of_older_runs_that_lack_a_member_teach_nothing() -> None:
    spec: JsonObject = {"nodes": [{"id": "stem", "type": "patch_stem"}]}
    assert network_features(spec, {"naswot": 1.0}) is None
    assert network_features(spec, scores(1.0)) == NetworkFeatures({"stem.type is patch_stem": 1.0}, scores(1.0))
