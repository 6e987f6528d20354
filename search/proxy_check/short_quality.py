"""How well a part of a training ranks the accuracy of the whole: its running loss, or a short training of its own."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from archdsl.search.policy import Policy
from archdsl.search.predict.ranks import Floats, Interval, interval
from archdsl.search.predict.surrogate import predict_accuracy
from archdsl.search.proxy_check.result import RunningLossQuality, ScoreQuality, ShortTrainingQuality, Target
from archdsl.search.proxy_check.score_quality import (
    Correlation,
    Earlier,
    Networks,
    both_correlations,
    judge,
    judge_mean,
    mean_of,
    network_features,
)
from archdsl.training.running_loss import MARKS

SHORT = (2, 4, 10)
"""At which twentieths of the training its running loss is judged; what is written of a check has a loss for each."""
TARGET_MARK = 4


def running_loss_quality(
    mark: int, networks: Networks, truth: Floats, before: Earlier, policy: Policy
) -> RunningLossQuality:
    """The running loss of one training as a score: of the mean accuracy, and of another seed's alone.

    A loss shares its seed with a part of the mean; against the other seed it shares nothing.
    """
    losses = np.array([[-training.training.running[mark - 1] for training in record.trainings] for record in networks])
    seeds = truth.shape[1]

    def other(figure: Correlation) -> Interval:
        def crossed(*both: Floats) -> Floats:
            return mean_of([figure(both[seeds + a], both[b]) for a, b in permutations(range(seeds), 2)])

        return interval(crossed, *truth.T, *losses.T)

    return RunningLossQuality(
        quality=judge_mean(list(losses.T), truth.mean(1), policy.proxy_check.best),
        other_seed=both_correlations(other),
        beside_scores=_beside(mark, networks, truth, before, policy),
        cost=mark / MARKS,
    )


def _beside(mark: int, networks: Networks, truth: Floats, before: Earlier, policy: Policy) -> ScoreQuality:
    """The running loss of one training beside the scores, fitted to the accuracies of the same seed.

    As a search has it (`predict/early_stopping.py`); each network is judged by all others.
    """
    features, place, predicted = network_features([*networks, *before]), SHORT.index(mark), []
    for seed in range(truth.shape[1]):
        losses = [record.trainings[seed].training.running[mark - 1] for record in networks]
        losses += [row.running[seed % len(row.running)][place] for row in before]
        earlier = [row.accuracies[seed % len(row.accuracies)] for row in before]
        accuracies = [*truth[:, seed].tolist(), *earlier]
        predicted.append(predict_accuracy(features, accuracies, losses, policy=policy.surrogate)[: len(networks)])
    return judge_mean(predicted, truth.mean(1), policy.proxy_check.best)


def short_training_quality(networks: Networks, mean: Floats, policy: Policy, training_s: float) -> ShortTrainingQuality:
    """The accuracy of a short training with a schedule and a seed of its own; and that beside the scores, fitted.

    `training_s` are the seconds of a whole training.
    """
    trainings = [record.short for record in networks if record.short is not None]
    accuracies = np.array([training.accuracy for training in trainings])
    seconds = [training.training.seconds or 0.0 for training in trainings]
    predicted = predict_accuracy(network_features(networks), mean.tolist(), accuracies, policy=policy.surrogate)
    return ShortTrainingQuality(
        quality=judge(accuracies, mean, policy.proxy_check.best),
        beside_scores=judge(predicted, mean, policy.proxy_check.best),
        cost=float(np.median(seconds)) / training_s,
        fidelity=trainings[0].training.fidelity,
    )


def short_target(
    target: float, running_loss: RunningLossQuality, short_training: ShortTrainingQuality | None
) -> Target:
    """The target of short training, of the way to read one that ranks best."""
    ways = {"running loss": running_loss.quality, "running loss beside the scores": running_loss.beside_scores}
    if short_training is not None:
        ways |= {"accuracy": short_training.quality, "accuracy beside the scores": short_training.beside_scores}
    best = max(ways, key=lambda name: ways[name].correlations.spearman.value)
    what = f"Spearman of the {best} after {TARGET_MARK / MARKS:.0%} of a full training"
    return Target(what, target, ways[best].correlations.spearman.value)
