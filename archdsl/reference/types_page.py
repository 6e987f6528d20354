"""The reference of all types, docs/reference/types.md, made by `python -m archdsl.reference.types_page`.

It knows the types of this package, not those of installed ones, so that the committed file is the same everywhere.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

from pydantic.fields import FieldInfo

from archdsl.families.common.base import Head, Join, Merge, Part, Stem
from archdsl.families.common.block import Block
from archdsl.families.common.fields import SubObject, type_name
from archdsl.families.common.stage import Stage
from archdsl.language import introspection
from archdsl.language.nodes import Node, declared, node_models
from archdsl.reference import field_docs

_SECTIONS = {
    "Stems": ("stem",),
    "Stages": ("block", "stage"),
    "Merges": ("merge",),
    "Joins": ("join",),
    "Heads": ("head",),
}
_COLUMNS = "| field | values | default | meaning |\n|---|---|---|---|\n"
_ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
_PAPER = re.compile(r"(?P<name>[^:\n]+): (?P<title>.+) \(arXiv:(?P<arxiv>[\d.]+)\)\.\n")

_TOP = """# Types

Every `type` that a document can name, with its fields. [The language](language.md) describes the document around them.
In formulas, the map that a part reads has C channels and H x W positions; M is a number of semantic tokens.

| type | reads | gives | |
|---|---|---|---|
"""
_STAGES = """A stage is `depth` blocks at one resolution and width, which it keeps. Every type below except `sequence`
is a stage of equal blocks: it has the fields of every stage, those of every block, and its own. As a block in a
`sequence` it has only the fields of a block.

Fields of every stage:

{stage}
Fields of every block:

{block}
"""
_OPTIONS = """## Options

An option is an object inside a part. Its `type` must be written, and decides the defaults of its other fields.

"""
_BOTTOM = "Generated from the declarations of the types.\n"


def reference() -> str:
    """The text of docs/reference/types.md."""
    parts = [part for _, part in declared() if part.__module__.startswith("archdsl.")]
    ordered = [[part for part in parts if part.kind in kinds] for kinds in _SECTIONS.values()]
    papers = _papers(parts)
    index = "".join(f"{_index_row(part)}\n" for section in ordered for part in section)
    sections = (_section(title, section, papers) for title, section in zip(_SECTIONS, ordered, strict=True))
    return "\n".join([_TOP + index, *sections, _OPTIONS + "\n".join(_option_tables(parts)), _BOTTOM])


def _section(title: str, parts: list[type[Part]], papers: dict[str, str]) -> str:
    common = ""
    if title == "Stages":
        common = _STAGES.format(stage=_table(_fields(Stage)), block=_table(_fields(Block)))
    return f"## {title}\n\n{common}" + "\n".join(_entry(part, papers) for part in parts)


def _entry(part: type[Part], papers: dict[str, str]) -> str:
    """One type: what it does and where it is from, its ports and shapes, its fields."""
    fields, other = _own_fields(part)
    text = f"### {type_name(part)}\n\n{cleandoc(part.__doc__ or '')}\n\n"
    text += " ".join(filter(None, (_source(part, papers), _ports(part), _shape_rule(part)))) + "\n"
    if fields:
        text += f"\n{_table(fields)}"
    if other:
        defaults = ", ".join(f"`{name}` {field_docs.default(field)}" for name, field in other.items())
        text += f"\nFields of every block that have another default here: {defaults}.\n"
    return text


def _own_fields(part: type[Part]) -> tuple[dict[str, FieldInfo], dict[str, FieldInfo]]:
    """The fields that a type's section lists, and those of every block whose default is another here."""
    common = {*_fields(Node), *(Stage.model_fields if part.kind in ("block", "stage") else ())}
    shared = Block.model_fields if issubclass(part, Block) else {}
    fields = {name: field for name, field in _fields(node_models()[type_name(part)]).items() if name not in common}
    new = {name: field for name, field in fields.items() if name not in shared}
    other = {name: fields[name] for name in shared if name in fields and fields[name].default != shared[name].default}
    return new, other


def _fields(model: type[Part] | type[Node]) -> dict[str, FieldInfo]:
    return {name: field for name, field in introspection.fields(model).items() if name != "type"}


def _table(fields: dict[str, FieldInfo]) -> str:
    return _COLUMNS + "".join(f"{field_docs.row(name, field)}\n" for name, field in fields.items())


def _index_row(part: type[Part]) -> str:
    name, first = type_name(part), cleandoc(part.__doc__ or "").partition("\n")[0]
    return f"| [{name}](#{name}) | {_reads(part)} | {_gives(part)} | {first} |"


def _ports(part: type[Part]) -> str:
    return f"Reads {_reads(part)}; gives {_gives(part)}."


def _reads(part: type[Part]) -> str:
    if part.kind == "stem":
        return "the image"
    if isinstance(part.reads, property):
        return "what its blocks read"
    if issubclass(part, Join):
        return f"{part.fewest} to {part.most} maps"
    return ", ".join(f"{port} (optional)" if port in part.optional else port for port in part.reads)


def _gives(part: type[Part]) -> str:
    if isinstance(part.gives, property):
        return "the same"
    token = issubclass(part, Block) and "class_token" in part.stage.model_fields
    return "logits" if issubclass(part, Head) else ", ".join(part.gives) + ", class (if `class_token`)" * token


def _shape_rule(part: type[Part]) -> str:
    """What a declaration says of its shapes, where it says something of its own."""
    if issubclass(part, Block):
        rule = part.mixer_out.__doc__ if part.mixer_out is not Block.mixer_out else ""
    else:
        rule = part.out.__doc__ if issubclass(part, Stem | Merge | Join) else ""
    return f"Shape: {cleandoc(rule)}" if rule else ""


def _papers(parts: list[type[Part]]) -> dict[str, str]:
    """Names of papers by arXiv number, from the docstrings of the families' files."""
    matches = (_PAPER.match(_file_docstring(part)) for part in parts)
    return {match["arxiv"]: match["name"] for match in matches if match}


def _source(part: type[Part], papers: dict[str, str]) -> str:
    """A link to the paper that the file of a declaration names first."""
    number = _ARXIV.search(_file_docstring(part))
    return f"From [{papers[number[1]]}](https://arxiv.org/abs/{number[1]})." if number else ""


def _file_docstring(part: type[Part]) -> str:
    return sys.modules[part.__module__].__doc__ or ""


def _option_tables(parts: list[type[Part]]) -> Iterator[str]:
    """A table a field that takes sub-objects: each option once, with the types that offer it where not all do."""
    offers: dict[str, dict[type[SubObject], list[str]]] = {}
    for part in parts:
        for name, field in _fields(part).items():
            for model in field_docs.options_of(field):
                offers.setdefault(name, {}).setdefault(model, []).append(type_name(part))
    for name, models in sorted(offers.items()):
        everywhere = len({tuple(types) for types in models.values()}) == 1
        columns, rule = ("| type | what | fields |", "|---|---|---|")
        head = f"{columns}\n{rule}\n" if everywhere else f"{columns} in |\n{rule}---|\n"
        rows = (_option_row(model, [] if everywhere else types) for model, types in models.items())
        yield f"### {name} options\n\n{head}" + "".join(rows)


def _option_row(model: type[SubObject], types: list[str]) -> str:
    cells = [f"`{type_name(model)}`", " ".join(cleandoc(model.__doc__ or "").split()), field_docs.option(model)]
    cells += [", ".join(f"[{name}](#{name})" for name in types)] if types else []
    return f"| {' | '.join(cells)} |\n"


def main() -> None:
    """Renew the committed file."""
    file = Path(__file__).parents[2] / "docs" / "reference" / "types.md"
    file.write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
