"""The command line: a module a command, and one place that turns whatever happens into a line and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `archdsl` with these arguments, else the process's; the exit code (0 fine, 1 failed, 2 wrong use)."""
    try:
        from archdsl.cli.ending import run

        return run(list(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt:  # before or after the command itself
        return 130
