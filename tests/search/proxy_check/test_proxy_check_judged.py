"""What a proxy check says of scores and short training, and when it refuses to."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from archdsl.search.policy import SHIPPED
from archdsl.search.proxy_check.judged import judged
from archdsl.search.proxy_check.networks import CheckFacts
from tests.support.proxy_checks import DATA, accuracies_of, networks, ranking_of, trained, training


def images(validation: int, held_out: int) -> CheckFacts:
    return CheckFacts(provenance=None, data="fake", validation=validation, held_out=held_out)


def test_scores_that_rank_all_networks_rightly_meet_every_target_but_the_one_above_params() -> None:
    judgement = judged(networks(), DATA, SHIPPED)
    assert accuracies_of(judgement).ceiling.spearman.value == pytest.approx(1)
    found = ranking_of(judgement)
    assert found.scores["ensemble"].correlations.spearman.value == pytest.approx(1)
    assert found.scores["snip"].recall == 0.8  # the upper third of 12 holds 4 of the 5 best
    assert found.running_loss[4].other_seed.spearman.value == pytest.approx(1)
    assert [target.is_met for target in found.targets] == [True, False, True]
    assert found.targets[1].value == 0


def test_what_few_trained_networks_tell_of_the_others_is_told_beside_what_all_do() -> None:
    rng = random.Random(0)
    records = []
    for number in range(30):
        width, score = rng.choice([16, 32, 48, 64]), rng.random()
        accuracy = 0.2 + 0.004 * width + 0.2 * score
        records.append(trained(number, (accuracy, accuracy + 0.001), score, (2.0, 2.0), width))
    found = ranking_of(judged(records, DATA, SHIPPED))
    after = {count: fitted.spearman for count, fitted in found.fitted_after.items()}
    assert list(after) == [8, 16]
    assert 0.5 < after[8].value < after[16].value < found.scores["fitted"].correlations.spearman.value
    assert after[8].low < after[8].value < after[8].high
    assert ranking_of(judged(networks(), DATA, SHIPPED)).fitted_after == {}  # of 12, too few would be left


def test_accuracies_are_those_of_all_images_that_were_not_trained_on() -> None:
    records = [
        replace(
            network, trainings=tuple(training(t.accuracy, 1.0, held_out=t.accuracy - 0.06) for t in network.trainings)
        )
        for network in networks()
    ]
    found = accuracies_of(judged(records, images(1000, 500), SHIPPED))
    assert found.mean == pytest.approx(0.475 - 0.06 / 3, abs=0.004)


def test_a_spread_within_noise_is_refused_in_words() -> None:
    records = [trained(number, (0.80 + 0.002 * number, 0.82), float(number), (1, 1)) for number in range(12)]
    found = judged(records, DATA, SHIPPED)
    assert found.ranking is None
    assert found.refused is not None
    assert "less than 3 times the error of 0.87% that so few images leave: the differences are noise" in found.refused
    assert "train longer (--epochs, --images)" in found.refused


def test_a_ranking_that_another_seed_does_not_repeat_is_refused_in_words() -> None:
    rng = random.Random(1)
    records = [trained(row, (rng.random(), rng.random()), float(row), (1, 1)) for row in range(12)]
    found = judged(records, DATA, SHIPPED)
    assert found.ranking is None
    assert found.refused is not None
    assert found.refused.startswith("another seed ranks the same 12 networks differently, Spearman ")
    assert "the differences are noise" in found.refused


def test_the_errors_are_those_of_the_seeds_and_of_the_images() -> None:
    records = [trained(row, (0.5 + 0.03 * row, 0.5 - 0.03 * row), 1.0, (1, 1)) for row in (1, -1) * 4]
    found = accuracies_of(judged(records, images(50, 50), SHIPPED))
    assert found.error_by_seed == pytest.approx(0.03)  # two accuracies 0.06 apart: 0.03 sqrt 2 each
    assert found.error_by_images == pytest.approx(0.05)


def test_below_eight_networks_nothing_is_said_of_ranks() -> None:
    failed = [replace(record, reason="out of memory") for record in networks()[:5]]
    found = judged([*failed, *networks()[5:]], DATA, SHIPPED)
    assert found.refused == "7 networks were trained; a ranking needs at least 8"
    assert (found.trained, found.failed) == (7, 5)


def test_a_loss_is_judged_by_the_other_seed_alone_too() -> None:
    """Losses that know their own seed's noise rank its accuracies better than the other's."""
    records = [
        replace(network, trainings=tuple(training(t.accuracy, -t.accuracy) for t in network.trainings))
        for network in networks(noise=0.1, seed=3)
    ]
    short = judged(records, images(10**6, 10**6), SHIPPED)
    loss = ranking_of(short).running_loss[4]
    assert loss.quality.correlations.spearman.value > loss.other_seed.spearman.value
    assert loss.other_seed.spearman.value == pytest.approx(accuracies_of(short).ceiling.spearman.value)


def test_a_short_training_of_its_own_is_judged_by_itself_and_beside_the_scores() -> None:
    records = [
        replace(network, short=training(0.1 + 0.01 * number, 2.0, seconds=12.0, fidelity="1.2 epochs"))
        for number, network in enumerate(networks())
    ]
    quality = ranking_of(judged(records, DATA, SHIPPED)).short_training
    assert quality is not None
    assert quality.quality.correlations.spearman.value == pytest.approx(1)
    assert quality.cost == pytest.approx(0.2)
    assert quality.beside_scores.correlations.spearman.value == pytest.approx(1, abs=0.02)
    records[3] = replace(records[3], short=None)
    assert ranking_of(judged(records, DATA, SHIPPED)).short_training is None
