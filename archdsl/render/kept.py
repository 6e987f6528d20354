"""What is kept across searches, in a few lines."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from archdsl.render.numbers import bytes_text
from archdsl.render.search import clock

if TYPE_CHECKING:
    from archdsl.search.cache import Contents


def cache_lines(found: Contents) -> list[str]:
    """Where it is, how much, how old, and what it took to come by."""
    if not found.results or found.oldest is None or found.newest is None:
        return [f"{found.folder}: empty"]
    first, last = (f"{datetime.fromtimestamp(moment):%Y-%m-%d}" for moment in (found.oldest, found.newest))
    trainings = f"{found.results} training{'s' * (found.results != 1)}"
    written = f"written {first}" if first == last else f"written from {first} to {last}"
    return [f"{found.folder}: {trainings}, {bytes_text(found.bytes)}", f"took {clock(found.seconds)}; {written}"]
