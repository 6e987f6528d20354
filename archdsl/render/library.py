"""A library as it is built, and as a person reads it."""

from __future__ import annotations

import time

from rich.console import Console, RenderableType
from rich.text import Text

from archdsl.deriving.library.facts import Entry
from archdsl.deriving.library.folder import Library
from archdsl.deriving.library.progress import BuildProgress
from archdsl.json_types import objects_in
from archdsl.render.columns import Column, Sheet
from archdsl.render.library_texts import block_text, kl_text
from archdsl.render.live import LiveDisplay
from archdsl.render.progress import Progress
from archdsl.render.texts import clock, counted, printable

_LINE_S = 10.0


class LibraryDisplay(LiveDisplay):
    """A live bar on a terminal; elsewhere a line every ten seconds. Use as a watcher inside `with`."""

    def __init__(self, console: Console, quiet: bool = False) -> None:
        super().__init__(console, quiet)
        self._said = float("-inf")

    def __call__(self, progress: BuildProgress) -> None:
        """Shows how far the building is."""
        texts = progress_texts(progress)
        if self._live is not None:
            self._live.update(Progress(progress.done / max(progress.total, 1), texts))
            return
        is_last, now = progress.done == progress.total, time.monotonic()
        if not self._quiet and (is_last or now - self._said >= _LINE_S):
            self._said = float("inf") if is_last else now
            self._console.print(Text("  ".join(text for text in texts if text)), soft_wrap=True)


def progress_texts(progress: BuildProgress) -> tuple[str, ...]:
    """Replacements that are finished, seconds, and seconds left."""
    left = "" if progress.left_s is None or progress.done == progress.total else f"about {clock(progress.left_s)} left"
    return f"{progress.done:,} of {counted(progress.total, 'replacement')}", clock(progress.seconds), left


def library_sheet(library: Library) -> RenderableType:
    """A replacement a row, in the order of the positions; below, what was left out and what the library is for."""
    entries = _by_position(library)
    columns = [
        Column("position", [Text(_position(entry)) for entry in entries]),
        Column("block", [Text(printable(block_text(entry.block))) for entry in entries], least=16),
        Column("KL", [Text(kl_text(entry.kl or 0.0)) for entry in entries], right=True),
        Column("error before", [Text(_error(entry.before)) for entry in entries], right=True, drop=2),
        Column("after", [Text(_error(entry.after)) for entry in entries], right=True, drop=1),
    ]
    index, settings = library.index, library.index.settings
    seconds = sum(entry.seconds for entry in index.entries)
    notes = [f"left out: {entry.name}: {entry.reason}." for entry in library.left_out]
    notes += [
        "KL: from the parent's output to that with this block alone exchanged, in nats; errors: squared, as shares of "
        "what the parent's blocks add.",
        f"{settings.steps} steps of {settings.batch} images per fit, at most {settings.images:,} images to fit and "
        f"{settings.scored:,} to score; seed {settings.seed}; {seconds:.0f} s.",
        f"Parent {index.parent}; data {index.data}; {index.image[0]}x{index.image[1]}; space {index.space}.",
    ]
    return Sheet(columns, notes, f"{library.folder}: {counted(len(entries), 'replacement')} for blocks")


def _by_position(library: Library) -> list[Entry]:
    """The usable replacements by the parent's stages, then by their positions."""
    nodes = [str(node["id"]) for node in objects_in(library.index.spec["nodes"])]
    stages = {name: place for place, name in enumerate(nodes)}
    return sorted(library.usable, key=lambda entry: (stages.get(entry.stage, len(nodes)), entry.first, entry.span))


def _position(entry: Entry) -> str:
    last = f" to {entry.first + entry.span - 1}" if entry.span > 1 else ""
    return f"{entry.stage}.{entry.first}{last}"


def _error(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
