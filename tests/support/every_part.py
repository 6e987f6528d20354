"""Every declared part in a small document around it, with each value of its fields and with drawn ones."""

from __future__ import annotations

import json
import random
from functools import cache
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from archdsl.compile import build
from archdsl.errors import SpecError
from archdsl.families.common.block import Block
from archdsl.families.common.stage import Stage
from archdsl.graphs import Step, plan
from archdsl.language.document import Spec
from archdsl.language.nodes import declared, node_models
from archdsl.load.specs import spec_of
from archdsl.shape import Map
from tests.support.meta_counter import map_of

Raw = dict[str, Any]

TYPES = dict(declared())
COMBINATIONS = 8

# Values worth trying beside a field's knobs, wherever a type has the field and allows them.
OPTIONS: dict[str, tuple[Any, ...]] = {
    "mlp": (
        {"type": "plain", "ratio": 0.25},
        {"type": "dwconv", "kernel": 5},
        {"type": "dwconv", "ratio": 0.5},
        {"type": "dwconv_residual", "ratio": 3},
    ),
    "norm": ({"type": "layer", "eps": 1e-6}, {"type": "batch"}, {"type": "group"}, {"type": "group", "groups": 4}),
    "layer_scale": (None, 0.1),
    "local_perception": (False, True),
    "position_embedding": (False, True),
    "out_norm": ("never", "features", "always"),
    "qkv_bias": (True, False),
    "class_token": (False, True),
    "alpha": (0, 0.25, 0.5, 0.9, 1),
    "window": (1, 2, 3, 4, 7),
    "position_bias": (
        {"type": "none"},
        {"type": "relative"},
        {"type": "sampled"},
        {"type": "depthwise"},
        {"type": "fixed"},
        {"type": "log", "hidden": 6},
    ),
    "offsets": (
        {"type": "scaled", "range": 0.5},
        {"type": "clamped"},
        {"type": "none"},
        {"type": "free"},
        {"type": "squashed"},
    ),
    "groups": (1, 2, 4),
    "kernel": (2, 3, 4, 7),
    "stride": (1, 2, 3, 4),
    "pad": (True, False),
    "patch": (1, 2, 3, 4, 16),
    "depth": (1, 3),
    "grid": (1, 3, 8),
    "semantic_ratio": (0.25, 2, 4),
    "token_label": (True, False),
    "kernels": ((3,), (1, 13)),
    "reduction": (1, 16),
    "compete": (True, False),
    "weighted": (True, False),
    "spatial_attention": (False, True),
    "channel_attention": (False, True),
}


def sample(name: str) -> Raw:
    """A node of that type, or a block: required fields from their knobs, the rest left to its default."""
    part = TYPES[name]
    model: type[Any] = node_models()[name]
    node: Raw = {"type": name}
    for field, info in model.model_fields.items():
        if field == "blocks":
            node[field] = [{key: value for key, value in sample(block).items() if key != "depth"} for block in BLOCKS]
        elif info.is_required() and field not in ("type", "id"):
            knobs = {**part.knobs(), "depth": (2,)}
            assert field in knobs, f"a required field needs knobs to be tested: {name}.{field}"
            node[field] = knobs[field][len(knobs[field]) // 2]
    return node


def values(name: str) -> dict[str, tuple[Any, ...]]:
    """What to try for each field of a type: its knobs and the options above."""
    fields = node_models()[name].model_fields
    tried = {field: TYPES[name].knobs().get(field, ()) + OPTIONS.get(field, ()) for field in fields}
    return {field: found for field, found in tried.items() if found}


def document(node: Raw, image: Any = 32) -> Raw:
    """A small document with the node `part` in it, and around it what it needs."""
    kind, node = TYPES[node["type"]].kind, {"id": "part", **node}
    stem = {"id": "stem", "type": "patch_stem", "width": 16, "patch": 2}
    head = {"id": "head", "type": "mean_head"}
    stage = {"id": "before", "type": "mlp", "depth": 1}
    after = {"id": "after", "type": "mlp", "depth": 1}
    token = {"id": "before", "type": "attention", "depth": 1, "heads": 2, "class_token": True}
    semantics = {"id": "semantic_stem", "type": "semantic_stem", "window": 4}
    both = {"id": "before", "type": "joint_path", "from": ["stem", "semantic_stem"], "depth": 1, "heads": 2}
    if node.get("class_token"):
        head["type"] = "class_token_head"
    if two_paths(node) and kind in ("stage", "block"):
        end = {"id": "head", "type": "class_attention_head", "heads": 2, "token_label": False}
        nodes = [stem, semantics, {**node, "from": ["stem", "semantic_stem"]}, end]
    elif node["type"] == "semantic_stem":
        nodes = [stem, node, {**both, "from": ["stem", "part"]}, head]
    elif node["type"] == "semantic_merge":
        wide = {"id": "wide", "type": "conv_merge", "width": node["width"], "kernel": 1, "stride": 1, "from": "stem"}
        nodes = [stem, semantics, node, wide, {**both, "from": ["wide", "part"]}, head]
    elif two_paths(node):
        nodes = [stem, semantics, both, node]
    elif kind == "stem":
        nodes = [node, stage, head]
    elif kind == "join":
        beside = {**stage, "id": "beside", "from": "stem"}
        nodes = [stem, stage, beside, {**node, "from": ["before", "beside", "stem"]}, after, head]
    elif kind == "head":
        nodes = [stem, token if "class" in TYPES[node["type"]].reads else stage, node]
    else:
        nodes = [stem, node, *([after] if kind == "merge" else []), head]
    return {"kind": "arch", "version": 1, "name": "small", "image": image, "classes": 10, "nodes": nodes}


def two_paths(node: Raw) -> bool:
    """Whether a node reads a map and semantics; one that does not hold by itself reads whatever its type does."""
    model: Any = node_models()[node["type"]]
    try:
        reads = model.model_validate({"id": "part", **node}).reads
    except ValidationError:
        reads = TYPES[node["type"]].reads
    return set(reads) == {"pixels", "semantics"}


@cache
def _spec(text: str, image: str) -> Spec:
    return spec_of(document(json.loads(text), json.loads(image)))


def spec(node: Raw, image: Any = 32) -> Spec:
    return _spec(json.dumps(node), json.dumps(image))


def step_of(found: Spec, features_only: bool = False) -> Step:
    return next(step for step in plan(found, features_only) if step.node.id == "part")


def by_value(name: str) -> dict[str, Raw]:
    """A type with each value of each field. An option that a type refuses is left out, a knob's value never.

    The fields that all blocks have alike are tried one by one in attention and where a type counts them itself; in the
    others they are drawn.
    """
    nodes: dict[str, Raw] = {}
    common = is_like_others(name) and Block.model_fields | Stage.model_fields
    for field, tried in values(name).items():
        if common and field in common:
            continue
        samples = {f"{name}-{field}={json.dumps(value)}": {**sample(name), field: value} for value in tried}
        knob = TYPES[name].knobs().get(field, ())
        nodes |= {label: node for label, node in samples.items() if node[field] in knob or holds(node)}
    return nodes


def is_like_others(name: str) -> bool:
    part = TYPES[name]
    return name != "attention" and issubclass(part, Block) and part.cost is Block.cost and part.build is Block.build


def combined(name: str) -> dict[str, Raw]:
    """A type by itself, and with values drawn for all its fields at once, those first that were drawn least."""
    draw, times = random.Random(name), COMBINATIONS if values(name) else 0
    nodes = {name: sample(name)}
    for number in range(times):
        nodes[f"{name}-drawn{number}"] = drawn(name, draw, [*nodes.values()])
    return nodes


def drawn(name: str, draw: random.Random, before: list[Raw]) -> Raw:
    """A node with a value drawn for every field, the first that holds: the more are tried, the more is chance."""
    for attempt in range(1000):
        node = sample(name)
        for field, tried in values(name).items():
            shuffled = draw.sample(tried, len(tried))
            if draw.random() < 0.95**attempt:
                shuffled.sort(key=lambda value: sum(field in other and other[field] == value for other in before))
            node[field] = shuffled[0]
        if holds(node):
            return node
    raise AssertionError(f"no combination of the values of {name} holds")


def is_combined(node: Raw) -> bool:
    """Whether a combination has the value in which this node differs from the sample of its type."""
    plain = sample(node["type"])
    changed = {"type": node["type"]} | {field: value for field, value in node.items() if plain.get(field, ...) != value}
    return any(changed.items() <= other.items() for other in COMBINED.values())


def holds(node: Raw) -> bool:
    try:
        spec(node)
    except SpecError:
        return False
    return True


BLOCKS = [name for name, part in TYPES.items() if part.kind == "block"]
VALUES = {label: node for name in TYPES for label, node in by_value(name).items()}
COMBINED = {label: node for name in TYPES for label, node in combined(name).items()}
OTHERS = {label: node for label, node in VALUES.items() if not is_combined(node)}
"""The nodes with one value each that no combination has."""

every_type = pytest.mark.parametrize("name", list(TYPES))
every_value = pytest.mark.parametrize("node", VALUES.values(), ids=VALUES)
every_node = pytest.mark.parametrize("node", [*OTHERS.values(), *COMBINED.values()], ids=[*OTHERS, *COMBINED])
"""Every value of every field at least once, combined as far as values hold together."""


def inputs_of(step: Step, device: str = "meta") -> list[Tensor]:
    """Batch 1, laid out as the node before hands it on; the image is (1, channels, H, W) as images are."""
    if not step.links:
        (image,) = step.inputs
        assert isinstance(image, Map)
        return [torch.zeros(1, image.channels, image.height, image.width, device=device)]
    return [
        map_of(x.channels, x.height, x.width, device)
        if isinstance(x, Map)
        else torch.zeros(1, x.count, x.channels, device=device)
        for x in step.inputs
    ]


def built(step: Step, found: Spec, device: str = "meta") -> nn.Module:
    with torch.device(device):
        module = step.node.build_module(step.part_inputs(found))
    assert isinstance(module, nn.Module)
    return module.eval()


def noise(found: Spec, batch: int = 2, dtype: torch.dtype = torch.float32) -> Tensor:
    source = torch.Generator().manual_seed(3)
    return torch.randn(batch, found.channels, *found.image_size, generator=source).to(dtype)


def network(found: Spec, features_only: bool = False) -> Any:
    torch.manual_seed(11)
    return build(found, features_only)
