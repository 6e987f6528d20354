"""`archdsl new`."""

from __future__ import annotations

import json
import re
from typing import Annotated

import typer

from archdsl.cli import output
from archdsl.cli.documents import open_document, overridden
from archdsl.cli.options import Name, Set


def command(
    spec: Name,
    assignments: Set = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NEW", help="name of the copy (default: the name of SPEC)")
    ] = None,
) -> None:
    """Print a copy of a backbone or a search space; redirect it to a file, and edit that.

    \b
    Examples:
      archdsl new litv2_s > mine.json
      archdsl new litv2_s --name mine --set stage3.depth=8 --set image=192 > mine.json
    """
    from archdsl.language.document import Spec
    from archdsl.language.text.writing import dump
    from archdsl.load.sources import is_embedded

    _check_name(name)
    document = open_document(spec)
    content = overridden(document, assignments) if assignments else document.content
    text = document.text
    if isinstance(content, Spec) and (assignments or is_embedded(spec)):  # embedded documents stand on one line
        text = dump(content)
    elif is_embedded(spec):
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"
    output.document(text if name is None else _renamed(text, name))


def _check_name(name: str | None) -> None:
    from archdsl.language.patterns import NAME

    if name is not None and not re.fullmatch(NAME, name):
        raise typer.BadParameter(
            f"{name!r} is not a valid name; use lower-case letters, digits, _, - and .", param_hint="'--name'"
        )


def _renamed(text: str, name: str) -> str:
    """The same text but for the name."""
    from archdsl.language.text.positions import locate

    spot = dict(locate(text).walk())[("name",)]
    written = json.JSONDecoder().raw_decode(text, spot.start)[1]
    return text[: spot.start] + json.dumps(name) + text[written:]
