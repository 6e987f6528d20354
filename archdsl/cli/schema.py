"""`archdsl schema`."""

from __future__ import annotations

from typing import Annotated

import typer

from archdsl.cli import output
from archdsl.cli.options import chosen

KINDS = ("arch", "space")
Kind = Annotated[
    str, typer.Argument(metavar="arch|space", callback=chosen("kind of document", lambda: KINDS), help="which kind")
]


def command(kind: Kind) -> None:
    """Print the JSON Schema (2020-12) of a kind of document; editors complete and check by it.

    Name the file that you save it to in "$schema" of your document. Types of other packages are not in it.

    \b
    Examples:
      archdsl schema arch > arch-1.schema.json
      archdsl schema space
    """
    from importlib.resources import files

    output.document((files("archdsl.schemas") / f"{kind}-1.schema.json").read_bytes().decode())
