"""The contract of a part: what a declaration says, so that every room of the language can pick it up.

A part is a stem, merge, block, join or head. Its declaration is a frozen pydantic model without torch:

1. docstring: paper, arXiv number, what differs from it;
2. `type` and the fields, with defaults from the paper, bounds, and knobs where a search may turn;
3. `out(shape)`: the shape rule, integer arithmetic that raises `ShapeError` where the input does not fit;
4. `cost(shape)`: parameters, MACs and peak activation elements in closed form;
5. `build(shape)`: the module. It imports torch's side when called, and reads no tensor value, so that it also builds
   on the meta device;
6. `published`: names inside the module that differ from the published ones, theirs to ours; of our families the tables
   stand in names.py.

A declaration is known by being defined: schema, graph, compiler, cost, renderer and space read `Part.kinds`. A third
party's `type` is written with its package, `acme.mixer`.

`out`, `cost` and `build` are the hooks of a declaration, and take what its kind has need of: a stem the image, a join
its maps, a head its input and the number of classes. Whoever uses a part calls `infer_outputs`, `infer_cost` and
`build_module`, which take the same `Inputs` for every kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from archdsl.families.common.fields import Knob, KnobValue, type_name
from archdsl.families.common.inputs import Inputs
from archdsl.json_types import Json, JsonObject
from archdsl.shape import Cost, Map, Shape

if TYPE_CHECKING:
    from torch import nn


class Part(BaseModel):
    """Anything with fields, a shape rule, a cost and a module. Immutable once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kinds: ClassVar[dict[str, dict[str, type[Part]]]] = {}
    """Every declared part: kind, then type name, then its class."""
    kind: ClassVar[str]
    reads: ClassVar[tuple[str, ...]] = ("pixels",)
    """Names of the ports it reads, in the order of `out`'s and the module's arguments."""
    gives: ClassVar[tuple[str, ...]] = ("pixels",)
    optional: ClassVar[frozenset[str]] = frozenset()
    """Ports, the last of `reads`, that a part does without where one source serves all and does not give them."""
    published: ClassVar[Mapping[str, str]] = {}
    convolutions: ClassVar[tuple[str, ...]] = ()
    """Endings of names inside the module whose Linears (C, D) are published as 1x1 convolutions (C, D, 1, 1)."""

    def __init_subclass__(cls, node: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)

    @classmethod
    def __pydantic_init_subclass__(cls, node: bool = False, **kwargs: Any) -> None:
        """Enter a declaration in `kinds`. `node` marks the models that schema derives from one."""
        super().__pydantic_init_subclass__(**kwargs)
        if node or "type" not in cls.model_fields:
            return
        declared = Part.kinds.setdefault(cls.kind, {})
        name = type_name(cls)
        taken = next((kinds[name] for kinds in Part.kinds.values() if name in kinds), None)
        if taken is not None and (taken.__module__, taken.__qualname__) != (cls.__module__, cls.__qualname__):
            raise TypeError(f"the type '{name}' is declared by {taken.__module__} already")
        declared[name] = cls

    def out(self, *shapes: Any, **more: Any) -> Shape | tuple[Shape, ...]:
        """The shape rule: one shape a port, in the order of `gives`; raises `ShapeError` where the input is unfit."""
        raise NotImplementedError

    def cost(self, *shapes: Any, **more: Any) -> Cost:
        """What the part costs for one image."""
        raise NotImplementedError

    def build(self, *shapes: Any, **more: Any) -> nn.Module:
        """What the part reads -> what it gives"""
        raise NotImplementedError

    def padded(self, x: Map) -> Map:
        """The map that it works on: x, or with zeros right and below where its windows do not divide x."""
        return x

    def infer_outputs(self, inputs: Inputs) -> dict[str, Shape]:
        """The shape of every port that it gives.

        Raises:
            ShapeError: it does not fit what it reads.
        """
        shapes = self.out(*inputs.shapes)
        return dict(zip(self.gives, (shapes,) if isinstance(shapes, Shape) else shapes, strict=True))

    def infer_cost(self, inputs: Inputs) -> Cost:
        """What it costs for one image."""
        return self.cost(*inputs.shapes)

    def build_module(self, inputs: Inputs) -> nn.Module:
        """Its module, which takes what the ports hold in the order of `reads`."""
        return self.build(*inputs.shapes)

    @classmethod
    def knobs(cls) -> dict[str, tuple[KnobValue, ...]]:
        """The values that a search may try, by field."""
        return {
            name: mark.values
            for name, field in cls.model_fields.items()
            for mark in field.metadata
            if isinstance(mark, Knob)
        }

    def effective(self) -> JsonObject:
        """Fields that describe one network in several ways, each by what it comes to; empty if none does."""
        return {}

    def label(self) -> str:
        """What a drawing says about it beside its type: fields that differ from their defaults, its own ones first."""
        hidden = {"type", "id", "from_", "depth", "width", "out_norm", "blocks"}
        changed: JsonObject = self.model_dump(mode="json", exclude_defaults=True, exclude=hidden, exclude_none=True)
        common = {"norm", "mlp", "layer_scale", "local_perception", "position_embedding"}
        names = sorted(changed, key=lambda name: name in common)
        return " ".join(f"{name}={_brief(changed[name])}" for name in names)


class Stem(Part):
    """The image to a first map."""

    kind = "stem"

    def out(self, image: Map) -> Shape:
        """The first map, from the image's shape."""
        raise NotImplementedError

    def cost(self, image: Map) -> Cost:
        """What the stem costs for one image."""
        raise NotImplementedError

    def build(self, image: Map) -> nn.Module:
        """(B, channels, H, W) -> the first map"""
        raise NotImplementedError


class Merge(Part):
    """A change of resolution and width between two stages, or of what is carried: a map to semantics.

    `out`, `cost` and `build` take what `reads` names: a `Map`, or `Tokens`.
    """

    kind = "merge"


class Join(Part):
    """Where branches meet: reads `fewest` to `most` maps."""

    kind = "join"
    fewest: ClassVar[int] = 2
    most: ClassVar[int] = 16

    def out(self, *maps: Map) -> Shape:
        """One map from several."""
        raise NotImplementedError

    def cost(self, *maps: Map) -> Cost:
        """What the join costs for one image."""
        raise NotImplementedError

    def build(self, *maps: Map) -> nn.Module:
        """(B, C, H, W) each -> (B, C, H, W)"""
        raise NotImplementedError


class Head(Part):
    """The last map or token to logits (B, classes). A head's module has `pool` and `fc`.

    `out`, `cost` and `build` take what `reads` names, then `classes`; `out` gives `Tokens(classes)`.
    """

    kind = "head"
    gives = ()

    def infer_outputs(self, inputs: Inputs) -> dict[str, Shape]:
        """As many logits as classes, under a name of their own: no node reads them."""
        logits = self.out(*inputs.shapes, inputs.classes)
        assert isinstance(logits, Shape)
        return {"logits": logits}

    def infer_cost(self, inputs: Inputs) -> Cost:
        """What it costs for one image."""
        return self.cost(*inputs.shapes, inputs.classes)

    def build_module(self, inputs: Inputs) -> nn.Module:
        """What it reads -> (B, classes)"""
        return self.build(*inputs.shapes, inputs.classes)


def _brief(value: Json) -> str:
    """A field's value on a drawing: a sub-object is its type and what differs."""
    if isinstance(value, dict):
        rest = [f"{name}={_brief(item)}" for name, item in value.items() if name != "type"]
        return str(value.get("type", "")) + (f"({', '.join(rest)})" if rest else "")
    if isinstance(value, list):
        return "[" + ",".join(_brief(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
