"""What a notebook shows of a backbone, a space, its costs or a search: small, and with all that it names escaped."""

from __future__ import annotations

import io
from html import escape
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType

from archdsl.cost import Count, count
from archdsl.language.document import Spec
from archdsl.render.comparison import comparison
from archdsl.render.search import summary
from archdsl.render.space import SpacePage
from archdsl.render.svg import count_table, svg
from archdsl.render.texts import printable
from archdsl.render.tree import show
from archdsl.search.store.result import Result
from archdsl.spaces.space import Space

if TYPE_CHECKING:
    from archdsl.search.comparison.result import Scores

_WIDTH = 100
"""Columns of a drawing."""


def spec_html(spec: Spec) -> str:
    """The nodes with shapes and costs, and the picture to be unfolded."""
    return f"{_drawn(show(spec, count(spec)))}<details><summary>picture</summary>{svg(spec)}</details>"


def space_html(space: Space) -> str:
    """The nodes with their alternatives, the variables, and what a search must keep; points are not counted."""
    return _drawn(SpacePage(space))


def count_html(counted: Count) -> str:
    """Params and MACs of each node, with their shares."""
    return count_table(counted)


def result_html(result: Result) -> str:
    """What the search prints at its end."""
    return _drawn(summary(result))


def scores_html(scores: Scores) -> str:
    """The table of the run with the networks in it, as `archdsl score` prints it."""
    return _drawn(comparison(scores))


def _drawn(shown: RenderableType) -> str:
    """A drawing for a terminal as preformatted text."""
    console = Console(file=io.StringIO(), width=_WIDTH, color_system=None, markup=False, highlight=False, emoji=False)
    with console.capture() as captured:
        console.print(shown, soft_wrap=True)
    return f'<pre style="line-height: 1.2">{escape(printable(captured.get().rstrip(), keep=chr(10)))}</pre>'
