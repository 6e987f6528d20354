"""A training as it runs: a bar on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import math
import time

from rich.console import Console
from rich.text import Text

from archdsl.render.live import LiveDisplay
from archdsl.render.progress import Progress
from archdsl.render.prose import Prose
from archdsl.render.texts import clock
from archdsl.training.session import Moment


class TrainingDisplay(LiveDisplay):
    """A live bar on a terminal; elsewhere a line an epoch. Use as a watcher inside `with`."""

    def __init__(self, console: Console, quiet: bool = False) -> None:
        super().__init__(console, quiet)
        self._drawn = 0.0

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
