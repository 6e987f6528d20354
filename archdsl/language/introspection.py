"""What a pydantic model says at a location inside it: its fields, a value's bounds, the types of a union.

Locations are those of pydantic's errors: fields by alias, items by index, and the tags of unions, which begin
with `TAG_MARK`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import UnionType
from typing import Annotated, NamedTuple, TypeAlias, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel, Tag
from pydantic.fields import FieldInfo

from archdsl.families.common.fields import TAG_MARK
from archdsl.language.type_forms import Form, Metadata, annotated

Location: TypeAlias = tuple[str | int, ...]

_BOUNDS = ("ge", "gt", "le", "lt")


class _Choice(NamedTuple):
    """A type that a value may have, with all that is said of it."""

    form: Form
    metadata: tuple[Metadata, ...]

    @property
    def tags(self) -> list[str]:
        return [item.tag.removeprefix(TAG_MARK) for item in self.metadata if isinstance(item, Tag)]


def at(model: type[BaseModel], loc: Iterable[str | int]) -> Form | None:
    """The annotation at a location, or None where the model has no such place."""
    annotation: Form | None = model
    for key in loc:
        annotation = _inside(annotation, key)
    return annotation


def field_at(model: type[BaseModel], loc: Location) -> FieldInfo | None:
    """The field that a location ends in, tags left out; None for an item of a list."""
    while loc and str(loc[-1]).startswith(TAG_MARK):
        loc = loc[:-1]
    return next((fields(kind).get(str(loc[-1])) for kind in models(at(model, loc[:-1]))), None) if loc else None


def models(annotation: Form | None) -> list[type[BaseModel]]:
    """The models that a value of this annotation may be."""
    forms = (choice.form for choice in _choices(annotation))
    return [form for form in forms if isinstance(form, type) and issubclass(form, BaseModel)]


def fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """A model's fields, under the names that documents write."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def former_names(annotation: Form | None) -> dict[str, str]:
    """Names by which older documents write a field, each with the field's name of today."""
    return {
        str(former): name
        for model in models(annotation)
        for name, field in fields(model).items()
        if isinstance(field.validation_alias, AliasChoices)
        for former in field.validation_alias.choices[1:]
    }


def leads(annotation: Form, path: Sequence[str]) -> bool:
    """Whether `mlp.ratio` or `blocks.1.groups` leads somewhere, in one at least of the types that a value may have."""
    if not path:
        return True
    key, rest = path[0], path[1:]
    opened = list(_opened(annotation))
    if key.isdigit():
        return any(leads(get_args(form)[0], rest) for form in opened if get_origin(form) is tuple)
    named = [fields(model)[key] for form in opened for model in models(form) if key in fields(model)]
    return any(leads(field_form(field), rest) for field in named)


def types(annotation: Form | None) -> list[str]:
    """The `type` names that an object of this annotation may have."""
    return sorted(tag for choice in _choices(annotation) for tag in choice.tags)


def bounds(annotation: Form | None) -> dict[str, float]:
    """The bounds of a number, by pydantic's names: ge, gt, le, lt."""
    metadata = [item for choice in _choices(annotation) for item in choice.metadata]
    return {name: getattr(item, name) for item in metadata for name in _BOUNDS if getattr(item, name, None) is not None}


def field_form(field: FieldInfo) -> Form:
    """A field's annotation with its metadata, which pydantic keeps apart."""
    assert field.annotation is not None
    return annotated(field.annotation, field.metadata)


def _inside(annotation: Form | None, key: str | int) -> Form | None:
    if isinstance(key, str) and key.startswith(TAG_MARK):
        choice = next((choice for choice in _choices(annotation) if key.removeprefix(TAG_MARK) in choice.tags), None)
        return choice and annotated(choice.form, [item for item in choice.metadata if not isinstance(item, Tag)])
    if isinstance(key, int):
        tuples = (choice.form for choice in _choices(annotation) if get_origin(choice.form) is tuple)
        items = next((get_args(form) for form in tuples), ())
        place = 0 if items[1:] == (...,) else key
        return items[place] if place < len(items) else None
    field = next((fields(kind)[key] for kind in models(annotation) if key in fields(kind)), None)
    return None if field is None else field_form(field)


def _choices(annotation: Form | None, metadata: tuple[Metadata, ...] = ()) -> Iterator[_Choice]:
    """The types in an annotation, each with all that is said of it; unions are opened down to what has a tag."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        parts = (part for item in more for part in (item.metadata if isinstance(item, FieldInfo) else (item,)))
        metadata = (*metadata, *parts)
        if any(isinstance(item, Tag) for item in more):
            yield _Choice(inner, metadata)
        else:
            yield from _choices(inner, metadata)
    elif get_origin(annotation) in (Union, UnionType):
        for form in get_args(annotation):
            yield from _choices(form, metadata)
    elif annotation is not None:
        yield _Choice(annotation, metadata)


def _opened(annotation: Form) -> Iterator[Form]:
    """The types in an annotation, tagged unions opened too."""
    for choice in _choices(annotation):
        yield from _opened(choice.form) if choice.tags else (choice.form,)
