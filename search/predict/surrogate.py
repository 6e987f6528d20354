"""Accuracies predicted from this search's own trainings: by what networks are, and by their scores.

Which scores rank networks, and which way round, differs from space to space and with the length of the training; a
fixed ensemble cannot know. A network that was trained is judged by all others, so that the order is an honest one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from archdsl.json_types import JsonObject
from archdsl.search.policy.predict import ProcessPolicy, SurrogatePolicy
from archdsl.search.predict.fields import Fields, field_columns, fields
from archdsl.search.predict.gaussian_process import leave_one_out, posterior
from archdsl.search.predict.ranks import Floats, ranks, standardised
from archdsl.search.worker.scores.every import NAMES

Scores = Mapping[str, float]


class NetworkFeatures(NamedTuple):
    """What is known of a network before it is trained."""

    fields: Fields
    scores: Scores


def network_features(document: JsonObject, scores: Scores) -> NetworkFeatures | None:
    """Of a spec as JSON and its scores; None where these are not complete, as of an older run."""
    return NetworkFeatures(fields(document), scores) if all(name in scores for name in NAMES) else None


class AccuracyForecast(NamedTuple):
    """Accuracies at the end of training, predicted from what is seen of a training on the way."""

    of_trainings: Floats
    """Of each training, by all others."""
    of_candidate: Floats
    """Of the candidate, at each value that its training may show."""


def predict_accuracy(
    networks: Sequence[NetworkFeatures],
    accuracies: Sequence[float | None],
    *more: Sequence[float] | Floats,
    policy: SurrogatePolicy,
) -> Floats:
    """The accuracy of each network, predicted from the others that were trained; all 0 before there are enough.

    `accuracies` are None for networks that were not trained; `more` are further columns, a number a network, of what
    was seen of its training.
    """
    rows = _trained(accuracies, policy.process)
    if len(rows) < policy.least:
        return np.zeros(len(networks))
    seen = [policy.training_weight * standardised(column) for column in more]
    return _predicted(np.column_stack([_columns(networks), *seen]), accuracies, rows, policy.process)


def forecast_accuracy(
    networks: Sequence[NetworkFeatures],
    accuracies: Sequence[float | None],
    running: Floats,
    candidate: NetworkFeatures,
    losses: Floats,
    policy: SurrogatePolicy,
) -> AccuracyForecast:
    """As `predict_accuracy` beside the running loss of each training, and the same of a candidate at each of `losses`.

    The losses of the candidate change nothing in what is predicted of the others.
    """
    columns, deviation = _columns([*networks, candidate]), float(running.std()) or 1.0
    weight, process = policy.training_weight, policy.process
    loss_columns = weight * (losses - running.mean()) / deviation
    there = np.column_stack([np.repeat(columns[-1:], len(losses), axis=0), loss_columns])
    here = np.column_stack([columns[:-1], weight * (running - running.mean()) / deviation])
    predicted = _predicted(np.vstack([here, there]), accuracies, _trained(accuracies, process), process)
    return AccuracyForecast(predicted[: len(networks)], predicted[len(networks) :])


def _trained(accuracies: Sequence[float | None], policy: ProcessPolicy) -> NDArray[np.intp]:
    """The rows of the last networks that were trained."""
    rows = [row for row, accuracy in enumerate(accuracies) if accuracy is not None]
    return np.array(rows, dtype=np.intp)[-policy.most :]


def _predicted(
    columns: Floats, accuracies: Sequence[float | None], rows: NDArray[np.intp], policy: ProcessPolicy
) -> Floats:
    truth = np.array([accuracies[row] for row in rows], dtype=float)
    predicted = posterior(columns[rows], truth, columns, policy.noise).means
    predicted[rows] = leave_one_out(columns[rows], truth, policy.noise)
    return predicted


def _columns(networks: Sequence[NetworkFeatures]) -> Floats:
    """(networks, columns): what networks are, and the ranks of their scores."""
    scores = [standardised(ranks([network.scores[name] for network in networks])) for name in NAMES]
    return np.column_stack([field_columns([network.fields for network in networks]), *scores])
