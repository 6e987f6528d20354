"""Sentences and command lines that keep to the width; no path, number or shell word is ever broken."""

from __future__ import annotations

import re

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from archdsl.render.columns import whole, wrapped
from archdsl.render.texts import printable

_SHELL_WORD = re.compile(r"""(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\])+""")
_ENDING_COMMAND = re.compile(r": (archdsl [a-z-]+ .*)$", re.DOTALL)
_CONTINUED = " \\"
_INDENT = "  "


class Prose:
    """A paragraph, broken between words; lines after the first are indented by `hanging`, all by `indent`.

    A command of archdsl that ends it after a colon stands below it, so that it can be copied.
    """

    def __init__(self, text: str, style: str = "", indent: str = "", hanging: str = "") -> None:
        self.text, self.style, self.indent, self.hanging = printable(text), style, indent, hanging

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(options.max_width - len(self.indent), 1)
        ending = _ENDING_COMMAND.search(self.text) if len(self.text) > width else None
        text = self.text if ending is None else self.text[: ending.start(1)].rstrip()
        yield from (whole(f"{self.indent}{line}", self.style) for line in wrapped(text, width, self.hanging))
        if ending is not None:
            yield Command(ending[1])


class Command:
    """A shell command that can be copied as it stands: where it is too long it goes on after a backslash."""

    def __init__(self, command: str) -> None:
        self.command = printable(command, "\n")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text("\n".join(command_lines(self.command, options.max_width)), no_wrap=True, overflow="ignore")


def command_lines(command: str, width: int) -> list[str]:
    """A command broken between its words, an option beside its value; a word that is wider than all stays whole."""
    lines, line = [], _INDENT
    for group in _groups(command_words(command)):
        first, *others = group.split("\n")
        if line.strip() and len(line) + 1 + len(first) + len(_CONTINUED) > width:
            lines.append(f"{line}{_CONTINUED}")
            line = 2 * _INDENT
        line += " " * bool(line.strip()) + first
        for other in others:  # a newline inside quotes
            lines.append(line)
            line = other
    return [*lines, line]


def command_words(command: str) -> list[str]:
    """The words of a command as they are written, quotes included."""
    return _SHELL_WORD.findall(command)


def _groups(words: list[str]) -> list[str]:
    """Each option with its value, each redirection with its file."""
    groups: list[str] = []
    for place, word in enumerate(words):
        before = words[place - 1] if place else ""
        is_value = (before.startswith("--") and not word.startswith("-")) or before in ("-c", ">")
        if is_value:
            groups[-1] += f" {word}"
        else:
            groups.append(word)
    return groups
