"""The reference of the command line, derived from the commands themselves: nothing of it is written by hand.

It is appended to the page reference/command-line when Sphinx reads it, so no copy can fall behind the commands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from typer.main import get_command

from archdsl.cli.app import app as archdsl_app

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PAGE = "reference/command-line"
_UNWRAPPED = "\b"
"""Before a paragraph whose lines are kept as they are, as typer has it: the examples."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Hook into Sphinx, which calls this."""
    app.connect("source-read", _append)
    return {"parallel_read_safe": True}


def _append(app: Sphinx, docname: str, source: list[str]) -> None:
    if docname == PAGE:
        source[0] += "\n" + "\n".join(entry(name, command, context) for name, command, context in commands())


def commands() -> Iterator[tuple[str, Any, Any]]:
    """Every command with its whole name and its context, `archdsl` itself first; a group before its members."""
    yield from _with_members("archdsl", get_command(archdsl_app), None)


def _with_members(name: str, command: Any, parent: Any) -> Iterator[tuple[str, Any, Any]]:
    context = command.make_context(name.split()[-1], [], parent=parent, resilient_parsing=True)
    yield name, command, context
    for member in command.list_commands(context) if hasattr(command, "list_commands") else ():
        yield from _with_members(f"{name} {member}", command.get_command(context, member), context)


def entry(name: str, command: Any, context: Any) -> str:
    """The section of one command: what it does, its examples, its arguments and options."""
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    text, _, examples = (command.help or "").partition(_UNWRAPPED)
    shown = re.sub(r"^  ", "", examples.partition("\n  ")[2], flags=re.MULTILINE).strip()
    parts = [f"## {name}", text.strip(), f"```text\n{usage}\n```"]
    parts += [f"Examples:\n\n```sh\n{shown}\n```"] if shown else []
    return "\n\n".join([*parts, *_parameters(command, context)]) + "\n"


def _parameters(command: Any, context: Any) -> Iterator[str]:
    """A definition for each argument and option, as `--help` prints it."""
    records = (parameter.get_help_record(context) for parameter in command.get_params(context))
    for name, text in filter(None, records):
        yield f"`{name}`\n: {text}"
