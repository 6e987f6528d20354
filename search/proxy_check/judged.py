"""What a proxy check tells: how well each score ranks accuracy, how sure that is, and what noise leaves to be ranked.

The truth is a network's mean accuracy over its trainings, on all images that were not trained on. Seeds differ in
initial weights and in data order, so the rank correlation from one seed to another is a ceiling for every score.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, permutations
from typing import Any, TypeAlias

import numpy as np

from archdsl.search.policy import Policy
from archdsl.search.policy.predict import SurrogatePolicy
from archdsl.search.policy.proxy_check import ProxyCheckPolicy
from archdsl.search.predict.fields import fields
from archdsl.search.predict.rank_ensemble import AZ_NAS, MEMBERS, ensemble
from archdsl.search.predict.ranks import Floats, Interval, interval, kendall, recall, spearman
from archdsl.search.predict.surrogate import NetworkFeatures, predict_accuracy
from archdsl.search.proxy_check.networks import CheckedNetwork, CheckFacts, CheckTraining, EarlierNetwork
from archdsl.search.worker.scores.every import NAMES
from archdsl.training.running_loss import MARKS

SHORT = (2, 4, 10)
"""At which twentieths of the training its running loss is judged; what is written of a check has a loss for each."""
TARGET_MARK = 4
RUNG = ("ensemble", "fitted")
"""A search uses the one that ranks better there (`predict/screen.py`)."""

Networks: TypeAlias = Sequence[CheckedNetwork]
Earlier: TypeAlias = Sequence[EarlierNetwork]
_RANKED: dict[str, Callable[..., Any]] = {"spearman": spearman, "kendall": kendall}


def judged(records: Networks, data: CheckFacts, policy: Policy, before: Earlier = ()) -> dict[str, Any]:
    """Everything that the networks of a check tell; `data` says how many images there are to validate and held out.

    `before` are rows of earlier checks' results: what is fitted, is fitted to these too, and judged by this one's.
    """
    least, best, surrogate = policy.proxy_check.least, policy.proxy_check.best, policy.surrogate
    known = [record for record in records if not record.reason]
    found: dict[str, Any] = {"trained": len(known), "failed": len(records) - len(known), "refused": None}
    if len(known) < least:
        return found | {"refused": f"{len(known)} networks were trained; a ranking needs at least {least}"}
    truth = np.array([[_accuracy(training, data) for training in record.trainings] for record in known])
    found |= {"fidelity": known[0].trainings[0].training.fidelity, **_spread(truth, data)}
    found["ceiling"] = {name: _ceiling(figure, truth) for name, figure in _RANKED.items()}
    if (refused := _refusal(found, policy.proxy_check.spread)) is not None:
        return found | {"refused": refused}
    mean = truth.mean(1)
    own = {record.network_hash for record in known}
    before = [row for row in before if row.network_hash not in own]
    found["before"] = len(before)
    columns = _columns(known, mean, before, surrogate)
    found["scores"] = {name: _judge(column, mean, best) for name, column in columns.items()}
    after = policy.proxy_check.after
    counts = [count for count in ((0, *after) if before else after) if count + least <= len(known)]
    found["fitted_after"] = {str(count): _after(count, known, mean, before, policy) for count in counts}
    found["short"] = {str(mark): _short(mark, known, truth, before, policy) for mark in SHORT}
    if all(record.short is not None for record in known):
        found["short_of_its_own"] = _own(known, mean, policy)
    found["seconds"] = _seconds(known)
    found["cached"] = sum(training.is_cached for record in known for training in record.trainings)
    found["rung"] = max(RUNG, key=lambda name: found["scores"][name]["spearman"]["value"])
    found["above_params"] = interval(_above, columns[found["rung"]], columns["params"], mean)._asdict()
    return found | {"targets": _targets(found, policy.proxy_check), "networks": _rows(known, truth, columns)}


def _accuracy(training: CheckTraining, data: CheckFacts) -> float:
    """On the validation images and those held out together: nothing is chosen here that could wear them out."""
    held_out = training.training.held_out
    first, second = data.validation, data.held_out if held_out is not None else 0
    return (training.accuracy * first + (held_out or 0.0) * second) / (first + second)


def _spread(truth: Floats, data: CheckFacts) -> dict[str, Any]:
    """How far mean accuracies lie apart, and their standard errors: by their seeds, and by the number of images."""
    mean, seeds = truth.mean(1), truth.shape[1]
    by_seed = math.sqrt(float(truth.var(1, ddof=1).mean()) / seeds)
    middle = float(mean.mean())
    by_images = math.sqrt(middle * (1 - middle) / (data.validation + data.held_out))
    deviation = float(mean.std(ddof=1))
    return {
        "accuracy": {"least": float(mean.min()), "mean": middle, "most": float(mean.max()), "deviation": deviation},
        "error": {"by_seed": by_seed, "by_images": by_images},
    }


def _refusal(found: Mapping[str, Any], spread: float) -> str | None:
    """Why nothing is ranked: the networks differ by no more than the images tell apart, or than seeds agree on."""
    remedy = "the differences are noise, and no score can be judged by them; train longer (--epochs, --images)"
    deviation, error = found["accuracy"]["deviation"], found["error"]["by_images"]
    if deviation < spread * error:
        return (
            f"the accuracies of {found['trained']} networks lie {deviation:.2%} apart (standard deviation), less than "
            f"{spread:g} times the error of {error:.2%} that so few images leave: {remedy}, or on harder data"
        )
    ceiling = found["ceiling"]["spearman"]
    if ceiling["low"] <= 0:
        return (
            f"another seed ranks the same {found['trained']} networks differently, Spearman {ceiling['value']:.2f} "
            f"[{ceiling['low']:.2f}, {ceiling['high']:.2f}]: {remedy}, or more networks"
        )
    return None


def _ceiling(figure: Callable[..., Any], truth: Floats) -> dict[str, float]:
    """The mean over pairs of seeds."""

    def between(*seeds: Floats) -> Any:
        return np.mean([figure(a, b) for a, b in combinations(seeds, 2)], axis=0)

    return interval(between, *truth.T)._asdict()


def _columns(known: Networks, truth: Floats, before: Earlier, policy: SurrogatePolicy) -> dict[str, Floats]:
    """Each score of all networks; params and MACs are the baselines. Fitted is each network by all others."""
    scores = [record.scores for record in known]
    columns = {name: np.array([found[name] for found in scores]) for name in NAMES}
    own = {"ensemble": ensemble(scores, MEMBERS), "fitted": _predicted(known, truth.tolist(), before, policy)}
    return columns | {"az_nas": ensemble(scores, AZ_NAS)} | own


def _features(known: Sequence[CheckedNetwork | EarlierNetwork]) -> list[NetworkFeatures]:
    return [NetworkFeatures(fields(record.document), record.scores) for record in known]


def _predicted(known: Networks, truth: Sequence[float | None], before: Earlier, policy: SurrogatePolicy) -> Floats:
    """The accuracy of each network as all others tell it, with those of earlier checks."""
    earlier = [float(np.mean(row.accuracies)) for row in before]
    return predict_accuracy(_features([*known, *before]), [*truth, *earlier], policy=policy)[: len(known)]


def _judge(score: Floats, truth: Floats, best: int) -> dict[str, Any]:
    """Both rank correlations with their intervals, and what the score's upper third holds of the best."""
    kept = math.ceil(len(truth) / 3)
    found: dict[str, Any] = {name: interval(figure, score, truth)._asdict() for name, figure in _RANKED.items()}
    return found | {"recall": recall(list(score), list(truth), best, kept)}


def _after(count: int, known: Networks, truth: Floats, before: Earlier, policy: Policy) -> dict[str, Any]:
    """How well so many trained networks tell the others: over which these are, the mean and where nine in ten lie.

    Those of earlier checks tell too; by them alone there is one order, and its interval is the networks'.
    """
    if not count:
        predicted = _predicted(known, [None] * len(known), before, policy.surrogate)
        return {name: interval(figure, predicted, truth)._asdict() for name, figure in _RANKED.items()}
    generator, drawn = np.random.default_rng(0), []
    for _ in range(policy.proxy_check.deals):
        order = generator.permutation(len(known))
        trained = set(order[:count].tolist())
        told = [float(truth[row]) if row in trained else None for row in range(len(known))]
        predicted = _predicted(known, told, before, policy.surrogate)
        left = order[count:]
        drawn.append([figure(predicted[left], truth[left]) for figure in _RANKED.values()])
    return {
        name: Interval(float(np.mean(values)), *np.quantile(values, (0.05, 0.95)).tolist())._asdict()
        for name, values in zip(_RANKED, zip(*drawn, strict=True), strict=True)
    }


def _short(mark: int, known: Networks, truth: Floats, before: Earlier, policy: Policy) -> dict[str, Any]:
    """The running loss of one training as a score: of the mean accuracy, and of another seed's alone.

    A loss shares its seed with a part of the mean; against the other seed it shares nothing.
    """
    losses = np.array([[-training.training.running[mark - 1] for training in record.trainings] for record in known])
    seeds, best = truth.shape[1], policy.proxy_check.best
    kept = math.ceil(len(truth) / 3)

    def own(figure: Callable[..., Any]) -> Interval:
        return interval(
            lambda mean, *each: np.mean([figure(loss, mean) for loss in each], axis=0), truth.mean(1), *losses.T
        )

    def other(figure: Callable[..., Any]) -> Interval:
        def crossed(*both: Floats) -> Any:
            pairs = permutations(range(seeds), 2)
            return np.mean([figure(both[seeds + a], both[b]) for a, b in pairs], axis=0)

        return interval(crossed, *truth.T, *losses.T)

    found: dict[str, Any] = {name: own(figure)._asdict() for name, figure in _RANKED.items()}
    found |= {f"{name}_of_other_seed": other(figure)._asdict() for name, figure in _RANKED.items()}
    found["recall"] = float(np.mean([recall(list(loss), list(truth.mean(1)), best, kept) for loss in losses.T]))
    return found | {"beside_scores": _beside(mark, known, truth, before, policy), "cost": mark / MARKS}


def _beside(mark: int, known: Networks, truth: Floats, before: Earlier, policy: Policy) -> dict[str, Any]:
    """The running loss of one training beside the scores, fitted to the accuracies of the same seed.

    As a search has it (`predict/early_stopping.py`); each network is judged by all others.
    """
    features, place, predicted = _features([*known, *before]), SHORT.index(mark), []
    for seed in range(truth.shape[1]):
        losses = [record.trainings[seed].training.running[mark - 1] for record in known]
        losses += [row.running[seed % len(row.running)][place] for row in before]
        earlier = [row.accuracies[seed % len(row.accuracies)] for row in before]
        accuracies = [*truth[:, seed].tolist(), *earlier]
        predicted.append(predict_accuracy(features, accuracies, losses, policy=policy.surrogate)[: len(known)])

    def between(figure: Callable[..., Any]) -> Callable[..., Any]:
        return lambda mean, *each: np.mean([figure(one, mean) for one in each], axis=0)

    kept, best = math.ceil(len(truth) / 3), policy.proxy_check.best
    mean = truth.mean(1)
    found: dict[str, Any] = {
        name: interval(between(figure), mean, *predicted)._asdict() for name, figure in _RANKED.items()
    }
    return found | {"recall": float(np.mean([recall(list(one), list(mean), best, kept) for one in predicted]))}


def _own(known: Networks, mean: Floats, policy: Policy) -> dict[str, Any]:
    """The accuracy of a short training with a schedule and a seed of its own; and that beside the scores, fitted."""
    trainings = [record.short for record in known if record.short is not None]
    accuracies = np.array([training.accuracy for training in trainings])
    seconds = [training.training.seconds or 0.0 for training in trainings]
    cost = float(np.median(seconds)) / _seconds(known)["training"]
    predicted = predict_accuracy(_features(known), mean.tolist(), accuracies, policy=policy.surrogate)
    return {
        **_judge(accuracies, mean, policy.proxy_check.best),
        "beside_scores": _judge(predicted, mean, policy.proxy_check.best),
        "cost": cost,
        "fidelity": trainings[0].training.fidelity,
    }


def _above(score: Floats, baseline: Floats, truth: Floats) -> Any:
    return spearman(score, truth) - spearman(baseline, truth)


def _seconds(known: Networks) -> dict[str, float]:
    """Medians: of what each score takes, and of a training."""
    scored = [record.score_seconds or {} for record in known]
    found = {name: float(np.median([seconds[name] for seconds in scored])) for name in scored[0]}
    trainings = [training.training.seconds or 0.0 for record in known for training in record.trainings]
    return {**found, "training": float(np.median(trainings))}


def _targets(found: Mapping[str, Any], policy: ProxyCheckPolicy) -> list[dict[str, Any]]:
    """What is aimed at, what was found, and whether that is enough."""
    rung, short = found["rung"], found["short"][str(TARGET_MARK)]
    own = {"running loss": short, "running loss beside the scores": short["beside_scores"]}
    if (apart := found.get("short_of_its_own")) is not None:
        own |= {"accuracy": apart, "accuracy beside the scores": apart["beside_scores"]}
    promise = max(own, key=lambda name: own[name]["spearman"]["value"])
    promised = own[promise]["spearman"]["value"]
    rows = [
        (f"Spearman of the zero-cost rung ({rung})", policy.zero_cost, found["scores"][rung]["spearman"]["value"]),
        (
            "Spearman of the zero-cost rung minus that of params",
            policy.more_than_params,
            found["above_params"]["value"],
        ),
        (
            f"Spearman of the {promise} after {TARGET_MARK / MARKS:.0%} of a full training",
            policy.short_training,
            promised,
        ),
    ]
    return [{"what": what, "target": target, "found": value, "met": value >= target} for what, target, value in rows]


def _rows(known: Networks, truth: Floats, columns: Mapping[str, Floats]) -> list[dict[str, Any]]:
    """A row a network, so that every figure can be worked out again."""
    return [
        {
            "hash": record.network_hash,
            "spec": record.document,
            "accuracies": [round(value, 4) for value in truth[row].tolist()],
            "scores": {name: float(f"{column[row]:.6g}") for name, column in columns.items()},
            "running": [[training.training.running[mark - 1] for mark in SHORT] for training in record.trainings],
            "short": None if record.short is None else round(record.short.accuracy, 4),
        }
        for row, record in enumerate(known)
    ]
