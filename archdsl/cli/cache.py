"""`archdsl cache`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from archdsl.cli import output
from archdsl.cli.options import Json, chosen

ACTIONS = ("show", "clear")
Action = Annotated[
    str,
    typer.Argument(
        metavar="[show|clear]",
        callback=chosen("action", lambda: ACTIONS),
        show_default=False,
        help="what to do (default: show)",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="clear without asking")]


def command(action: Action = "show", yes: Yes = False, as_json: Json = False) -> None:
    """Show or clear the cache: the results of short trainings, and latency tables.

    Searches reuse both. The cache keeps the accuracy of a training, not its weights: a network from the cache that may
    win is trained again. The cache is in the folder $ARCHDSL_CACHE (default: a folder in the user's cache folder). Runs
    keep their own results: clearing the cache makes later searches slower, so that within a time limit they try fewer
    networks.

    \b
    Examples:
      archdsl cache
      archdsl cache clear --yes
    """
    from archdsl.render.kept import cache_lines
    from archdsl.search.store import cache

    contents = cache.contents()
    if action == "clear":
        files = contents.results + contents.tables
        _agree(f"remove {files} file{'s' * (files != 1)} from {contents.folder}?", yes or not files)
        removed = cache.clear()
        if as_json:
            return output.result_json({"folder": str(contents.folder), "removed": removed})
        return output.lines(f"removed {removed} file{'s' * (removed != 1)} from {contents.folder}")
    if as_json:
        return output.result_json(contents._asdict() | {"folder": str(contents.folder)})
    return output.lines(*cache_lines(contents))


def _agree(question: str, agreed: bool) -> None:
    """Ask on a terminal; elsewhere nobody can answer.

    Raises:
        BadParameter: there is no terminal to ask on.
    """
    if agreed:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter("there is no terminal to ask on; add --yes", param_hint="'clear'")
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)
