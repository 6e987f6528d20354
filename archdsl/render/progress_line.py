"""What long work without a display of its own is doing: one line on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.text import Text

from archdsl.render.texts import printable

PATIENCE_S = 5.0
"""Seconds between two lines of a log."""


class ProgressLine:
    """A callback that shows what is being done; use it inside `with`.

    On a terminal each text takes the place of the one before, and the last is removed at the end. Elsewhere a text is
    printed if the work has gone on for some seconds since the last one, so that short work prints nothing.
    """

    def __init__(
        self,
        console: Console,
        is_silent: bool,
        remark: Callable[[str], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`remark` prints what `note` is handed."""
        self._console, self._is_silent, self._remark, self._now = console, is_silent, remark, now
        self._printed, self._is_drawn = now(), False

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.clear()

    def __call__(self, text: str) -> None:
        """Say what is done now."""
        if self._is_silent:
            return
        if self._console.is_terminal:
            self.clear()
            line = Text(printable(text))
            line.truncate(max(self._console.width - 1, 1), overflow="ellipsis")
            self._console.print(line, end="")
            self._is_drawn = True
        elif self._now() - self._printed >= PATIENCE_S:
            self._printed = self._now()
            self._console.print(Text(printable(text)), soft_wrap=True)

    def note(self, text: str) -> None:
        """Print a sentence that stays, also where progress is silent."""
        self.clear()
        self._remark(text)

    def clear(self) -> None:
        """Remove the line from a terminal."""
        if self._is_drawn:
            self._console.file.write("\r\x1b[2K")
            self._console.file.flush()
            self._is_drawn = False
