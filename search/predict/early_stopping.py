"""Successive halving of trainings that are under way, by the running training loss.

It is our own, since Optuna prunes no study that has several objectives. After a fifth and after half of its steps a
training goes on only if what its running loss promises is among the better half of what those of its rivals promised
there. Rivals are the networks that cost no more in any other objective: a slower one that learns worse than most of
these will hardly be on the front, and the fastest has none. Two promises stand for it, the loss by itself, and the loss
beside what the network is and its scores, as those that were trained here to the end tell it; the one that ranks their
accuracies better is used. As the scores, it must first prove itself in this search, by its rank correlation there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from archdsl.search.predict.ranks import Floats, spearman
from archdsl.search.predict.surrogate import Seen, promised, seen
from archdsl.search.store.front import ACCURACY, costs_no_more, losses
from archdsl.search.trial import Trial
from archdsl.training.running_loss import MARKS

RUNGS = (MARKS // 5, MARKS // 2)
"""The marks of the running loss at which a training is judged."""
ENOUGH = 8
"""Networks trained to the end before the loss is trusted or not, and rivals before a training is broken off."""
LEAST_CORRELATION = 0.5
KEPT = 0.5
"""Share of the rivals' promises that a network's must be among."""
_ALONE, _BESIDE = "running loss", "running loss beside the scores"
_TRIED = 33
"""Losses from the least to the most that was seen, between which a promise is taken to be straight."""


class _Known(NamedTuple):
    """A training, as far as it came: the other objectives, the running loss at each mark, the accuracy at the end."""

    costs: tuple[float, ...]
    running: tuple[float, ...]
    accuracy: float | None
    seen: Seen | None


class LossForecast(NamedTuple):
    """What the running loss at a mark promises of the accuracy at the end, the more the better."""

    name: str
    correlation: float
    """Spearman's with the accuracy of those trained to the end."""
    values: Floats
    """Of each training that came so far."""
    losses: Floats
    """Losses from the least to the most of these."""
    promised: Floats
    """What each of them would promise for the network that is asked for."""

    def limit(self, least: float) -> float:
        """The highest loss that promises so much; the lowest loss that was seen where none does."""
        enough = np.flatnonzero(self.promised >= least)
        if not len(enough):
            return float(self.losses[0])
        last = int(enough[-1])
        if last == len(self.losses) - 1:
            return math.inf
        here, there = self.promised[last], self.promised[last + 1]
        part = (here - least) / (here - there)
        return float(self.losses[last] + part * (self.losses[last + 1] - self.losses[last]))


class Limit(NamedTuple):
    """The highest running loss with which a training goes on, and what says so."""

    loss: float
    promise: str
    correlation: float
    """Spearman's of the promise with the accuracy of those trained to the end."""


class Halving:
    """Which running losses are too high to go on, by what this search has learned."""

    def __init__(self, objectives: Sequence[str]) -> None:
        self._is_asked = ACCURACY in objectives
        self._others = [objective for objective in objectives if objective != ACCURACY]
        self._known: list[_Known] = []

    def learn(self, trial: Trial) -> None:
        """One finished trial; one that was not trained, or by an older recipe, teaches nothing."""
        if trial.training is not None and (running := trial.training.running):
            self._known.append(_Known(losses(trial, self._others), running, trial.accuracy, _seen(trial)))

    def limits(self, trial: Trial) -> dict[int, Limit]:
        """With which running loss, by mark, the training of a measured network goes on."""
        found, known = dict[int, Limit](), list(self._known)  # one look, as it grows while workers ask
        if not self._is_asked:
            return found
        costs = losses(trial, self._others)
        for mark in RUNGS:
            reached = _reached(known, mark)
            rivals = [costs_no_more(one.costs, costs) for one in reached]
            promise = _promise(reached, mark, _seen(trial))
            if promise is None or promise.correlation < LEAST_CORRELATION or sum(rivals) < ENOUGH:
                continue
            least = float(np.quantile(promise.values[np.array(rivals)], 1 - KEPT))
            if (loss := promise.limit(least)) < math.inf:
                found[mark] = Limit(loss, promise.name, promise.correlation)
        return found

    def promise(self, mark: int, asked: Seen | None = None) -> LossForecast | None:
        """The better promise at a mark, for a network that is so; None before there is enough to tell."""
        return _promise(_reached(list(self._known), mark), mark, asked)


def reason(mark: int, loss: float, limit: Limit) -> str:
    """Why a training was broken off."""
    return (
        f"running loss {loss:.3f} after {mark / MARKS:.0%} of the training, over {limit.loss:.3f}, with which it would "
        f"promise the median of networks that cost no more; there the {limit.promise} ranks accuracy at "
        f"{limit.correlation:.2f}"
    )


def _reached(known: Sequence[_Known], mark: int) -> list[_Known]:
    return [one for one in known if len(one.running) >= mark]


def _promise(reached: Sequence[_Known], mark: int, asked: Seen | None) -> LossForecast | None:
    """The better promise; None before there is enough to tell."""
    if sum(one.accuracy is not None for one in reached) < ENOUGH:
        return None
    found = [_alone(reached, mark)]
    if (beside := _beside(reached, mark, asked)) is not None:
        found.append(beside)
    return max(found, key=lambda promise: promise.correlation)


def _seen(trial: Trial) -> Seen | None:
    """What is known of a network beside its training, if it was scored."""
    return seen(trial.document, trial.scores)


def _alone(reached: Sequence[_Known], mark: int) -> LossForecast:
    """The loss by itself."""
    running = _losses(reached, mark)
    tried = np.linspace(running.min(), running.max(), _TRIED)
    return LossForecast(_ALONE, _correlation(reached, -running), -running, tried, -tried)


def _beside(reached: Sequence[_Known], mark: int, asked: Seen | None) -> LossForecast | None:
    """The loss beside what is known before; None where that is missing, or where a low loss would promise no more."""
    known = [one.seen for one in reached if one.seen is not None]
    if asked is None or len(known) < len(reached):
        return None
    running = _losses(reached, mark)
    tried = np.linspace(running.min(), running.max(), _TRIED)
    told = promised(known, [training.accuracy for training in reached], running, asked, tried)
    if told.of_asked[0] <= told.of_asked[-1]:
        return None
    return LossForecast(_BESIDE, _correlation(reached, told.of_known), told.of_known, tried, told.of_asked)


def _losses(reached: Sequence[_Known], mark: int) -> Floats:
    return np.array([known.running[mark - 1] for known in reached])


def _correlation(reached: Sequence[_Known], values: Floats) -> float:
    """Spearman's of values and the accuracies at the end."""
    ended = [row for row, known in enumerate(reached) if known.accuracy is not None]
    return float(spearman(values[ended], [reached[row].accuracy or 0.0 for row in ended]))
