"""What is kept across searches, in a few lines."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from archdsl.numbers import bytes_text
from archdsl.render.texts import clock, counted

if TYPE_CHECKING:
    from archdsl.search.store.cache import Contents


def cache_lines(contents: Contents) -> list[str]:
    """Where it is, how much it holds, how old that is, and how long its trainings took."""
    if not contents.results and not contents.tables:
        return [f"{contents.folder}: empty"]
    kept = [f"{counted(contents.results, 'training')}, {bytes_text(contents.bytes)}"]
    if contents.tables:
        kept.append(f"{counted(contents.tables, 'file')} of latencies, {bytes_text(contents.table_bytes)}")
    lines = [f"{contents.folder}: {'; '.join(kept)}"]
    if contents.oldest is not None and contents.newest is not None:
        first, last = (f"{datetime.fromtimestamp(moment):%Y-%m-%d}" for moment in (contents.oldest, contents.newest))
        written = f"written {first}" if first == last else f"written from {first} to {last}"
        lines.append(f"trainings took {clock(contents.seconds)}; {written}")
    return lines
