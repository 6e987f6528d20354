"""Early stopping of trainings that are under way, by the running training loss: successive halving.

It is our own, since Optuna prunes no study that has several objectives. After a fifth and after half of its steps a
training goes on only if the accuracy that its running loss forecasts is among the better half of what the losses of its
rivals forecast there. Rivals are the networks that cost no more in any other objective: a slower one that learns worse
than most of these will hardly be on the front, and the fastest has none. Two forecasts stand for it, the loss by
itself, and the loss beside what the network is and its scores, fitted to those that were trained here to the end; the
one that ranks their accuracies better is used. As the scores, it must first prove itself in this search, by its rank
correlation there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from archdsl.search.policy import Policy
from archdsl.search.predict.ranks import Floats, spearman
from archdsl.search.predict.surrogate import NetworkFeatures, forecast_accuracy, network_features
from archdsl.search.store.front import ACCURACY, costs_no_more, losses
from archdsl.search.trial import Trial
from archdsl.training.running_loss import MARKS

_ALONE, _BESIDE = "running loss", "running loss beside the scores"


class _Training(NamedTuple):
    """A training, as far as it came."""

    costs: tuple[float, ...]
    """The other objectives, each so that less is better."""
    running: tuple[float, ...]
    """The running loss at each mark."""
    accuracy: float | None
    """At the end; None where it was stopped early."""
    features: NetworkFeatures | None


class LossForecast(NamedTuple):
    """What the running loss at a mark forecasts of the accuracy at the end, the more the better."""

    name: str
    correlation: float
    """Spearman's with the accuracy of those trained to the end."""
    values: Floats
    """Of each training that came so far."""
    losses: Floats
    """Losses from the least to the most of these."""
    levels: Floats
    """What each of them would forecast for the candidate."""

    def limit(self, least: float) -> float:
        """The highest loss that forecasts at least so much; the lowest loss that was seen where none does."""
        enough = np.flatnonzero(self.levels >= least)
        if not len(enough):
            return float(self.losses[0])
        last = int(enough[-1])
        if last == len(self.losses) - 1:
            return math.inf
        here, there = self.levels[last], self.levels[last + 1]
        part = (here - least) / (here - there)
        return float(self.losses[last] + part * (self.losses[last + 1] - self.losses[last]))


class EarlyStopping:
    """Which running losses are too high to go on, by what this search has learned."""

    def __init__(self, objectives: Sequence[str], policy: Policy) -> None:
        self._policy = policy
        self._marks = [round(share * MARKS) for share in policy.early_stopping.looks]
        self._is_an_objective = ACCURACY in objectives
        self._others = [objective for objective in objectives if objective != ACCURACY]
        self._trainings: list[_Training] = []

    def learn(self, trial: Trial) -> None:
        """One finished trial; one that was not trained, or by an older recipe, teaches nothing."""
        if trial.training is not None and (running := trial.training.running):
            costs, features = losses(trial, self._others), _features(trial)
            self._trainings.append(_Training(costs, running, trial.accuracy, features))

    def limits(self, trial: Trial) -> dict[int, float]:
        """The highest running loss, by mark, with which the training of a measured network goes on."""
        limits, trainings = dict[int, float](), list(self._trainings)  # one look, as it grows while workers ask
        if not self._is_an_objective:
            return limits
        costs, policy = losses(trial, self._others), self._policy.early_stopping
        for mark in self._marks:
            reached = _reached(trainings, mark)
            rivals = [costs_no_more(training.costs, costs) for training in reached]
            forecast = _forecast(reached, mark, _features(trial), self._policy)
            if forecast is None or forecast.correlation < policy.least_correlation or sum(rivals) < policy.enough:
                continue
            least = float(np.quantile(forecast.values[np.array(rivals)], 1 - policy.kept))
            if (limit := forecast.limit(least)) < math.inf:
                limits[mark] = limit
        return limits

    def forecast(self, mark: int, candidate: NetworkFeatures | None = None) -> LossForecast | None:
        """The better forecast at a mark, for a network of these features; None before there is enough to tell."""
        return _forecast(_reached(list(self._trainings), mark), mark, candidate, self._policy)


def reason(mark: int, loss: float, limit: float) -> str:
    """Why a training was stopped early."""
    return (
        f"stopped at {100 * mark / MARKS:.0f} %: running loss {loss:.3f} exceeds {limit:.3f}, the level forecast for "
        "the median equal-or-cheaper network"
    )


def _reached(trainings: Sequence[_Training], mark: int) -> list[_Training]:
    return [training for training in trainings if len(training.running) >= mark]


def _forecast(
    reached: Sequence[_Training], mark: int, candidate: NetworkFeatures | None, policy: Policy
) -> LossForecast | None:
    """The better forecast; None before there is enough to tell."""
    if sum(training.accuracy is not None for training in reached) < policy.early_stopping.enough:
        return None
    forecasts = [_alone(reached, mark, policy.early_stopping.levels)]
    if (beside := _beside(reached, mark, candidate, policy)) is not None:
        forecasts.append(beside)
    return max(forecasts, key=lambda forecast: forecast.correlation)


def _features(trial: Trial) -> NetworkFeatures | None:
    """What is known of a network beside its training, if it was scored."""
    return network_features(trial.document, trial.scores)


def _alone(reached: Sequence[_Training], mark: int, count: int) -> LossForecast:
    """The loss by itself."""
    running = _losses(reached, mark)
    levels = np.linspace(running.min(), running.max(), count)
    return LossForecast(_ALONE, _correlation(reached, -running), -running, levels, -levels)


def _beside(
    reached: Sequence[_Training], mark: int, candidate: NetworkFeatures | None, policy: Policy
) -> LossForecast | None:
    """The loss beside what is known before; None where that is missing, or where a low loss would forecast no more."""
    features = [training.features for training in reached if training.features is not None]
    if candidate is None or len(features) < len(reached):
        return None
    running = _losses(reached, mark)
    levels = np.linspace(running.min(), running.max(), policy.early_stopping.levels)
    accuracies = [training.accuracy for training in reached]
    of_trainings, of_candidate = forecast_accuracy(features, accuracies, running, candidate, levels, policy.surrogate)
    if of_candidate[0] <= of_candidate[-1]:
        return None
    return LossForecast(_BESIDE, _correlation(reached, of_trainings), of_trainings, levels, of_candidate)


def _losses(reached: Sequence[_Training], mark: int) -> Floats:
    return np.array([training.running[mark - 1] for training in reached])


def _correlation(reached: Sequence[_Training], values: Floats) -> float:
    """Spearman's of values and the accuracies at the end."""
    accuracies = [(row, t.accuracy) for row, t in enumerate(reached) if t.accuracy is not None]
    return float(spearman(values[[row for row, _ in accuracies]], [accuracy for _, accuracy in accuracies]))
