"""A network of a space, and the choices that give it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from archdsl.cost import Count
from archdsl.json_types import JsonObject, Scalar, number_in
from archdsl.language.canonical import canonical_hash
from archdsl.language.document import Spec
from archdsl.load.specs import spec_of
from archdsl.search.config import COST_TEXTS, METRICS, Settings

TIMM = "timm"
"""The kind of a document that names a model of timm, and what the name on a command line begins with."""

Choices: TypeAlias = dict[str, Scalar]
"""A value for every variable of a space that is asked for, by its name."""
Choose: TypeAlias = Callable[[str], Scalar]
"""What gives the value of a variable."""


class Network(NamedTuple):
    """A network that holds: a point of a space, and what it costs."""

    spec: Spec
    counted: Count
    known_hash: str | None = None
    """Of its canonical form, where that was worked out already."""

    @property
    def network_hash(self) -> str:
        """Of its canonical form: equal networks have equal ones, whatever their names."""
        return self.known_hash or canonical_hash(self.spec)

    def cost(self, metric: str, dtype: str, batch: int) -> float:
        """Params, MACs of one image, or bytes of memory at a batch."""
        if metric == "memory":
            stored = "float32" if dtype == "int8" else dtype  # activations and convolutions stay float32
            return self.counted.memory_bytes(stored, batch)
        return self.counted.params if metric == "params" else self.counted.macs

    def costs(self, settings: Settings) -> dict[str, float]:
        """What the static budgets bound, by metric."""
        return {metric: self.cost(metric, settings.dtype, settings.batch) for metric in METRICS}

    def over_budget(self, settings: Settings) -> str | None:
        """The first static budget that it exceeds, with both values; None where it keeps all of them."""
        return over_static_budget(self.costs(settings), settings)


def over_static_budget(costs: Mapping[str, float], settings: Settings) -> str | None:
    """The first static budget that costs by metric exceed, with both values; None where they keep all of them."""
    for metric, budget in settings.budgets.static.items():
        if costs[metric] > budget:
            text = COST_TEXTS[metric]
            return f"{METRICS[metric]} {text(round(costs[metric]))} over {text(round(budget))}"
    return None


@dataclass(frozen=True)
class TimmNetwork:
    """A model of timm, built for data; it has no spec."""

    model: str
    """timm's name."""
    image: int
    """Height and width in pixels."""
    channels: int
    classes: int
    version: str
    """Of timm: another one may build something else."""

    @property
    def name(self) -> str:
        """As it is named in tables and on a command line."""
        return f"{TIMM}:{self.model}"

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return (self.image, self.image)

    def to_json(self) -> JsonObject:
        """The document that stands in the place of a spec."""
        sizes: JsonObject = {"image": self.image, "channels": self.channels, "classes": self.classes}
        return {"kind": TIMM, "name": self.name, "model": self.model, **sizes, "version": self.version}


AnyNetwork: TypeAlias = Spec | TimmNetwork
"""What can be measured and trained."""


def has_spec(document: JsonObject) -> bool:
    """Whether a document is one of our language."""
    return document.get("kind") != TIMM


def network_of(document: JsonObject) -> AnyNetwork:
    """The network of a trial's document.

    Raises:
        SpecError: it is a spec that is refused.
    """
    if has_spec(document):
        return spec_of(document)
    image, channels, classes = (int(number_in(document[name])) for name in ("image", "channels", "classes"))
    return TimmNetwork(str(document["model"]), image, channels, classes, str(document["version"]))


def hash_of(network: AnyNetwork) -> str:
    """Equal networks have equal ones: of a spec's canonical form, or of all that names a model of timm."""
    if isinstance(network, Spec):
        return canonical_hash(network)
    return hashlib.sha256(json.dumps(network.to_json(), sort_keys=True).encode()).hexdigest()[:16]
