"""Successive halving of trainings that are under way, by the running training loss.

It is our own, since Optuna prunes no study that has several objectives. After a fifth and after half of its steps a
training goes on only if what its running loss promises is among the better half of what those of its rivals promised
there. Rivals are the networks that cost no more in any other objective: a slower one that learns worse than most of
these will hardly be on the front, and the fastest has none. Two promises stand for it, the loss by itself, and the loss
beside the scores at initialisation as fitted to the accuracies at the end of those that were trained here; the one that
ranks these better is used. As the scores, it must first prove itself in this search, by its rank correlation there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from archdsl.search.ranks import Floats, spearman
from archdsl.search.results.front import Record, losses
from archdsl.search.scores.every import NAMES
from archdsl.search.scores.fitted import Scores, fit, score_columns, standardised
from archdsl.search.training.running import MARKS

RUNGS = (MARKS // 5, MARKS // 2)
"""The marks of the running loss at which a training is judged."""
ENOUGH = 8
"""Networks trained to the end before the loss is trusted or not, and rivals before a training is broken off."""
LEAST_CORRELATION = 0.5
KEPT = 0.5
"""Share of the rivals' promises that a network's must be among."""
_ACCURACY = "max proxy_accuracy"
_ALONE, _BESIDE = "running loss", "running loss beside the scores"


class _Known(NamedTuple):
    """A training, as far as it came: the other objectives, the running loss at each mark, the accuracy at the end."""

    costs: tuple[float, ...]
    running: tuple[float, ...]
    accuracy: float | None
    scores: Scores | None


class Promise(NamedTuple):
    """What the running loss at a mark promises of the accuracy at the end, the more the better."""

    name: str
    correlation: float
    """Spearman's with the accuracy of those trained to the end."""
    values: Floats
    """Of each training that came so far."""
    slope: float
    """By how much a loss that is higher by 1 promises less."""
    at_no_loss: float
    """What a loss of 0 would promise for the network that is asked for."""


class Limit(NamedTuple):
    """The highest running loss with which a training goes on, and what says so."""

    loss: float
    promise: str
    correlation: float
    """Spearman's of the promise with the accuracy of those trained to the end."""


class Halving:
    """Which running losses are too high to go on, by what this search has learned."""

    def __init__(self, objectives: Sequence[str]) -> None:
        self._is_asked = _ACCURACY in objectives
        self._others = [objective for objective in objectives if objective != _ACCURACY]
        self._known: list[_Known] = []

    def learn(self, record: Record) -> None:
        """One finished trial; one that was not trained, or by an older recipe, teaches nothing."""
        running = (record["provenance"].get("proxy") or {}).get("running")
        if running:
            known = losses(record, self._others), tuple(running), record["accuracy"], _scores(record)
            self._known.append(_Known(*known))

    def limits(self, record: Record) -> dict[int, Limit]:
        """With which running loss, by mark, the training of a measured network goes on."""
        found, known = dict[int, Limit](), list(self._known)  # one look, as it grows while workers ask
        if not self._is_asked:
            return found
        costs = losses(record, self._others)
        for mark in RUNGS:
            reached = _reached(known, mark)
            rivals = [all(a <= b for a, b in zip(one.costs, costs, strict=True)) for one in reached]
            promise = _promise(reached, mark, _scores(record))
            if promise is None or promise.correlation < LEAST_CORRELATION or sum(rivals) < ENOUGH:
                continue
            least = float(np.quantile(promise.values[np.array(rivals)], 1 - KEPT))
            loss = (promise.at_no_loss - least) / promise.slope
            found[mark] = Limit(loss, promise.name, promise.correlation)
        return found

    def promise(self, mark: int, scores: Scores | None = None) -> Promise | None:
        """The better promise at a mark, for a network of these scores; None before there is enough to tell."""
        return _promise(_reached(list(self._known), mark), mark, scores)


def reason(mark: int, loss: float, limit: Limit) -> str:
    """Why a training was broken off."""
    return (
        f"running loss {loss:.3f} after {mark / MARKS:.0%} of the training, over {limit.loss:.3f}, with which it would "
        f"promise the median of networks that cost no more; there the {limit.promise} ranks accuracy at "
        f"{limit.correlation:.2f}"
    )


def _reached(known: Sequence[_Known], mark: int) -> list[_Known]:
    return [one for one in known if len(one.running) >= mark]


def _promise(reached: Sequence[_Known], mark: int, scores: Scores | None) -> Promise | None:
    """The better promise; None before there is enough to tell."""
    if sum(one.accuracy is not None for one in reached) < ENOUGH:
        return None
    found = [_alone(reached, mark)]
    if (beside := _beside(reached, mark, scores)) is not None:
        found.append(beside)
    return max(found, key=lambda promise: promise.correlation)


def _scores(record: Record) -> Scores | None:
    """The scores at initialisation, if all are there."""
    scores: Scores = record["provenance"].get("scores") or {}
    return scores if all(name in scores for name in NAMES) else None


def _alone(reached: Sequence[_Known], mark: int) -> Promise:
    """The loss by itself."""
    values = -_losses(reached, mark)
    return Promise(_ALONE, _correlation(reached, values), values, 1.0, 0.0)


def _beside(reached: Sequence[_Known], mark: int, scores: Scores | None) -> Promise | None:
    """The loss beside the scores; None where some are missing, or where a low loss would promise nothing."""
    known = [training.scores for training in reached]
    seen = [found for found in known if found is not None]
    if scores is None or len(seen) < len(known):
        return None
    running = _losses(reached, mark)
    columns = score_columns([*seen, scores])
    each = np.column_stack([columns[:-1], standardised(running)])
    found = fit(each, [training.accuracy for training in reached])
    if found is None or found.weights[-1] >= 0:
        return None
    deviation = float(running.std()) or 1.0
    own = np.append(columns[-1], -running.mean() / deviation)  # as a loss of 0 stands among the others
    at_no_loss = found.mean + float((own - found.middle) @ found.weights)
    correlation = _correlation(reached, found.told)
    values = found.mean + (each - found.middle) @ found.weights
    return Promise(_BESIDE, correlation, values, -float(found.weights[-1]) / deviation, at_no_loss)


def _losses(reached: Sequence[_Known], mark: int) -> Floats:
    return np.array([known.running[mark - 1] for known in reached])


def _correlation(reached: Sequence[_Known], values: Floats) -> float:
    """Spearman's of values and the accuracies at the end."""
    ended = [row for row, known in enumerate(reached) if known.accuracy is not None]
    found: float = spearman(values[ended], [reached[row].accuracy or 0.0 for row in ended])
    return found
