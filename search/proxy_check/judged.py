"""What a proxy check tells: how well each score ranks accuracy, how sure that is, and what noise leaves to be ranked.

The truth is a network's mean accuracy over its trainings, on all images that were not trained on. Seeds differ in
initial weights and in data order, so the rank correlation from one seed to another is a ceiling for every score.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, permutations
from typing import TypeAlias

import numpy as np

from archdsl.numbers import standard_error
from archdsl.search.policy import Policy
from archdsl.search.policy.predict import SurrogatePolicy
from archdsl.search.predict.fields import fields
from archdsl.search.predict.rank_ensemble import AZ_NAS, MEMBERS, ensemble
from archdsl.search.predict.ranks import Floats, Interval, interval, kendall, recall, spearman
from archdsl.search.predict.surrogate import NetworkFeatures, predict_accuracy
from archdsl.search.proxy_check.networks import CheckedNetwork, CheckFacts, CheckTraining, EarlierNetwork
from archdsl.search.proxy_check.result import (
    Accuracies,
    Correlations,
    Judgement,
    RankedNetwork,
    Ranking,
    RunningLossQuality,
    ScoreQuality,
    ShortTrainingQuality,
    Target,
)
from archdsl.search.worker.scores.every import NAMES
from archdsl.training.running_loss import MARKS

SHORT = (2, 4, 10)
"""At which twentieths of the training its running loss is judged; what is written of a check has a loss for each."""
TARGET_MARK = 4
RUNG = ("ensemble", "fitted")
"""A search uses the one that ranks better there (`predict/screen.py`)."""

Networks: TypeAlias = Sequence[CheckedNetwork]
Earlier: TypeAlias = Sequence[EarlierNetwork]
Correlation: TypeAlias = Callable[[Floats, Floats], Floats]


def judged(records: Networks, data: CheckFacts, policy: Policy, before: Earlier = ()) -> Judgement:
    """Everything that the networks of a check tell; `data` says how many images there are to validate and held out.

    `before` are rows of earlier checks' results: what is fitted, is fitted to these too, and judged by this one's.
    """
    complete = [record for record in records if not record.reason]
    trained, failed, least = len(complete), len(records) - len(complete), policy.proxy_check.least
    if trained < least:
        return Judgement(trained, failed, f"{trained} networks were trained; a ranking needs at least {least}")
    truth = np.array([[_accuracy(training, data) for training in record.trainings] for record in complete])
    accuracies = _accuracies(complete[0].trainings[0].training.fidelity, truth, data)
    if (refused := _refusal(accuracies, trained, policy.proxy_check.spread)) is not None:
        return Judgement(trained, failed, refused, accuracies)
    hashes = {record.network_hash for record in complete}
    others = [row for row in before if row.network_hash not in hashes]
    return Judgement(trained, failed, None, accuracies, _ranking(complete, truth, others, policy))


def _accuracy(training: CheckTraining, data: CheckFacts) -> float:
    """On the validation images and those held out together: nothing is chosen here that could wear them out."""
    held_out = training.training.held_out
    first, second = data.validation, data.held_out if held_out is not None else 0
    return (training.accuracy * first + (held_out or 0.0) * second) / (first + second)


def _accuracies(fidelity: str | None, truth: Floats, data: CheckFacts) -> Accuracies:
    """How far mean accuracies lie apart, and their standard errors: by their seeds, and by the number of images."""
    mean, seeds = truth.mean(1), truth.shape[1]
    middle = float(mean.mean())
    return Accuracies(
        fidelity=fidelity,
        least=float(mean.min()),
        mean=middle,
        most=float(mean.max()),
        deviation=float(mean.std(ddof=1)),
        error_by_seed=math.sqrt(float(truth.var(1, ddof=1).mean()) / seeds),
        error_by_images=standard_error(middle, data.validation + data.held_out),
        ceiling=_both(lambda figure: _ceiling(figure, truth)),
    )


def _refusal(accuracies: Accuracies, trained: int, spread: float) -> str | None:
    """Why nothing is ranked: the networks differ by no more than the images tell apart, or than seeds agree on."""
    remedy = "the differences are noise, and no score can be judged by them; train longer (--epochs, --images)"
    deviation, error = accuracies.deviation, accuracies.error_by_images
    if deviation < spread * error:
        return (
            f"the accuracies of {trained} networks lie {deviation:.2%} apart (standard deviation), less than "
            f"{spread:g} times the error of {error:.2%} that so few images leave: {remedy}, or on harder data"
        )
    ceiling = accuracies.ceiling.spearman
    if ceiling.low <= 0:
        return (
            f"another seed ranks the same {trained} networks differently, Spearman {ceiling.value:.2f} "
            f"[{ceiling.low:.2f}, {ceiling.high:.2f}]: {remedy}, or more networks"
        )
    return None


def _both(interval_of: Callable[[Correlation], Interval]) -> Correlations:
    """Both rank correlations, each with its interval."""
    return Correlations(interval_of(spearman), interval_of(kendall))


def _ceiling(figure: Correlation, truth: Floats) -> Interval:
    """The mean over pairs of seeds."""

    def between(*seeds: Floats) -> Floats:
        return _mean([figure(a, b) for a, b in combinations(seeds, 2)])

    return interval(between, *truth.T)


def _mean(figures: Sequence[Floats]) -> Floats:
    average: Floats = np.mean(figures, axis=0)
    return average


def _ranking(networks: Networks, truth: Floats, before: Earlier, policy: Policy) -> Ranking:
    """How well scores, running losses and short trainings rank the networks; `truth` has a column a seed."""
    mean, checking = truth.mean(1), policy.proxy_check
    columns = _columns(networks, mean, before, policy.surrogate)
    scores = {name: _judge(column, mean, checking.best) for name, column in columns.items()}
    trained = (0, *checking.after) if before else checking.after
    counts = [count for count in trained if count + checking.least <= len(networks)]
    running_loss = {mark: _running_loss(mark, networks, truth, before, policy) for mark in SHORT}
    has_short = all(record.short is not None for record in networks)
    short_training = _short_training(networks, mean, policy) if has_short else None
    rung = max(RUNG, key=lambda name: scores[name].correlations.spearman.value)
    above_params = interval(_above, columns[rung], columns["params"], mean)
    return Ranking(
        before=len(before),
        scores=scores,
        fitted_after={count: _after(count, networks, mean, before, policy) for count in counts},
        running_loss=running_loss,
        short_training=short_training,
        seconds=_seconds(networks),
        cached=sum(training.is_cached for record in networks for training in record.trainings),
        rung=rung,
        above_params=above_params,
        targets=(
            Target(
                f"Spearman of the zero-cost rung ({rung})",
                checking.zero_cost,
                scores[rung].correlations.spearman.value,
            ),
            Target(
                "Spearman of the zero-cost rung minus that of params", checking.more_than_params, above_params.value
            ),
            _short_target(checking.short_training, running_loss[TARGET_MARK], short_training),
        ),
        networks=_rows(networks, truth, columns),
    )


def _columns(networks: Networks, truth: Floats, before: Earlier, policy: SurrogatePolicy) -> dict[str, Floats]:
    """Each score of all networks; params and MACs are the baselines. Fitted is each network by all others."""
    scores = [record.scores for record in networks]
    columns = {name: np.array([of_network[name] for of_network in scores]) for name in NAMES}
    predictors = {"ensemble": ensemble(scores, MEMBERS), "fitted": _predicted(networks, truth.tolist(), before, policy)}
    return columns | {"az_nas": ensemble(scores, AZ_NAS)} | predictors


def _features(networks: Sequence[CheckedNetwork | EarlierNetwork]) -> list[NetworkFeatures]:
    return [NetworkFeatures(fields(record.document), record.scores) for record in networks]


def _predicted(networks: Networks, truth: Sequence[float | None], before: Earlier, policy: SurrogatePolicy) -> Floats:
    """The accuracy of each network as all others tell it, with those of earlier checks."""
    earlier = [float(np.mean(row.accuracies)) for row in before]
    return predict_accuracy(_features([*networks, *before]), [*truth, *earlier], policy=policy)[: len(networks)]


def _judge(score: Floats, truth: Floats, best: int) -> ScoreQuality:
    """Both rank correlations with their intervals, and what the score's upper third holds of the best."""
    return ScoreQuality(_both(lambda figure: interval(figure, score, truth)), _recall([score], truth, best))


def _judge_mean(each: Sequence[Floats], truth: Floats, best: int) -> ScoreQuality:
    """As `_judge`, of the mean over several scores."""

    def mean_of(figure: Correlation) -> Interval:
        return interval(lambda mean, *scores: _mean([figure(score, mean) for score in scores]), truth, *each)

    return ScoreQuality(_both(mean_of), _recall(each, truth, best))


def _recall(each: Sequence[Floats], truth: Floats, best: int) -> float:
    """The share of the most accurate networks in a score's upper third, the mean over the scores."""
    kept = math.ceil(len(truth) / 3)
    return float(np.mean([recall(list(score), list(truth), best, kept) for score in each]))


def _after(count: int, networks: Networks, truth: Floats, before: Earlier, policy: Policy) -> Correlations:
    """How well so many trained networks tell the others: over which these are, the mean and where nine in ten lie.

    Those of earlier checks tell too; by them alone there is one order, and its interval is the networks'.
    """
    if not count:
        of_earlier = _predicted(networks, [None] * len(networks), before, policy.surrogate)
        return _both(lambda figure: interval(figure, of_earlier, truth))
    generator, drawn = np.random.default_rng(0), list[tuple[Floats, Floats]]()
    for _ in range(policy.proxy_check.deals):
        order = generator.permutation(len(networks))
        trained = set(order[:count].tolist())
        targets = [float(truth[row]) if row in trained else None for row in range(len(networks))]
        predicted = _predicted(networks, targets, before, policy.surrogate)
        left = order[count:]
        drawn.append((predicted[left], truth[left]))

    def over_deals(figure: Correlation) -> Interval:
        values = [figure(predicted, accuracies) for predicted, accuracies in drawn]
        low, high = np.quantile(values, (0.05, 0.95)).tolist()
        return Interval(float(np.mean(values)), low, high)

    return _both(over_deals)


def _running_loss(mark: int, networks: Networks, truth: Floats, before: Earlier, policy: Policy) -> RunningLossQuality:
    """The running loss of one training as a score: of the mean accuracy, and of another seed's alone.

    A loss shares its seed with a part of the mean; against the other seed it shares nothing.
    """
    losses = np.array([[-training.training.running[mark - 1] for training in record.trainings] for record in networks])
    seeds = truth.shape[1]

    def other(figure: Correlation) -> Interval:
        def crossed(*both: Floats) -> Floats:
            return _mean([figure(both[seeds + a], both[b]) for a, b in permutations(range(seeds), 2)])

        return interval(crossed, *truth.T, *losses.T)

    return RunningLossQuality(
        quality=_judge_mean(list(losses.T), truth.mean(1), policy.proxy_check.best),
        other_seed=_both(other),
        beside_scores=_beside(mark, networks, truth, before, policy),
        cost=mark / MARKS,
    )


def _beside(mark: int, networks: Networks, truth: Floats, before: Earlier, policy: Policy) -> ScoreQuality:
    """The running loss of one training beside the scores, fitted to the accuracies of the same seed.

    As a search has it (`predict/early_stopping.py`); each network is judged by all others.
    """
    features, place, predicted = _features([*networks, *before]), SHORT.index(mark), []
    for seed in range(truth.shape[1]):
        losses = [record.trainings[seed].training.running[mark - 1] for record in networks]
        losses += [row.running[seed % len(row.running)][place] for row in before]
        earlier = [row.accuracies[seed % len(row.accuracies)] for row in before]
        accuracies = [*truth[:, seed].tolist(), *earlier]
        predicted.append(predict_accuracy(features, accuracies, losses, policy=policy.surrogate)[: len(networks)])
    return _judge_mean(predicted, truth.mean(1), policy.proxy_check.best)


def _short_training(networks: Networks, mean: Floats, policy: Policy) -> ShortTrainingQuality:
    """The accuracy of a short training with a schedule and a seed of its own; and that beside the scores, fitted."""
    trainings = [record.short for record in networks if record.short is not None]
    accuracies = np.array([training.accuracy for training in trainings])
    seconds = [training.training.seconds or 0.0 for training in trainings]
    predicted = predict_accuracy(_features(networks), mean.tolist(), accuracies, policy=policy.surrogate)
    return ShortTrainingQuality(
        quality=_judge(accuracies, mean, policy.proxy_check.best),
        beside_scores=_judge(predicted, mean, policy.proxy_check.best),
        cost=float(np.median(seconds)) / _seconds(networks)["training"],
        fidelity=trainings[0].training.fidelity,
    )


def _above(score: Floats, baseline: Floats, truth: Floats) -> Floats:
    return spearman(score, truth) - spearman(baseline, truth)


def _seconds(networks: Networks) -> dict[str, float]:
    """Medians: of what each score takes, and of a training."""
    scored = [record.score_seconds or {} for record in networks]
    medians = {name: float(np.median([seconds[name] for seconds in scored])) for name in scored[0]}
    trainings = [training.training.seconds or 0.0 for record in networks for training in record.trainings]
    return {**medians, "training": float(np.median(trainings))}


def _short_target(
    target: float, running_loss: RunningLossQuality, short_training: ShortTrainingQuality | None
) -> Target:
    """The target of short training, of the way to read one that ranks best."""
    ways = {"running loss": running_loss.quality, "running loss beside the scores": running_loss.beside_scores}
    if short_training is not None:
        ways |= {"accuracy": short_training.quality, "accuracy beside the scores": short_training.beside_scores}
    best = max(ways, key=lambda name: ways[name].correlations.spearman.value)
    what = f"Spearman of the {best} after {TARGET_MARK / MARKS:.0%} of a full training"
    return Target(what, target, ways[best].correlations.spearman.value)


def _rows(networks: Networks, truth: Floats, columns: Mapping[str, Floats]) -> tuple[RankedNetwork, ...]:
    """A row a network, so that every figure can be worked out again."""
    return tuple(
        RankedNetwork(
            network_hash=record.network_hash,
            document=record.document,
            accuracies=tuple(round(value, 4) for value in truth[row].tolist()),
            scores={name: float(f"{column[row]:.6g}") for name, column in columns.items()},
            running=tuple(
                tuple(training.training.running[mark - 1] for mark in SHORT) for training in record.trainings
            ),
            short=None if record.short is None else round(record.short.accuracy, 4),
        )
        for row, record in enumerate(networks)
    )
