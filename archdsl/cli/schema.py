"""`archdsl schema`."""

from __future__ import annotations

from typing import Annotated

import typer

from archdsl.cli import output
from archdsl.cli.options import chosen
from archdsl.families import registry

KINDS = ("arch", "space")
Kind = Annotated[
    str,
    typer.Argument(metavar="arch|space", callback=chosen("kind of document", lambda: KINDS), help="kind of document"),
]


def command(kind: Kind) -> None:
    """Print the JSON Schema (2020-12) of a kind of document, by which editors complete and check documents.

    Save it to a file, and name that file in "$schema" of your document. It includes the types of installed packages.

    \b
    Examples:
      archdsl schema arch > arch-1.schema.json
      archdsl schema space
    """
    output.document(_with_installed_types(kind) if registry.installed() else _shipped(kind))


def _shipped(kind: str) -> str:
    from importlib.resources import files

    return (files("archdsl.schemas") / f"{kind}-1.schema.json").read_bytes().decode()


def _with_installed_types(kind: str) -> str:
    from archdsl.reference import jsonschema

    make = jsonschema.arch_schema if kind == "arch" else jsonschema.space_schema
    return jsonschema.text(make(installed=True))
