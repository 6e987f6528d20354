"""How little of its space a short search has seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from archdsl.numbers import plain_text
from archdsl.render.texts import counted
from archdsl.search.doctor.points import Points
from archdsl.search.doctor.survey import Size, survey
from archdsl.search.policy.doctor import SurveyPolicy
from archdsl.search.trial import LIBRARY, NARROWER, SMALLER
from archdsl.spaces.space import Space

FEW = 20
"""Trials below which it is said of how many networks the winner is the best."""
_LOOKED_AT = 200
"""Choices from which the networks of a space are counted."""


def few_trials_text(space: Space, trials: int, origins: Iterable[str | None] = (), too_slow: int = 0) -> str:
    """Of how many networks of its space the winner of a short search was chosen; empty where these are many or all.

    `too_slow` of them were measured over the gate, and not trained. `origins` say where networks come from that need
    not be in the space: a library, or copies of the parent.
    """
    from_where = Counter(origins)
    of_library = from_where[LIBRARY]
    if from_where[NARROWER] or from_where[SMALLER]:
        return _of_copies(trials, from_where[NARROWER], from_where[SMALLER], too_slow)
    if trials >= FEW:
        return ""
    if of_library:
        tried = _tried(trials, too_slow)
        made = f"{of_library:,} of them" if of_library < trials else "all of them"
        made = made if trials > 1 else "which was"
        best = f"the winner is the best of {tried}, {made} proposed by the library"
        return f"{best}; a longer search may find a better one"
    size = _size(space)
    if size.networks is not None and trials >= size.networks:
        return ""
    networks = f"{size.networks:,}" if size.networks is not None else f"about {plain_text(size.points, 2)}"
    if size.continuous:
        networks = "infinitely many"
    tried = _tried(trials, too_slow)
    return f"the winner is the best of {tried}, out of {networks} in the space; a longer search may find a better one"


def _tried(trials: int, too_slow: int) -> str:
    text = counted(trials, "network that was tried", "networks that were tried")
    return f"{text} ({too_slow:,} of them too slow)" if too_slow else text


def _of_copies(trials: int, copies: int, smaller: int, too_slow: int) -> str:
    """The same where copies of the parent were tried, or networks that are smaller than any of the space."""
    number = copies or smaller
    several = "a copy" if number == 1 else "copies"
    which = f"{several} of the parent with fewer channels" if copies else "smaller than any network of the space"
    if trials == 1:
        return f"the winner is the one network that was tried, {which}"
    some = which if number >= trials else f"{number:,} of them {which}"
    more = "" if number >= trials else "; a longer search may find a better one"
    return f"the winner is the best of {_tried(trials, too_slow)}, {some}{more}"


def _size(space: Space) -> Size:
    """Of a space, estimated once: a search tells it in its summary, in its texts and in its page."""
    key = str(space.model_dump())
    if key not in _SIZES:
        looked_at = survey(space, Points(space), SurveyPolicy(most_choices=_LOOKED_AT, samples=_LOOKED_AT))
        _SIZES[key] = looked_at.size
    return _SIZES[key]


_SIZES: dict[str, Size] = {}
