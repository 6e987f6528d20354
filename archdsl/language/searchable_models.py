"""Searchable twins of the declared models, derived mechanically: any value, sub-object, block or node may be a hole.

A twin has the fields of its model, each of which takes a value or a hole. `$one_of` offers alternatives, `$int` and
`$float` ranges, `$expr` and `$same` derive a value from others; in a sequence's `blocks`, `$repeat` copies a block.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, create_model

from archdsl.families.common.base import Part
from archdsl.families.common.fields import TAG_MARK, Flag, Integer, Number, SubObject
from archdsl.families.common.stage import Block
from archdsl.language.nodes import declared, node_models, union
from archdsl.language.patterns import LABEL, VARIABLE

HOLES = ("$one_of", "$int", "$float", "$expr", "$same", "$repeat")
Name = Annotated[str, Field(pattern=VARIABLE, max_length=80)]
Label = Annotated[str, Field(pattern=LABEL, max_length=64)]
Times = Annotated[Integer, Field(ge=1, le=64)]

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


def hole_kind(value: Any) -> str:
    """The union tag of a field that takes a value or a hole."""
    keys = value if isinstance(value, dict) else ()
    return next((TAG_MARK + key for key in HOLES if key in keys), "=value")


def lift(value: Any, numbers: str = "", derived: bool = True) -> Any:
    """A value or a hole. `numbers` says which ranges fit besides: "int", or "float" for both."""
    alternatives = (tuple[value, ...], Field(alias="$one_of", min_length=1, max_length=64))
    members: list[tuple[Any, str]] = [
        (value, "value"),
        (create_model("OneOf", __base__=Hole, one_of=alternatives), "$one_of"),
        *(((Expr, "$expr"), (Same, "$same")) if derived else ()),
    ]
    ends = tuple[value, value]
    if numbers:
        step: Any = (Annotated[Integer, Field(ge=1)], Field(1, alias="$step"))
        members.append((create_model("IntHole", __base__=Hole, bounds=(ends, Field(alias="$int")), step=step), "$int"))
    if numbers == "float":
        fields: dict[str, Any] = {
            "bounds": (ends, Field(alias="$float")),
            "step": (Annotated[Number, Field(gt=0)] | None, Field(None, alias="$step")),
            "log": (Flag, Field(False, alias="$log")),
        }
        members.append((create_model("FloatHole", __base__=Hole, **fields), "$float"))
    return _tagged(members)


def _tagged(members: Iterable[tuple[Any, str]]) -> Any:
    tagged = tuple(Annotated[kind, Tag(TAG_MARK + tag)] for kind, tag in members)
    return Annotated[Union[tagged], Discriminator(hole_kind)]  # noqa: UP007  # made from a list


def _lift_field(annotation: Any, metadata: list[Any]) -> Any:
    """The twin of one field's annotation."""
    kinds = list(_plain_types(annotation))
    models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, SubObject)]
    if models:
        return lift(union([twin(kind, label=True) for kind in models]))
    whole = Annotated[(annotation, *metadata)] if metadata else annotation
    return lift(whole, "float" if float in kinds else "int" if int in kinds else "")


def _plain_types(annotation: Any) -> Iterable[Any]:
    """The types in an annotation, unions and annotations opened."""
    if get_origin(annotation) is Annotated:
        yield from _plain_types(get_args(annotation)[0])
    elif get_args(annotation) and get_origin(annotation) is not tuple:
        for inner in get_args(annotation):
            yield from _plain_types(inner)
    else:
        yield annotation


@cache
def twin(model: type[BaseModel], label: bool, has_id: bool = True) -> type[BaseModel]:
    """The searchable twin of a sub-object, a block or a node. An alternative may carry a `$label`."""
    fields: dict[str, Any] = {"label": (Label | None, Field(None, alias="$label"))} if label else {}
    for name, field in model.model_fields.items():
        if name == "id" and not has_id:
            continue
        if name in _FIXED:
            fields[name] = (field.annotation, field)
        elif name == "blocks":
            fields[name] = (_block_list(declared()), ...)
        else:
            lifted = _lift_field(field.annotation, field.metadata)
            fields[name] = (lifted, Field(... if field.is_required() else field.default, alias=field.alias))
    return create_model(f"Space{model.__name__}", __base__=SearchableModel, __doc__=model.__doc__, **fields)


@cache
def _block_list(parts: tuple[tuple[str, type[Part]], ...]) -> Any:
    block: Any = union([twin(part, label=True) for _, part in parts if issubclass(part, Block)])
    one_of: Any = (tuple[block, ...], Field(alias="$one_of", min_length=1, max_length=64))
    repeat: dict[str, Any] = {
        "repeat": (block, Field(alias="$repeat")),
        "times": (lift(Times, "int", derived=False), Field(alias="$times")),
    }
    item: Any = _tagged(
        [
            (block, "value"),
            (create_model("OneOfBlocks", __base__=Hole, one_of=one_of), "$one_of"),
            (create_model("Repeat", __base__=SearchableModel, **repeat), "$repeat"),
        ]
    )
    return Annotated[tuple[item, ...], Field(min_length=1, max_length=16)]


def space_nodes() -> dict[str, type[BaseModel]]:
    """Node twins, by type."""
    return {name: twin(model, label=False) for name, model in node_models().items()}


def space_alternatives() -> dict[str, type[BaseModel]]:
    """Node twins without id, as they stand in the `$one_of` of a node's hole, by type."""
    return {name: twin(model, label=True, has_id=False) for name, model in node_models().items()}
