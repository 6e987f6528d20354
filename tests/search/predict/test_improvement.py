"""What evolution predicts: accuracies by a Gaussian process, and how far a network would push the front out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from archdsl.search.predict.gaussian_process import leave_one_out, posterior
from archdsl.search.propose.improvement import improvements

RNG = np.random.default_rng(0)
COSTS, GAINS = np.array([0.2, 0.5, 0.4, 0.9]), np.array([0.1, 0.6, 0.3, 0.5])
LIMIT, NOISE = 1.1, 0.1


def area(costs: np.ndarray, gains: np.ndarray) -> float:
    """What is dominated up to the limit and from the least gain on, by a grid of costs."""
    grid = np.linspace(0, LIMIT, 22001)[:-1]
    best = np.full_like(grid, GAINS.min())
    for cost, gain in zip(costs, gains, strict=True):
        best = np.where(grid >= cost - 1e-9, np.maximum(best, gain), best)
    return float((best - GAINS.min()).sum() * LIMIT / len(grid))


@pytest.mark.parametrize(("cost", "gain"), [(0.1, 0.7), (0.3, 0.4), (0.3, 0.2), (0.6, 0.65), (0.95, 0.5), (0.1, 0.05)])
def test_a_gain_that_is_sure_adds_the_area_that_it_dominates(cost: float, gain: float) -> None:
    (found,) = improvements(COSTS, GAINS, np.array([cost]), np.array([gain]), np.zeros(1), limit=LIMIT)
    assert found == pytest.approx(area(np.append(COSTS, cost), np.append(GAINS, gain)) - area(COSTS, GAINS), abs=2e-4)


def test_an_unsure_gain_adds_what_it_adds_on_average() -> None:
    costs, means, deviations = np.array([0.1, 0.45, 0.8]), np.array([0.2, 0.5, 0.55]), np.array([0.1, 0.3, 0.05])
    found = improvements(COSTS, GAINS, costs, means, deviations, limit=LIMIT)
    for index in range(3):
        drawn = RNG.normal(means[index], deviations[index], 200_000)
        each = improvements(COSTS, GAINS, np.full(drawn.shape, costs[index]), drawn, np.zeros_like(drawn), limit=LIMIT)
        assert found[index] == pytest.approx(each.mean(), abs=4 * each.std() / math.sqrt(len(each)))


def test_what_costs_more_than_the_limit_adds_nothing() -> None:
    found = improvements(COSTS, GAINS, np.array([LIMIT, 2.0]), np.ones(2), np.ones(2), limit=LIMIT)
    assert found.tolist() == [0, 0]


def kernel(distance: float) -> float:
    scaled = math.sqrt(5) * distance
    return (1 + scaled + scaled**2 / 3) * math.exp(-scaled)


def test_the_process_tells_what_its_equations_say() -> None:
    """Two trained networks and one that is asked for, by hand."""
    trained, asked, accuracies = np.array([[0.0], [1.0]]), np.array([[0.25]]), np.array([0.2, 0.6])
    apart, near, far = kernel(1.0), kernel(0.25), kernel(0.75)
    covariance = np.array([[1 + NOISE, apart], [apart, 1 + NOISE]])
    inverse, across, ones = np.linalg.inv(covariance), np.array([near, far]), np.ones(2)
    mean = (ones @ inverse @ accuracies) / (ones @ inverse @ ones)
    centred = accuracies - mean
    found = posterior(trained, accuracies, asked, NOISE)
    assert found.means[0] == pytest.approx(mean + across @ inverse @ centred)
    of_the_mean = (1 - ones @ inverse @ across) ** 2 / (ones @ inverse @ ones)
    variance = centred @ inverse @ centred / (2 - 1) * (1 - across @ inverse @ across + of_the_mean)
    assert found.deviations[0] == pytest.approx(math.sqrt(variance))


def test_each_trained_network_is_told_by_the_others() -> None:
    trained, accuracies = RNG.normal(size=(9, 4)), RNG.uniform(0.2, 0.6, 9)
    found = leave_one_out(trained, accuracies, NOISE)
    for row in range(9):
        others = np.arange(9) != row
        assert found[row] == pytest.approx(
            posterior(trained[others], accuracies[others], trained[[row]], NOISE).means[0]
        )


def test_far_from_everything_the_likeliest_mean_is_told_and_nothing_is_sure() -> None:
    """The mean in which networks that are alike count as fewer."""
    trained, accuracies = RNG.normal(size=(30, 6)), RNG.uniform(0.2, 0.6, 30)
    found = posterior(trained, accuracies, np.vstack([trained[:1], np.full((1, 6), 50.0)]), NOISE)
    apart = np.array([[kernel(float(np.linalg.norm(a - b)) / math.sqrt(6)) for b in trained] for a in trained])
    weights = np.linalg.inv(apart + NOISE * np.eye(30)).sum(0)
    assert found.means[1] == pytest.approx(weights @ accuracies / weights.sum())
    assert found.deviations[0] < found.deviations[1]
    assert abs(found.means[0] - accuracies[0]) < abs(accuracies.mean() - accuracies[0])


def test_equal_accuracies_are_told_for_sure() -> None:
    found = posterior(RNG.normal(size=(5, 3)), np.full(5, 0.4), RNG.normal(size=(2, 3)), NOISE)
    assert found.means == pytest.approx(0.4)
    assert found.deviations == pytest.approx(0.0, abs=1e-6)


def test_how_two_choices_go_together_is_learned() -> None:
    """An accuracy that neither choice decides by itself, which a weight for each could not tell."""
    generator = np.random.default_rng(1)
    rows = generator.choice([-1.0, 1.0], size=(60, 4))
    accuracies = 0.4 + 0.1 * rows[:, 0] * rows[:, 1] + generator.normal(0, 0.01, 60)
    found = posterior(rows[:40], accuracies[:40], rows[40:], NOISE)
    assert np.corrcoef(found.means, accuracies[40:])[0, 1] > 0.8
