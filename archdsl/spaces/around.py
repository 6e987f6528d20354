"""The default space of a search with a parent: the parent's stages with fewer blocks and narrower MLPs.

Each stage may have from one block to as many as the parent, and an MLP of a quarter, half or all of the parent's ratio.
Widths, block types and merges are the parent's, so that every network of the space can inherit its weights. A space in
which each block is chosen by itself is in `block_choices`.
"""

from __future__ import annotations

from archdsl.json_types import Json, JsonObject, object_in, objects_in
from archdsl.language.document import Spec

_RATIOS = (0.25, 0.5)
"""Shares of an MLP's ratio that are offered beside the whole."""
_LONGEST_NAME = 55


def around(spec: Spec) -> JsonObject:
    """The document of the space around a network, which is a point of it.

    It states no classes and no channels, which the data of a search decides.
    """
    document = spec.to_json()
    kept = {name: document[name] for name in ("version", "image", "out_norm", "drop_path") if name in document}
    nodes = [_varied(spec, node) for node in objects_in(document["nodes"])]
    header: JsonObject = {"kind": "space", "name": f"around-{spec.name[:_LONGEST_NAME]}"}
    return header | kept | {"nodes": [*nodes], "objectives": ["max proxy_accuracy", "min latency"]}


def _varied(spec: Spec, node: JsonObject) -> JsonObject:
    """A stage with a choice of depths and, where it has an MLP, of ratios; any other node as it is."""
    name, depth = str(node["id"]), node.get("depth")
    varied = dict(node)
    if spec.node(name).kind != "stage":
        return varied
    if isinstance(depth, int) and depth > 1:
        varied["depth"] = {"$int": [1, depth], "$name": f"{name}_depth"}
    if (mlp := _mlp(spec, name)) is not None:
        varied["mlp"] = mlp
    return varied


def _mlp(spec: Spec, name: str) -> Json:
    """The MLP of a stage with a choice of ratios; None where the blocks of the stage differ, as in a sequence."""
    whole = object_in(spec.model_dump(mode="json", by_alias=True))
    node = next(each for each in objects_in(whole["nodes"]) if each["id"] == name)
    mlp = node.get("mlp")
    if not isinstance(mlp, dict) or not isinstance(ratio := mlp.get("ratio"), int | float):
        return None
    choices: list[Json] = [part * ratio for part in _RATIOS if part * ratio >= 1]
    return mlp | {"ratio": {"$one_of": [*choices, ratio], "$name": f"{name}_ratio"}}
