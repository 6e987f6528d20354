"""A training as it runs: a bar on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import math
import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from archdsl.render.progress import Progress
from archdsl.render.prose import Prose
from archdsl.render.texts import clock
from archdsl.training.session import Moment


class TrainingDisplay:
    """A live bar on a terminal; elsewhere a line an epoch. Use as a watcher inside `with`."""

    def __init__(self, console: Console, quiet: bool = False) -> None:
        self._console, self._quiet = console, quiet
        self._live: Live | None = None
        self._drawn = 0.0

    def __enter__(self) -> TrainingDisplay:
        if self._console.is_terminal and not self._quiet:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, moment: Moment, line: str | None) -> None:
        """Shows a step; `line` is worth keeping."""
        if self._quiet:
            return
        if line is not None:
            kept = Prose(line, hanging="  ") if self._console.is_terminal else Text(line)
            self._console.print(kept, soft_wrap=True)
        elif self._live is not None and time.monotonic() - self._drawn > 0.2:
            self._drawn = time.monotonic()
            self._live.update(bar(moment))


def bar(moment: Moment) -> Progress:
    """The bar with the step, the loss and the time beside it."""
    of = f"/{moment.steps:,}" if moment.steps is not None else ""
    loss = "" if math.isnan(moment.loss) else f"loss {moment.loss:.3f}"
    return Progress(moment.share, (f"step {moment.step:,}{of}", loss, clock(moment.seconds)))
