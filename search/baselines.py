"""Baselines: networks that are named beside a space, in the image size, channels and classes of the data."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from archdsl.cost import count
from archdsl.data.agreement import in_built_in_data, square_side
from archdsl.errors import SearchError, SpecError
from archdsl.json_types import JsonObject
from archdsl.language.canonical import canonical_hash
from archdsl.language.document import Spec
from archdsl.load.sources import RUN
from archdsl.load.spaces import choices_of, point
from archdsl.load.specs import load_spec, override, spec_of
from archdsl.search.config import Settings
from archdsl.search.network import Choices, Network
from archdsl.spaces.space import Space

Source: TypeAlias = Spec | str | os.PathLike[str] | dict[str, Any]
"""A backbone, its zoo name, the path of its file (JSON, or a model of ours, whose weights are not used), or a dict; the
`run.json` of a search stands for the networks that were named in it.
"""

_OF_DATA = ("channels", "classes")


class Baseline(NamedTuple):
    """A network that was named beside a space."""

    network: Network
    choices: Choices | None
    """By which it is a point of the space; None where it is none."""


def several(sources: Source | Sequence[Source]) -> Sequence[Source]:
    """The networks, also where there is one."""
    return [sources] if isinstance(sources, Spec | str | os.PathLike | dict) else sources


def baseline_documents(source: Source, assignments: Sequence[str] = ()) -> list[JsonObject]:
    """The document of a network with fields set; channels and classes stand in it only where they were written.

    Raises:
        SpecError: it is refused.
        UnknownName: there is no such name or file.
    """
    if isinstance(source, str | os.PathLike) and Path(source).name == RUN:
        named = _named_in(Path(source))
        if named is not None:
            return [document for each in named for document in baseline_documents(each, assignments)]
    spec = source if isinstance(source, Spec) else load_spec(source)
    written = {*spec.model_fields_set, *(text.partition("=")[0].strip() for text in assignments)}
    document: JsonObject = override(spec, assignments).model_dump(mode="json", by_alias=True, exclude_unset=True)
    return [{name: value for name, value in document.items() if name not in _OF_DATA or name in written}]


def _named_in(settings: Path) -> list[dict[str, Any]] | None:
    """The networks that a search was given beside its space; None where the file holds no such settings."""
    try:
        written = json.loads(settings.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    named = written.get("also") if isinstance(written, dict) and "space" in written else None
    return [each for each in named if isinstance(each, dict)] if isinstance(named, list) else None


def weights_notes(sources: Sequence[Source]) -> list[str]:
    """That the weights of files of ours are not used, a line for each."""
    paths = [os.fspath(source) for source in sources if isinstance(source, str | os.PathLike)]
    return [
        f"{path}: its weights are not used; it is trained like the candidates of the search"
        for path in paths
        if path.endswith(".safetensors")
    ]


def in_data(document: JsonObject, side: int, facts: Mapping[str, int], data: str) -> Spec:
    """The network of a document in the classes and channels of the data, whose images have that side in pixels.

    `facts` tells "channels" and "classes"; before the data is loaded it is empty, and only the image is compared.

    Raises:
        SearchError: the document states another image size, other channels or other classes, or does not hold in
            those of the data.
    """
    name = str(document.get("name"))
    stated = spec_of(document)
    wanted = {field: facts[field] for field in _OF_DATA if field in facts}
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
        here = ", ".join(f"{field} {value}" for field, value in wanted.items())
        raise SearchError(f"{name}: with {here} of the data {data} it does not hold: {error}") from None


def baselines_of(settings: Settings, space: Space, facts: Mapping[str, int]) -> list[Baseline]:
    """The networks that were named beside a space, each once; `space` and `facts` have the classes of the data.

    Raises:
        SearchError: as `in_data`, or one is outside the budgets of params, MACs or memory.
    """
    by_hash = dict[str, Baseline]()
    for document in settings.also:
        spec = in_data(document, square_side(space), facts, settings.data)
        network = Network(spec, count(spec), canonical_hash(spec))
        if (reason := network.over_budget(settings)) is not None:
            raise SearchError(f"{spec.name} (--also) is outside the budgets of the search: {reason}")
        by_hash.setdefault(network.network_hash, Baseline(network, _choices(space, network)))
    return [*by_hash.values()]


def _choices(space: Space, network: Network) -> Choices | None:
    """By which a network is a point of the space: one that differs in how it is trained is none."""
    choices = choices_of(space, network.spec)
    if choices is None or canonical_hash(point(space, choices.__getitem__)[0]) != network.network_hash:
        return None
    return choices


def check_baselines(settings: Settings) -> None:
    """Refuse what can be refused before the data is loaded; of built-in data that is all.

    Raises:
        SearchError: as `baselines_of`.
    """
    space = settings.space_document
    known = in_built_in_data(space, settings.data)
    if known is not None:
        baselines_of(settings, known, {"channels": known.channels, "classes": known.classes})
        return
    for document in settings.also:
        in_data(document, square_side(space), {}, settings.data)
