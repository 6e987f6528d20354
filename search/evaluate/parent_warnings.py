"""What makes a parent a doubtful one to inherit from, in sentences: weak here, or trained on other images."""

from __future__ import annotations

import math
from pathlib import Path

from archdsl.errors import WeightsError, WrongUse
from archdsl.numbers import accuracy_text
from archdsl.search.evaluate.kept_weights import ERRORS
from archdsl.search.loaded_data import DataFacts
from archdsl.search.store.parent import Parent
from archdsl.weights.facts import Accuracy, read_facts


def parent_warnings(parent: Parent, data: str, facts: DataFacts) -> tuple[str, ...]:
    """The sentences; none for a parent that does well on the data that it was trained on.

    `data` is the data's name or path, and `facts` what the worker tells of it.
    """
    stated = _stated(parent)
    texts = (_other_data(stated, data, facts), _below_stated(parent, stated, data), _weak(parent, facts))
    return tuple(text for text in texts if text is not None)


def _stated(parent: Parent) -> Accuracy | None:
    """The accuracy that the parent's file states; None where it states none, or is gone since the run began."""
    try:
        return read_facts(parent.source).accuracy
    except (WeightsError, WrongUse):
        return None


def _other_data(stated: Accuracy | None, data: str, facts: DataFacts) -> str | None:
    if stated is None or stated.data.fingerprint == facts.fingerprint:
        return None
    if not _is_of(stated, data):
        return f"it was trained on {stated.data.name}, and this search is on {data}"
    split = f"--seed {facts.request.seed} --images {facts.request.images}"
    return (
        f"it was trained on another split of {data}: it may have seen images that are held out here, and accuracies of "
        f"what inherits from it may be too high; archdsl train with {split} takes the images that this search takes"
    )


def _is_of(stated: Accuracy, data: str) -> bool:
    """Whether an accuracy is on data of that name, split in any way."""
    return Path(stated.data.name).name == Path(data).name


def _below_stated(parent: Parent, stated: Accuracy | None, data: str) -> str | None:
    """That the parent, taken as it is, does worse here than where its file was written, by two standard errors."""
    if stated is None or not _is_of(stated, data) or parent.epochs > 0:
        return None
    which, there, here = "validation", stated.validation, parent.validation
    if stated.held_out is not None and parent.held_out is not None:
        which, there, here = "held-out", stated.held_out, parent.held_out
    if there.accuracy - here.accuracy <= ERRORS * math.hypot(there.standard_error, here.error):
        return None
    return (
        f"its file states {accuracy_text(there.accuracy)} on {which} images of {data}, and it reaches "
        f"{accuracy_text(here.accuracy, here.error)} here: check that --data is what it was trained on"
    )


def _weak(parent: Parent, facts: DataFacts) -> str | None:
    """That it is little better than chance: candidates begin with what it has learnt."""
    accuracy, chance = parent.summary.accuracy, facts.chance
    value = accuracy_text(accuracy.accuracy, accuracy.error)
    largest = f"{accuracy_text(chance)}, the share of the largest class"
    if accuracy.accuracy - ERRORS * accuracy.error <= chance:
        return f"{value} is not two standard errors above {largest}: what inherits from it has little to begin with"
    if accuracy.accuracy < (1 + chance) / 2:
        return (
            f"{value} is nearer to {largest}, than to 100 %: it is a weak network to inherit from, unless no network "
            "does much better on this data; train it for longer first (archdsl train)"
        )
    return None
