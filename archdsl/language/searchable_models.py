"""Searchable models, derived mechanically from the declared ones: any value, sub-object, block or node may be a hole.

A searchable model has the fields of its model, each of which takes a value or a hole. `$one_of` offers alternatives,
`$int` and `$float` ranges, `$expr` and `$same` derive a value from others. In a sequence's `blocks`, `$repeat` copies a
block, an alternative with `$span` stands in the place of several positions, and `depth` may be left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Annotated, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag
from pydantic.config import JsonDict

from archdsl.families.common.base import Part
from archdsl.families.common.block import Block
from archdsl.families.common.fields import TAG_MARK, Flag, Integer, Number, SubObject
from archdsl.families.common.sequence import Sequence
from archdsl.json_types import Json
from archdsl.language.nodes import MOST_BLOCKS, Node, declared, node_models
from archdsl.language.patterns import LABEL, VARIABLE
from archdsl.language.type_forms import (
    FieldDefinition,
    Form,
    Metadata,
    annotated,
    make_model,
    pair_of,
    tuple_of,
    union,
    union_of,
)

HOLES = ("$one_of", "$int", "$float", "$expr", "$same", "$repeat")
Name = Annotated[str, Field(pattern=VARIABLE, max_length=80)]
Label = Annotated[str, Field(pattern=LABEL, max_length=64)]
Times = Annotated[Integer, Field(ge=1, le=64)]
SPAN = "$span"
LONGEST_SPAN = 6
Span = Annotated[Integer, Field(ge=2, le=LONGEST_SPAN, description="positions in whose place the block stands")]

_FIXED = ("type", "id", "from_")
"""Fields that are never holes."""


class SearchableModel(BaseModel):
    """Where holes may stand. Nothing else is new in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Hole(SearchableModel):
    """What every choice may have: the name of its variable. Holes of one name are one variable."""

    name: Annotated[Name | None, Field(alias="$name")] = None


class Expr(SearchableModel):
    """A value computed from names and from fields of the resolved document."""

    expr: Annotated[str, Field(alias="$expr", max_length=200)]


class Same(SearchableModel):
    """The value of another hole."""

    same: Annotated[str, Field(alias="$same", max_length=80)]


def hole_kind(value: Json | BaseModel) -> str:
    """The union tag of a field that takes a value or a hole."""
    keys = value if isinstance(value, dict) else ()
    return next((TAG_MARK + key for key in HOLES if key in keys), "=value")


def with_holes(value: Form, ranges: Literal["", "int", "float"] = "", derived: bool = True) -> Form:
    """A value or a hole. `ranges` says which fit besides: those of integers, or with "float" of numbers too."""
    alternatives = (tuple_of(value), Field(alias="$one_of", min_length=1, max_length=64))
    one_of = make_model("OneOf", Hole, {"one_of": alternatives})
    members: list[tuple[Form, str]] = [(value, "value"), (one_of, "$one_of")]
    if derived:
        members += [(Expr, "$expr"), (Same, "$same")]
    ends = pair_of(value)
    if ranges:
        whole: dict[str, FieldDefinition] = {
            "bounds": (ends, Field(alias="$int")),
            "step": (Annotated[Integer, Field(ge=1)], Field(1, alias="$step")),
        }
        members.append((make_model("IntHole", Hole, whole), "$int"))
    if ranges == "float":
        fields: dict[str, FieldDefinition] = {
            "bounds": (ends, Field(alias="$float")),
            "step": (Annotated[Number, Field(gt=0)] | None, Field(None, alias="$step")),
            "log": (Flag, Field(False, alias="$log")),
        }
        members.append((make_model("FloatHole", Hole, fields), "$float"))
    return _tagged(members)


def _tagged(members: Iterable[tuple[Form, str]]) -> Form:
    tagged = union_of(annotated(form, [Tag(TAG_MARK + tag)]) for form, tag in members)
    return annotated(tagged, [Discriminator(hole_kind)])


def _searchable_field(annotation: Form, metadata: list[Metadata]) -> Form:
    """The searchable form of one field's annotation."""
    forms = list(_plain_types(annotation))
    models = [form for form in forms if isinstance(form, type) and issubclass(form, SubObject)]
    if models:
        return with_holes(union([searchable(model, label=True) for model in models]))
    return with_holes(annotated(annotation, metadata), "float" if float in forms else "int" if int in forms else "")


def _plain_types(annotation: Form) -> Iterator[Form]:
    """The types in an annotation, unions and annotations opened."""
    if get_origin(annotation) is Annotated:
        yield from _plain_types(get_args(annotation)[0])
    elif get_args(annotation) and get_origin(annotation) is not tuple:
        for inner in get_args(annotation):
            yield from _plain_types(inner)
    else:
        yield annotation


@cache
def searchable(model: type[BaseModel], label: bool, has_id: bool = True) -> type[BaseModel]:
    """The searchable model of a sub-object, a block (which may have a `$span`) or a node; alternatives have labels."""
    fields: dict[str, FieldDefinition] = {"label": (Label | None, Field(None, alias="$label"))} if label else {}
    if issubclass(model, Block) and not issubclass(model, Node):
        fields["span"] = (Span, Field(1, alias=SPAN))
    for name, field in model.model_fields.items():
        if name == "id" and not has_id:
            continue
        assert field.annotation is not None
        if name in _FIXED:
            fields[name] = (field.annotation, field)
        elif name == "blocks":
            fields[name] = (_block_list(declared()), ...)
        else:
            lifted = _searchable_field(field.annotation, field.metadata)
            fields[name] = (lifted, Field(... if field.is_required() else field.default, alias=field.alias))
            if name == "depth" and issubclass(model, Sequence):  # left out, it is the number of blocks that come out
                fields[name] = (lifted, Field(None, json_schema_extra=_without_default))
    return make_model(f"Space{model.__name__}", SearchableModel, fields, model.__doc__)


def _without_default(schema: JsonDict) -> None:
    """In a JSON Schema: a field that is left out has no value that could be written."""
    del schema["default"]


@cache
def _block_list(parts: tuple[tuple[str, type[Part]], ...]) -> Form:
    block = union([searchable(part, label=True) for _, part in parts if issubclass(part, Block)])
    one_of = (tuple_of(block), Field(alias="$one_of", min_length=1, max_length=64))
    repeat = {
        "repeat": (block, Field(alias="$repeat")),
        "times": (with_holes(Times, "int", derived=False), Field(alias="$times")),
    }
    item = _tagged(
        [
            (block, "value"),
            (make_model("OneOfBlocks", Hole, {"one_of": one_of}), "$one_of"),
            (make_model("Repeat", SearchableModel, repeat), "$repeat"),
        ]
    )
    return annotated(tuple_of(item), [Field(min_length=1, max_length=MOST_BLOCKS)])


def node_hole_fields(alternative: Form) -> dict[str, FieldDefinition]:
    """The fields of a node that is one of several: its id and sources, the name of the choice, the alternatives."""
    fields: dict[str, FieldDefinition] = {}
    for name in ("id", "from_"):
        field = Node.model_fields[name]
        assert field.annotation is not None
        fields[name] = (field.annotation, field)
    return {
        **fields,
        "name": (Name | None, Field(None, alias="$name")),
        "one_of": (tuple_of(alternative), Field(alias="$one_of", min_length=1, max_length=64)),
    }


def space_nodes() -> dict[str, type[BaseModel]]:
    """The searchable models of nodes, by type."""
    return {name: searchable(model, label=False) for name, model in node_models().items()}


def space_alternatives() -> dict[str, type[BaseModel]]:
    """Those without id, as they stand in the `$one_of` of a node's hole, by type."""
    return {name: searchable(model, label=True, has_id=False) for name, model in node_models().items()}
