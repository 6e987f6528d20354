"""Types that are made and read at run time, as pydantic takes them: unions, lists and annotations of models.

Python's own type checkers cannot follow a type that is made at run time, so what is unchecked about one stands here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar, Union

from pydantic import BaseModel, Discriminator, Tag, create_model

from archdsl.families.common.fields import TAG_MARK, tag_of, type_name

if TYPE_CHECKING:
    from typing_extensions import TypeForm

Form: TypeAlias = "TypeForm[Any]"
"""Whatever may annotate a field: a class, a union, a tuple of them, a Literal, any of them with metadata."""
Metadata: TypeAlias = Any
"""What stands beside a type in `Annotated`: pydantic leaves it open."""
FieldDefinition: TypeAlias = tuple[Form, Metadata]
"""A field of a model that is made at run time: its type, and its default or what `Field` gives."""

Model = TypeVar("Model", bound=BaseModel)


def annotated(form: Form, metadata: Iterable[Metadata]) -> Form:
    """A type with what is said of it; the type itself where nothing is."""
    beside = tuple(metadata)
    return Annotated[(form, *beside)] if beside else form  # type: ignore[return-value]  # made at run time


def tuple_of(form: Form) -> Form:
    """A tuple of any length."""
    return tuple[form, ...]  # type: ignore[valid-type]  # made at run time


def pair_of(form: Form) -> Form:
    """A tuple of two."""
    return tuple[form, form]  # type: ignore[valid-type]  # made at run time


def union_of(forms: Iterable[Form]) -> Form:
    """A value of one of these types."""
    return Union[tuple(forms)]  # type: ignore[return-value]  # noqa: UP007  # made at run time


def union(members: Iterable[type[BaseModel]]) -> Form:
    """The union of models told apart by their `type`."""
    models = list(members)
    if len(models) == 1:
        return models[0]
    tagged = [annotated(model, [Tag(TAG_MARK + type_name(model))]) for model in models]
    return annotated(union_of(tagged), [Discriminator(tag_of)])


def make_model(
    name: str,
    base: type[Model] | tuple[type[Model], ...],
    fields: Mapping[str, FieldDefinition],
    doc: str | None = None,
    **class_arguments: bool,
) -> type[Model]:
    """A model with these fields beside those of its base, or of its bases."""
    definitions: dict[str, Any] = {**fields}
    return create_model(name, __base__=base, __doc__=doc, __cls_kwargs__=class_arguments or None, **definitions)
