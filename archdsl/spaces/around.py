"""The space around a network: fewer blocks in each stage and narrower MLPs; every point inherits its weights."""

from __future__ import annotations

from archdsl.json_types import Json, JsonObject, object_in, objects_in
from archdsl.language.document import Spec

_RATIOS = (0.25, 0.5)
"""Of an MLP's own ratio, beside it."""
_LONGEST_NAME = 55


def around(spec: Spec) -> JsonObject:
    """The document of a space whose points are the network with fewer blocks and narrower MLPs; itself among them.

    What it leaves out (image, classes and channels aside) is as in the network.
    """
    document = spec.to_json()
    kept = {name: document[name] for name in ("version", "image", "out_norm", "drop_path") if name in document}
    nodes = [_varied(spec, node) for node in objects_in(document["nodes"])]
    header: JsonObject = {"kind": "space", "name": f"around-{spec.name[:_LONGEST_NAME]}"}
    return header | kept | {"nodes": [*nodes], "objectives": ["max proxy_accuracy", "min latency"]}


def _varied(spec: Spec, node: JsonObject) -> JsonObject:
    """A node with choices in the place of its depth and its MLP's ratio, where it has them."""
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
    """The stage's MLP with a choice of ratios; None where it has none, or none that can be narrower."""
    whole = object_in(spec.model_dump(mode="json", by_alias=True))
    node = next(each for each in objects_in(whole["nodes"]) if each["id"] == name)
    mlp = node.get("mlp")
    if not isinstance(mlp, dict) or not isinstance(ratio := mlp.get("ratio"), int | float):
        return None
    choices: list[Json] = [part * ratio for part in _RATIOS if part * ratio >= 1]
    return mlp | {"ratio": {"$one_of": [*choices, ratio], "$name": f"{name}_ratio"}}
