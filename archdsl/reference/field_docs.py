"""A field in words for the reference of types: its values with their bounds, its default, its meaning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from archdsl.families.common.base import Part
from archdsl.families.common.fields import SubObject, type_name
from archdsl.language import introspection
from archdsl.language.text.writing import text
from archdsl.language.type_forms import Form

_NAMES: dict[Form, str] = {int: "integer", float: "number", bool: "true or false", str: "text"}


def row(name: str, field: FieldInfo) -> str:
    """A line of a table of fields: name, values, default, meaning."""
    return f"| `{name}` | {values(name, field)} | {default(field)} | {field.description} |"


def values(name: str, field: FieldInfo) -> str:
    """What a field may hold: bounds of numbers, names of options with a link to the table that has them."""
    if options := options_of(field):
        return f"[{name}](#{name}-options): " + ", ".join(f"`{type_name(option)}`" for option in options)
    odd = "odd " * (field.json_schema_extra is not None)
    return odd + _phrase(introspection.field_form(field))


def default(field: FieldInfo) -> str:
    """A field's default as documents write it, a sub-object without what equals its own defaults."""
    if field.is_required():
        return "required"
    value = field.default
    return f"`{text(value.model_dump(exclude_defaults=True) if isinstance(value, BaseModel) else value)}`"


def option(model: type[SubObject]) -> str:
    """The fields of an option on one line; a dash if it has none."""
    fields = {name: field for name, field in introspection.fields(model).items() if name != "type"}
    descriptions = (
        f"`{name}` {values(name, field)}, {default(field)}: {field.description}" for name, field in fields.items()
    )
    return "; ".join(descriptions) or "-"


def options_of(field: FieldInfo) -> list[type[SubObject]]:
    """The sub-objects that a field may hold."""
    return [model for model in introspection.models(field.annotation) if issubclass(model, SubObject)]


def _phrase(annotation: Form) -> str:
    """`integer 4 to 8192`, `number above 0, at most 10, or null`."""
    kinds = list(_plain(annotation))
    literal = next((kind for kind in kinds if get_origin(kind) is Literal), None)
    several = next((kind for kind in kinds if get_origin(kind) is tuple), None)
    if literal is not None:
        return ", ".join(f"`{text(value)}`" for value in get_args(literal))
    if several is not None:
        return _list_phrase(get_args(several)[0], _lengths(annotation))
    name = _NAMES[next(kind for kind in kinds if kind in _NAMES)]
    return name + _range(introspection.bounds(annotation)) + ", or null" * (type(None) in kinds)


def _range(bounds: dict[str, float]) -> str:
    if "ge" in bounds and "le" in bounds:
        return f" {text(bounds['ge'])} to {text(bounds['le'])}"
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    return " " * bool(bounds) + ", ".join(f"{words[key]} {text(bound)}" for key, bound in bounds.items())


def _list_phrase(item: Form, lengths: str) -> str:
    inside = list(_plain(item))
    if any(isinstance(kind, type) and issubclass(kind, Part) for kind in inside):
        return f"{lengths} blocks"
    odd = "odd " * any(
        isinstance(metadata, FieldInfo) and metadata.json_schema_extra is not None for metadata in get_args(item)
    )
    return f"{lengths} values, each {odd}{_phrase(item)}"


def _lengths(annotation: Form) -> str:
    """`1 to 16`, from what an annotation says of its list."""
    metadata = [
        part for item in get_args(annotation)[1:] for part in (item.metadata if isinstance(item, FieldInfo) else [item])
    ]
    fewest = next(item.min_length for item in metadata if hasattr(item, "min_length"))
    most = next(item.max_length for item in metadata if hasattr(item, "max_length"))
    return f"{fewest} to {most}"


def _plain(annotation: Form) -> Iterator[Form]:
    """The types in an annotation, unions and annotations opened, lists left closed."""
    if get_origin(annotation) is Annotated:
        yield from _plain(get_args(annotation)[0])
    elif get_origin(annotation) in (tuple, Literal) or not get_args(annotation):
        yield annotation
    else:
        for inner in get_args(annotation):
            yield from _plain(inner)
