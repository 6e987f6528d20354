"""How far a search is: a bar with what stands beside it."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from archdsl.render.columns import Line


class Progress:
    """A bar that leaves room for what stands beside it; without room for a bar, its line alone."""

    def __init__(self, share: float, texts: tuple[str, ...]) -> None:
        self.share, self.texts = share, texts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(30, options.max_width - sum(len(text) + 1 for text in self.texts) - 1)
        if width < 4:
            yield Line("  ".join(text for text in self.texts if text))
            return
        row = Table.grid(padding=(0, 1))
        row.add_row(ProgressBar(total=1.0, completed=self.share, width=width), *(Text(text) for text in self.texts))
        yield row
