"""What a proxy check tells: how well each score ranks accuracy, how sure that is, and what noise leaves to be ranked.

The truth is a network's mean accuracy over its trainings, on all images that were not trained on. Seeds differ in
initial weights and in data order, so the rank correlation from one seed to another is a ceiling for every score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from archdsl.numbers import standard_error
from archdsl.search.policy import Policy
from archdsl.search.policy.predict import SurrogatePolicy
from archdsl.search.predict.rank_ensemble import AZ_NAS, MEMBERS, ensemble
from archdsl.search.predict.ranks import Floats, Interval, interval, spearman
from archdsl.search.predict.surrogate import predict_accuracy
from archdsl.search.proxy_check.networks import CheckFacts, CheckTraining
from archdsl.search.proxy_check.result import (
    Accuracies,
    Correlations,
    Judgement,
    RankedNetwork,
    Ranking,
    Target,
)
from archdsl.search.proxy_check.score_quality import (
    Correlation,
    Earlier,
    Networks,
    both_correlations,
    judge,
    mean_of,
    network_features,
)
from archdsl.search.proxy_check.short_quality import (
    SHORT,
    TARGET_MARK,
    running_loss_quality,
    short_target,
    short_training_quality,
)
from archdsl.search.worker.scores.every import NAMES

RUNG = ("ensemble", "fitted")
"""A search uses the one that ranks better there (`predict/screen.py`)."""


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
        ceiling=both_correlations(lambda figure: _ceiling(figure, truth)),
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


def _ceiling(figure: Correlation, truth: Floats) -> Interval:
    """The mean over pairs of seeds."""

    def between(*seeds: Floats) -> Floats:
        return mean_of([figure(a, b) for a, b in combinations(seeds, 2)])

    return interval(between, *truth.T)


def _ranking(networks: Networks, truth: Floats, before: Earlier, policy: Policy) -> Ranking:
    """How well scores, running losses and short trainings rank the networks; `truth` has a column a seed."""
    mean, checking, seconds = truth.mean(1), policy.proxy_check, _seconds(networks)
    columns = _columns(networks, mean, before, policy.surrogate)
    scores = {name: judge(column, mean, checking.best) for name, column in columns.items()}
    trained = (0, *checking.after) if before else checking.after
    counts = [count for count in trained if count + checking.least <= len(networks)]
    running_loss = {mark: running_loss_quality(mark, networks, truth, before, policy) for mark in SHORT}
    has_short = all(record.short is not None for record in networks)
    short_training = short_training_quality(networks, mean, policy, seconds["training"]) if has_short else None
    rung = max(RUNG, key=lambda name: scores[name].correlations.spearman.value)
    above_params = interval(_above, columns[rung], columns["params"], mean)
    return Ranking(
        before=len(before),
        scores=scores,
        fitted_after={count: _after(count, networks, mean, before, policy) for count in counts},
        running_loss=running_loss,
        short_training=short_training,
        seconds=seconds,
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
            short_target(checking.short_training, running_loss[TARGET_MARK], short_training),
        ),
        networks=_rows(networks, truth, columns),
    )


def _columns(networks: Networks, truth: Floats, before: Earlier, policy: SurrogatePolicy) -> dict[str, Floats]:
    """Each score of all networks; params and MACs are the baselines. Fitted is each network by all others."""
    scores = [record.scores for record in networks]
    columns = {name: np.array([of_network[name] for of_network in scores]) for name in NAMES}
    predictors = {"ensemble": ensemble(scores, MEMBERS), "fitted": _predicted(networks, truth.tolist(), before, policy)}
    return columns | {"az_nas": ensemble(scores, AZ_NAS)} | predictors


def _predicted(networks: Networks, truth: Sequence[float | None], before: Earlier, policy: SurrogatePolicy) -> Floats:
    """The accuracy of each network as all others tell it, with those of earlier checks."""
    earlier = [float(np.mean(row.accuracies)) for row in before]
    return predict_accuracy(network_features([*networks, *before]), [*truth, *earlier], policy=policy)[: len(networks)]


def _after(count: int, networks: Networks, truth: Floats, before: Earlier, policy: Policy) -> Correlations:
    """How well so many trained networks tell the others: over which these are, the mean and where nine in ten lie.

    Those of earlier checks tell too; by them alone there is one order, and its interval is the networks'.
    """
    if not count:
        of_earlier = _predicted(networks, [None] * len(networks), before, policy.surrogate)
        return both_correlations(lambda figure: interval(figure, of_earlier, truth))
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

    return both_correlations(over_deals)


def _above(score: Floats, baseline: Floats, truth: Floats) -> Floats:
    return spearman(score, truth) - spearman(baseline, truth)


def _seconds(networks: Networks) -> dict[str, float]:
    """Medians: of what each score takes, and of a training."""
    scored = [record.score_seconds or {} for record in networks]
    medians = {name: float(np.median([seconds[name] for seconds in scored])) for name in scored[0]}
    trainings = [training.training.seconds or 0.0 for record in networks for training in record.trainings]
    return {**medians, "training": float(np.median(trainings))}


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
