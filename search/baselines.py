"""Baselines: networks that a search is compared with, in the image size, channels and classes of its data."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from archdsl.errors import SearchError, SpecError
from archdsl.json_types import JsonObject
from archdsl.language.document import Spec
from archdsl.load.specs import load_spec, override, spec_of

Source: TypeAlias = Spec | str | os.PathLike[str] | dict[str, Any]
"""A backbone, its zoo name, the path of its file (JSON, or a model of ours, whose weights are not used), or a dict."""

_OF_DATA = ("channels", "classes")


def baseline_document(source: Source, assignments: Sequence[str] = ()) -> JsonObject:
    """The document of a network with fields set; channels and classes stand in it only where they were written.

    Raises:
        SpecError: it is refused.
        UnknownName: there is no such name or file.
    """
    spec = source if isinstance(source, Spec) else load_spec(source)
    written = {*spec.model_fields_set, *(text.partition("=")[0].strip() for text in assignments)}
    document: JsonObject = override(spec, assignments).model_dump(mode="json", by_alias=True, exclude_unset=True)
    return {name: value for name, value in document.items() if name not in _OF_DATA or name in written}


def in_data(document: JsonObject, side: int, facts: Mapping[str, int], data: str) -> Spec:
    """The network of a document in the classes and channels of the data, whose images have that side in pixels.

    `facts` tells "channels" and "classes"; before the data is loaded it is empty, and only the image is compared.

    Raises:
        SearchError: the document states another image size, other channels or other classes, or does not hold in
            those of the data.
    """
    name = str(document.get("name"))
    stated = spec_of(document)
    wanted = {name: facts[name] for name in _OF_DATA if name in facts}
    differing = {
        field: (document[field], value) for field, value in wanted.items() if document.get(field, value) != value
    }
    if stated.image_size != (side, side):
        differing = {"image": (document["image"], side)} | differing
    if differing:
        there = ", ".join(f"{field} {value}" for field, (value, _) in differing.items())
        here = ", ".join(f"{field} {value}" for field, (_, value) in differing.items())
        remedy = "change the document" + ("" if "image" in differing else ", or leave this out of it")
        raise SearchError(f"{name}: the network has {there}, but the search on the data {data} has {here}; {remedy}")
    try:
        return spec_of({**document, **wanted})
    except SpecError as error:
        raise SearchError(f"{name}: with {_listed(wanted)} of the data {data} it does not hold: {error}") from None


def _listed(values: Mapping[str, int]) -> str:
    return ", ".join(f"{field} {value}" for field, value in values.items())
