"""What scores and fields are fitted to: the accuracies of the networks trained so far."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from archdsl.search.policy import SHIPPED
from archdsl.search.predict.fields import field_columns, fields
from archdsl.search.predict.ranks import spearman
from archdsl.search.predict.surrogate import NetworkFeatures, forecast_accuracy, predict_accuracy
from archdsl.search.worker.scores.every import NAMES

POLICY = SHIPPED.surrogate


def test_a_network_is_fitted_without_its_own_accuracy() -> None:
    """The closed form is the prediction of a fit to all others."""
    rng = random.Random(2)
    each = [NetworkFeatures({"width": rng.random()}, {name: rng.random() for name in NAMES}) for _ in range(9)]
    truth: list[float | None] = [rng.random() for _ in range(9)]
    losses = [rng.random() for _ in range(9)]
    whole = predict_accuracy(each, truth, losses, policy=POLICY)
    for row in range(9):
        without = [accuracy if other != row else None for other, accuracy in enumerate(truth)]
        assert predict_accuracy(each, without, losses, policy=POLICY)[row] == pytest.approx(whole[row])
    assert predict_accuracy(each, [0.5, 0.6, *[None] * 7], policy=POLICY).tolist() == [0] * 9


def test_what_is_tried_of_one_training_changes_nothing_in_what_is_told_of_the_others() -> None:
    rng = np.random.default_rng(5)
    each = [NetworkFeatures({"width": float(width)}, dict.fromkeys(NAMES, float(width))) for width in range(12)]
    losses = rng.uniform(2, 3, 11)
    truth = [*(0.05 * np.arange(11) - 0.2 * losses).tolist()]
    few, many = (
        forecast_accuracy(each[:11], truth, losses, each[11], np.linspace(0, 9, count), POLICY) for count in (2, 40)
    )
    assert few.of_trainings == pytest.approx(many.of_trainings)
    assert few.of_candidate == pytest.approx(many.of_candidate[[0, -1]])
    alone = forecast_accuracy(each[:11], truth, losses, each[4], losses[4:5], POLICY)
    assert abs(alone.of_candidate[0] - truth[4]) < abs(np.mean(truth) - truth[4])


def test_what_a_network_is_tells_its_accuracy_where_no_score_does() -> None:
    rng = random.Random(4)
    types = [rng.choice(["window", "mlp", "hilo"]) for _ in range(30)]
    each = [
        NetworkFeatures(fields({"nodes": [{"id": "stage1", "type": name}]}), {name: rng.random() for name in NAMES})
        for name in types
    ]
    truth = [{"window": 0.3, "mlp": 0.5, "hilo": 0.4}[name] + rng.gauss(0, 0.01) for name in types]
    assert spearman(predict_accuracy(each, truth, policy=POLICY), truth) > 0.6


def test_the_fields_of_a_network_are_its_numbers_and_its_words_by_place() -> None:
    found = fields({"nodes": [{"id": "s", "type": "sequence", "depth": 3, "blocks": [{"heads": 1, "bias": False}]}]})
    assert found == {
        "s.type is sequence": 1.0,
        "s.depth": math.log(4),
        "s.blocks.0.heads": math.log(2),
        "s.blocks.0.bias is False": 1.0,
    }


def test_a_field_that_a_network_lacks_is_the_mean_of_a_number_and_an_absent_word() -> None:
    each = [
        {"s.depth": 1.0, "s.type is a": 1.0, "always": 2.0},
        {"s.depth": 3.0, "s.type is b": 1.0, "always": 2.0},
        {"s.type is b": 1.0, "always": 2.0},
    ]
    depth, first, second = field_columns(each).T
    assert depth == pytest.approx([-math.sqrt(1.5), math.sqrt(1.5), 0.0])
    assert first == pytest.approx([math.sqrt(2), -math.sqrt(0.5), -math.sqrt(0.5)])
    assert second == pytest.approx(-first)
    assert field_columns(each[:1]).shape == (1, 0)


def test_accuracies_in_no_order_are_not_ranked_by_what_is_fitted_to_them() -> None:
    rng = random.Random(3)
    found = []
    for _ in range(40):
        each = [NetworkFeatures({}, {name: rng.random() for name in NAMES}) for _ in range(24)]
        truth = [rng.random() for _ in range(24)]
        found.append(spearman(predict_accuracy(each, truth, policy=POLICY), truth))
    assert sum(found) / 40 < 0.1
