"""What is printed where: results to stdout, messages to stderr, both as they are, without markup or wrapping."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, NamedTuple

from archdsl.json_types import Json

if TYPE_CHECKING:
    from archdsl.render.progress_line import ProgressLine


class Talk(NamedTuple):
    """How much is said beside the result."""

    quiet: bool = False
    verbose: bool = False


_talk = Talk()


def set_talk(quiet: bool, verbose: bool) -> None:
    """Take `-q` and `-v` to heart, for this run of the command line."""
    global _talk
    _talk = Talk(quiet, verbose)


def talk() -> Talk:
    """How much this run says."""
    return _talk


def lines(*texts: str) -> None:
    """What was asked for, to stdout, a line each."""
    from archdsl.render.console import print_lines

    print_lines(texts)


def document(text: str) -> None:
    """A document, to stdout, in UTF-8 whatever the terminal's encoding: what is to read it knows no other."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


def result_json(value: Json) -> None:
    """The same facts for programs, to stdout."""
    document(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def error(text: str) -> None:
    """Why there is no result, to stderr, also with `-q`."""
    from archdsl.render.console import message

    for line in text.splitlines():
        message(line)


def remark(text: str) -> None:
    """Progress or a warning, to stderr, unless `-q`."""
    if not _talk.quiet:
        error(text)


def progress(as_json: bool) -> ProgressLine:
    """What long work is doing, on stderr; nothing with `-q`, nor where the result is JSON."""
    from archdsl.render.console import stderr
    from archdsl.render.progress_line import ProgressLine

    return ProgressLine(stderr(), is_silent=as_json or _talk.quiet, remark=remark)
