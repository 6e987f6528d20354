"""Baselines: networks that are named beside a space, in the image size, channels and classes of the data."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
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
from archdsl.search.network import (
    TIMM,
    AnyNetwork,
    Choices,
    Network,
    TimmNetwork,
    has_spec,
    hash_of,
    network_of,
    over_static_budget,
)
from archdsl.search.trial import ALSO, Trial
from archdsl.spaces.space import Space

Source: TypeAlias = Spec | str | os.PathLike[str] | dict[str, Any]
"""A backbone, its zoo name, the path of its file (JSON, or a model of ours, whose weights are not used), or a dict; the
`run.json` of a search stands for the networks that were named in it, and `timm:NAME` for a model of timm.
"""

Counted: TypeAlias = Callable[[TimmNetwork], tuple[int, int]]
"""Params, and MACs of one image, of a network that has to be built for it."""

_OF_DATA = ("channels", "classes")


class Baseline(NamedTuple):
    """A network that was named beside a space."""

    network: AnyNetwork
    network_hash: str
    params: int
    macs: int
    """Multiply-adds of one image."""
    choices: Choices | None = None
    """By which it is a point of the space; None where it is none."""
    origin: str = ALSO
    """How its trial says where it comes from."""

    @property
    def name(self) -> str:
        """The network's."""
        return str(self.network.name)

    def trial(self, number: int) -> Trial:
        """Its trial before anything is measured."""
        return Trial(number, self.network_hash, self.network.to_json(), self.params, self.macs, origin=self.origin)

    def over_budget(self, settings: Settings) -> str | None:
        """The first static budget that it exceeds, or that cannot be checked; None where it keeps all of them."""
        if isinstance(self.network, Spec):
            return Network(self.network, count(self.network), self.network_hash).over_budget(settings)
        if settings.budgets.memory is not None:
            return "the memory of a model of timm is not counted, so that the memory budget cannot be checked"
        return over_static_budget({"params": self.params, "macs": self.macs}, settings)


def counted_baseline(network: AnyNetwork, counted: Counted) -> Baseline:
    """A network with its hash and its costs."""
    if isinstance(network, Spec):
        costs = count(network)
        return Baseline(network, hash_of(network), costs.params, costs.macs)
    return Baseline(network, hash_of(network), *counted(network))


def several(sources: Source | Sequence[Source]) -> Sequence[Source]:
    """The networks, also where there is one."""
    return [sources] if isinstance(sources, Spec | str | os.PathLike | dict) else sources


def baseline_documents(source: Source, assignments: Sequence[str] = ()) -> list[JsonObject]:
    """The document of a network with fields set; channels and classes stand in it only where they were written.

    Raises:
        SpecError: it is refused.
        UnknownName: there is no such name or file.
        SearchError: it is a model of timm, which is not installed.
    """
    if isinstance(source, str) and source.startswith(f"{TIMM}:"):
        return [_timm_document(source.partition(":")[2])]
    if isinstance(source, dict) and not has_spec(source):  # of the settings of a run
        return [dict(source)]
    if isinstance(source, str | os.PathLike) and Path(source).name == RUN:
        named = _named_in(Path(source))
        if named is not None:
            return [document for each in named for document in baseline_documents(each, assignments)]
    spec = source if isinstance(source, Spec) else load_spec(source)
    written = {*spec.model_fields_set, *(text.partition("=")[0].strip() for text in assignments)}
    document: JsonObject = override(spec, assignments).model_dump(mode="json", by_alias=True, exclude_unset=True)
    return [{name: value for name, value in document.items() if name not in _OF_DATA or name in written}]


def _timm_document(model: str) -> JsonObject:
    try:
        version = metadata.version(TIMM)
    except metadata.PackageNotFoundError:
        raise SearchError(f"{TIMM}:{model} needs timm; pip install 'archdsl[timm]'") from None
    return {"kind": TIMM, "name": f"{TIMM}:{model}", "model": model, "version": version}


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


def in_data(document: JsonObject, side: int, facts: Mapping[str, int], data: str) -> AnyNetwork:
    """The network of a document in the classes and channels of the data, whose images have that side in pixels.

    `facts` tells "channels" and "classes"; before the data is loaded it is empty, and only the image is compared.

    Raises:
        SearchError: the document states another image size, other channels or other classes, or does not hold in
            those of the data.
    """
    if not has_spec(document):
        channels, classes = facts.get("channels", 3), facts.get("classes", 1000)
        return network_of({**document, "image": side, "channels": channels, "classes": classes})
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


def baselines_of(
    settings: Settings, space: Space, facts: Mapping[str, int], counted: Counted | None = None
) -> list[Baseline]:
    """The networks that were named beside a space, each once; `space` and `facts` have the classes of the data.

    Without `counted` those are left out that have to be built for their costs.

    Raises:
        SearchError: as `in_data`, or one is outside the budgets of params, MACs or memory.
        Failed, WorkerGone: as `counted`.
    """
    by_hash = dict[str, Baseline]()
    for document in settings.also:
        network = in_data(document, square_side(space), facts, settings.data)
        check_form(network, settings)
        if not isinstance(network, Spec) and counted is None:
            continue
        baseline = counted_baseline(network, counted or _uncounted)
        if (reason := baseline.over_budget(settings)) is not None:
            raise SearchError(f"{baseline.name} (--also) is outside the budgets of the search: {reason}")
        by_hash.setdefault(baseline.network_hash, baseline._replace(choices=point_choices(space, baseline)))
    return [*by_hash.values()]


def check_form(network: AnyNetwork, settings: Settings) -> None:
    """Refuse a model of timm where what is measured is not the classifier as it is built.

    Raises:
        SearchError: it is one.
    """
    if settings.features_only and not isinstance(network, Spec):
        rule = "the search measures networks for dense prediction, without their heads"
        raise SearchError(f"{network.name} can be measured as a classifier alone: {rule}")
    if settings.optimize and not isinstance(network, Spec):
        rule = "a model of timm has no inference form; leave out --optimize"
        raise SearchError(f"{network.name} cannot be measured with --optimize: {rule}")


def _uncounted(network: TimmNetwork) -> tuple[int, int]:
    raise AssertionError(f"{network.name} has to be built for its costs")


def point_choices(space: Space, baseline: Baseline) -> Choices | None:
    """By which a network is a point of the space: one that differs in how it is trained is none."""
    if not isinstance(baseline.network, Spec):
        return None
    choices = choices_of(space, baseline.network)
    if choices is None or canonical_hash(point(space, choices.__getitem__)[0]) != baseline.network_hash:
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
