"""Rank statistics, against values worked out by hand and against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from archdsl.search.predict.ranks import interval, kendall, ranks, recall, spearman


def test_ties_are_at_their_mean_rank() -> None:
    assert ranks([5, 1, 3, 3]).tolist() == [4, 1, 2.5, 2.5]


def test_rank_correlation_has_ties_at_their_mean_rank() -> None:
    assert spearman([1, 2, 3, 4], [10, 20, 30, 40]) == pytest.approx(1.0)
    assert spearman([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1.0)
    assert spearman([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(0.9486832980505138)
    assert spearman([1, 1, 1], [1, 2, 3]) == 0.0


def test_kendall_counts_pairs_in_the_same_order() -> None:
    assert kendall([1, 2, 3], [1, 3, 2]) == pytest.approx(1 / 3)  # two pairs alike, one not
    assert kendall([1, 1, 1], [1, 2, 3]) == 0.0


def test_both_agree_with_scipy_also_on_ties() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.integers(0, 6, 15).astype(float), rng.integers(0, 6, 15).astype(float)
        assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)
        assert kendall(a, b) == pytest.approx(stats.kendalltau(a, b).statistic)


def test_recall_is_the_share_of_the_best_that_are_kept() -> None:
    truth = [0.9, 0.8, 0.1, 0.2]
    assert recall([4, 3, 2, 1], truth, best=2, kept=2) == 1
    assert recall([4, 1, 2, 3], truth, best=2, kept=2) == 0.5
    assert recall([1, 2, 3, 4], truth, best=2, kept=2) == 0


def test_an_interval_holds_its_figure_and_is_wider_for_fewer_rows() -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(size=200)
    b = a + rng.normal(size=200)
    few, many = interval(spearman, a[:20], b[:20]), interval(spearman, a, b)
    for found in (few, many):
        assert found.low < found.value < found.high
    assert few.high - few.low > 1.5 * (many.high - many.low)
    assert interval(spearman, a, b) == many


def test_the_interval_of_one_row_is_its_figure() -> None:
    assert interval(lambda column: column.mean(-1), [0.3]) == (0.3, 0.3, 0.3)


def test_an_interval_is_what_percentiles_of_the_seeded_draws_are() -> None:
    column = np.arange(12.0)
    drawn = column[np.random.default_rng(0).integers(0, 12, (2000, 12))].mean(1)
    low, high = np.quantile(drawn, (0.05, 0.95))
    assert interval(lambda values: values.mean(-1), column) == pytest.approx((5.5, low, high))
