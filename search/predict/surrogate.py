"""Accuracies as this search's own trainings tell them: by what networks are, and by their scores.

Which scores rank networks, and which way round, differs from space to space and with the length of the training; a
fixed ensemble cannot know. A network that was trained is judged by all others, so that the order is an honest one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from archdsl.json_types import JsonObject
from archdsl.search.predict.fields import Fields, field_columns, fields
from archdsl.search.predict.gaussian_process import MOST, leave_one_out, posterior
from archdsl.search.predict.ranks import Floats, ranks, standardised
from archdsl.search.worker.scores.every import NAMES

LEAST = 3
"""Trained networks, before there is anything to fit."""
_MORE = 2.0
"""How much a column of what was seen of a training weighs, beside those of fields and scores."""

Scores = Mapping[str, float]


class Seen(NamedTuple):
    """What is known of a network before it is trained."""

    fields: Fields
    scores: Scores


def seen(document: JsonObject, scores: Scores) -> Seen | None:
    """Of a spec as JSON and its scores; None where these are not complete, as of an older run."""
    return Seen(fields(document), scores) if all(name in scores for name in NAMES) else None


class Promised(NamedTuple):
    """What trainings tell of their ends."""

    of_known: Floats
    """Of each training, by all others."""
    of_asked: Floats
    """Of the network that is asked for, at each value that was tried."""


def fitted(known: Sequence[Seen], accuracies: Sequence[float | None], *more: Sequence[float] | Floats) -> Floats:
    """The accuracy of each network as the others that were trained tell it; all 0 before there are enough.

    `more` are further columns, a number a network, of what was seen of its training.
    """
    rows = _trained(accuracies)
    if len(rows) < LEAST:
        return np.zeros(len(known))
    return _told(
        np.column_stack([_columns(known), *(_MORE * standardised(column) for column in more)]), accuracies, rows
    )


def promised(
    known: Sequence[Seen], accuracies: Sequence[float | None], running: Floats, asked: Seen, tried: Floats
) -> Promised:
    """As `fitted` beside what was seen of each training, and the same of a network for which that is only tried.

    What is tried changes nothing in what is told of the others.
    """
    columns, deviation = _columns([*known, asked]), float(running.std()) or 1.0
    there = np.column_stack([np.repeat(columns[-1:], len(tried), axis=0), _MORE * (tried - running.mean()) / deviation])
    here = np.column_stack([columns[:-1], _MORE * (running - running.mean()) / deviation])
    found = _told(np.vstack([here, there]), accuracies, _trained(accuracies))
    return Promised(found[: len(known)], found[len(known) :])


def _trained(accuracies: Sequence[float | None]) -> NDArray[np.intp]:
    """The rows of the last networks that were trained."""
    return np.array([row for row, accuracy in enumerate(accuracies) if accuracy is not None], dtype=np.intp)[-MOST:]


def _told(columns: Floats, accuracies: Sequence[float | None], rows: NDArray[np.intp]) -> Floats:
    truth = np.array([accuracies[row] for row in rows], dtype=float)
    found = posterior(columns[rows], truth, columns).means
    found[rows] = leave_one_out(columns[rows], truth)
    return found


def _columns(known: Sequence[Seen]) -> Floats:
    """(networks, columns): what networks are, and the ranks of their scores."""
    scores = [standardised(ranks([one.scores[name] for one in known])) for name in NAMES]
    return np.column_stack([field_columns([one.fields for one in known]), *scores])
