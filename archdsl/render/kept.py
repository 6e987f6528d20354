"""What is kept across searches, in a few lines."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from archdsl.numbers import bytes_text
from archdsl.render.search import clock

if TYPE_CHECKING:
    from archdsl.search.store.cache import Contents


def cache_lines(found: Contents) -> list[str]:
    """Where it is, how much, how old, and what it took to come by."""
    if not found.results and not found.tables:
        return [f"{found.folder}: empty"]
    kept = [f"{found.results} training{'s' * (found.results != 1)}, {bytes_text(found.bytes)}"]
    if found.tables:
        kept.append(f"{found.tables} file{'s' * (found.tables != 1)} of latencies, {bytes_text(found.table_bytes)}")
    lines = [f"{found.folder}: {'; '.join(kept)}"]
    if found.oldest is not None and found.newest is not None:
        first, last = (f"{datetime.fromtimestamp(moment):%Y-%m-%d}" for moment in (found.oldest, found.newest))
        written = f"written {first}" if first == last else f"written from {first} to {last}"
        lines.append(f"trainings took {clock(found.seconds)}; {written}")
    return lines
