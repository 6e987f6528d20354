"""Merges of another type in the place of one that gives the same map."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from pydantic import ValidationError

from archdsl.errors import ShapeError
from archdsl.families.common.base import Part
from archdsl.json_types import Json, JsonObject
from archdsl.language.plan import Step
from archdsl.shape import Map, Shape


def merge_choices(node: JsonObject, step: Step, own: str) -> JsonObject | None:
    """A merge as a choice between types that give the same map, labelled `own` the one that it has.

    None where there is no other, as of semantics.
    """
    x = step.inputs[0]
    if not isinstance(x, Map) or step.node.reads != ("pixels",) or step.node.gives != ("pixels",):
        return None
    kept: JsonObject = {key: node[key] for key in ("id", "from") if key in node}
    written = {key: value for key, value in node.items() if key not in kept}
    alternatives: list[Json] = [{"$label": own, **written}]
    for label, other in _others(step):
        if _gives(other, x) == step.outputs["pixels"]:
            document: JsonObject = other.model_dump(mode="json", exclude_defaults=True)
            alternatives.append({"$label": label, **document})
    return {**kept, "$one_of": alternatives} if len(alternatives) > 1 else None


def _others(step: Step) -> Iterator[tuple[str, Part]]:
    """The merges of the papers with the width, stride and norm of one, but for itself, each with a label."""
    document: JsonObject = step.node.model_dump(mode="json", exclude={"id", "from_"})
    kept: JsonObject = {key: document[key] for key in ("width", "norm") if key in document}
    stride = document.get("stride", 2)
    candidates: dict[str, JsonObject] = {"deformable_merge": {"type": "deformable_merge", **kept}}
    for kernel in (2, 3):
        candidates[f"conv_merge_{kernel}"] = {"type": "conv_merge", **kept, "kernel": kernel, "stride": stride}
    for label, candidate in candidates.items():
        if any(document.get(key) != value for key, value in candidate.items()):
            with suppress(ValidationError):  # a merge of another package may have neither width nor norm
                yield label, Part.kinds["merge"][str(candidate["type"])].model_validate(candidate)


def _gives(merge: Part, x: Map) -> Shape | tuple[Shape, ...] | None:
    """What a merge makes of a map, None where it does not fit."""
    try:
        return merge.out(x)
    except ShapeError:
        return None
