"""`archdsl new`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archdsl.cli import output
from archdsl.cli.documents import open_document, overridden
from archdsl.cli.exit_codes import FAILED
from archdsl.cli.options import Document, Set, whole

if TYPE_CHECKING:
    from archdsl.language.document import Spec
    from archdsl.spaces.space import Space

Sample = Annotated[
    int | None,
    typer.Option(
        "--sample",
        metavar="N",
        parser=whole(10_000),
        help="draw N different valid networks of a search space instead, as JSON lines or into a folder",
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FOLDER", help="folder for the sampled documents, a file each (with --sample)"),
]


Around = Annotated[
    bool,
    typer.Option(
        "--space",
        help="print the search space around a backbone: alternatives to each block, and one block for several",
    ),
]


def command(
    spec: Document,
    assignments: Set = None,
    around: Around = False,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NEW", help="name of the copy, or what the names of a sample begin with"),
    ] = None,
    number: Sample = None,
    out: Folder = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="of the sample (default: 0)", show_default=False)
    ] = 0,
) -> None:
    """Print a copy of a backbone or a search space; redirect it to a file, and edit that.

    With `--space` it prints an editable search space around the backbone. At each position of a stage stands a choice:
    the block that is there, the same block with another mixer or MLP of equal width and stride, and spans, each of
    which is one block in the place of two to six. A stage that cannot be written as a sequence
    of blocks stays as it is.

    With `--sample` it draws valid networks of a space, uniformly in each variable. No two are the same network, and the
    same seed draws the same ones.

    \b
    Examples:
      archdsl new litv2_s > mine.json
      archdsl new litv2_s --name mine --set stage3.depth=8 --set image=192 > mine.json
      archdsl new litv2_s --space > my.json
      archdsl new lit-dat-64 --sample 5 -o drawn
    """
    from archdsl.language.document import Spec
    from archdsl.language.text.writing import dump
    from archdsl.load.sources import is_embedded

    _check_name(name)
    document = open_document(spec)
    content = overridden(document, assignments) if assignments else document.content
    text = document.text
    if around:
        if not isinstance(content, Spec):
            raise typer.BadParameter(
                "a space is made around a backbone; this is a search space", param_hint="'--space'"
            )
        text, content = _space_around(content)
    if number is not None:
        if isinstance(content, Spec):
            raise typer.BadParameter("only a search space is sampled; this is a backbone", param_hint="'--sample'")
        return _write_sample(_drawn(content, number, seed, name), out)
    if out is not None:
        raise typer.BadParameter("only a sample is written to a folder; add --sample N", param_hint="'--out'")
    if isinstance(content, Spec) and (assignments or is_embedded(spec)):  # embedded documents stand on one line
        text = dump(content)
    elif is_embedded(spec) and not around:
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"
    return output.document(text if name is None else _renamed(text, name))


def _space_around(spec: Spec) -> tuple[str, Space]:
    """The space of a backbone's block choices, as text too; which stages have none is said."""
    from archdsl.language.text.writing import dump_document
    from archdsl.load.spaces import space_of
    from archdsl.spaces.block_choices import block_choices

    document, kept = block_choices(spec)
    if kept:
        fields = sorted({field for fields in kept.values() for field in fields})
        stays = f"{' and '.join(kept)} stay{'s' * (len(kept) == 1)} as in {spec.name}"
        output.remark(f"{stays}: a sequence has no {' and no '.join(fields)}")
    return dump_document(document), space_of(document)


def _drawn(space: Space, number: int, seed: int, name: str | None) -> list[Spec]:
    """So many networks of a space; exit code 1 if fewer are found."""
    from archdsl.load.spaces import sample

    specs = sample(space, number, seed, name)
    if len(specs) < number:
        output.error(f"{space.name}: only {len(specs)} different valid networks were found; ask for no more")
        raise typer.Exit(FAILED)
    return specs


def _write_sample(specs: list[Spec], folder: Path | None) -> None:
    """A file a network, whose paths are printed; without a folder a line of JSON each."""
    from archdsl.files import write_text
    from archdsl.language.text.writing import dump

    if folder is None:
        return output.document("".join(json.dumps(spec.to_json(), ensure_ascii=False) + "\n" for spec in specs))
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{spec.name}.json" for spec in specs]
    for path, spec in zip(paths, specs, strict=True):
        write_text(path, dump(spec))
    return output.lines(*map(str, paths))


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
