"""What a pydantic model says at a location inside it: its fields, a value's bounds, the types of a union.

Locations are those of pydantic's errors: fields by alias, items by index, and the tags of unions, which begin
with `TAG_MARK`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel, Tag
from pydantic.fields import FieldInfo

from archdsl.families.common.fields import TAG_MARK

_BOUNDS = ("ge", "gt", "le", "lt")


def at(model: type[BaseModel], loc: Iterable[Any]) -> Any:
    """The annotation at a location, or None where the model has no such place."""
    found: Any = model
    for key in loc:
        found = _inside(found, key)
    return found


def field_at(model: type[BaseModel], loc: tuple[Any, ...]) -> FieldInfo | None:
    """The field that a location ends in, tags left out; None for an item of a list."""
    while loc and str(loc[-1]).startswith(TAG_MARK):
        loc = loc[:-1]
    return next((fields(kind).get(loc[-1]) for kind in models(at(model, loc[:-1]))), None) if loc else None


def models(annotation: Any) -> list[type[BaseModel]]:
    """The models that a value of this annotation may be."""
    return [kind for kind, _ in _choices(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]


def fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """A model's fields, under the names that documents write."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def former_names(annotation: Any) -> dict[str, str]:
    """Names by which older documents write a field, each with the field's name of today."""
    return {
        str(former): name
        for model in models(annotation)
        for name, field in fields(model).items()
        if isinstance(field.validation_alias, AliasChoices)
        for former in field.validation_alias.choices[1:]
    }


def leads(annotation: Any, path: Sequence[str]) -> bool:
    """Whether `mlp.ratio` or `blocks.1.groups` leads somewhere, in one at least of the types that a value may have."""
    if not path:
        return True
    key, rest = path[0], path[1:]
    opened = list(_opened(annotation))
    if key.isdigit():
        return any(leads(get_args(kind)[0], rest) for kind in opened if get_origin(kind) is tuple)
    found = [fields(kind)[key] for kind in opened for kind in models(kind) if key in fields(kind)]
    return any(leads(_annotated(field.annotation, field.metadata), rest) for field in found)


def types(annotation: Any) -> list[str]:
    """The `type` names that an object of this annotation may have."""
    return sorted(tag for _, said in _choices(annotation) for tag in _tags(said))


def bounds(annotation: Any) -> dict[str, float]:
    """The bounds of a number, by pydantic's names: ge, gt, le, lt."""
    found = [item for _, said in _choices(annotation) for item in said]
    return {name: getattr(item, name) for item in found for name in _BOUNDS if getattr(item, name, None) is not None}


def _inside(annotation: Any, key: Any) -> Any:
    if isinstance(key, str) and key.startswith(TAG_MARK):
        found = next(
            ((kind, said) for kind, said in _choices(annotation) if key.removeprefix(TAG_MARK) in _tags(said)), None
        )
        return found and _annotated(found[0], [item for item in found[1] if not isinstance(item, Tag)])
    if isinstance(key, int):
        items = next((get_args(kind) for kind, _ in _choices(annotation) if get_origin(kind) is tuple), ())
        place = 0 if items[1:] == (...,) else key
        return items[place] if place < len(items) else None
    field = next((fields(kind)[key] for kind in models(annotation) if key in fields(kind)), None)
    return field and _annotated(field.annotation, field.metadata)


def _annotated(annotation: Any, said: list[Any]) -> Any:
    return Annotated[(annotation, *said)] if said else annotation


def _choices(annotation: Any, said: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """The types in an annotation, each with all that is said of it; unions are opened down to what has a tag."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        said = (*said, *(part for item in more for part in (item.metadata if isinstance(item, FieldInfo) else (item,))))
        if any(isinstance(item, Tag) for item in more):
            yield inner, said
        else:
            yield from _choices(inner, said)
    elif get_origin(annotation) in (Union, UnionType):
        for kind in get_args(annotation):
            yield from _choices(kind, said)
    else:
        yield annotation, said


def _opened(annotation: Any) -> Iterator[Any]:
    """The types in an annotation, tagged unions opened too."""
    for kind, said in _choices(annotation):
        yield from _opened(kind) if _tags(said) else (kind,)


def _tags(said: tuple[Any, ...]) -> list[str]:
    return [item.tag.removeprefix(TAG_MARK) for item in said if isinstance(item, Tag)]
