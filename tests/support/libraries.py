"""A tiny parent with a space of alternatives to its blocks, and a library of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from archdsl.compile import build
from archdsl.deriving.library.facts import Entry, Identity, Index, LibrarySettings, Named
from archdsl.deriving.library.folder import BLOCKS, FACTS, FOR, block_file, weights_hash, write_index
from archdsl.deriving.library.wanted import space_identity, wanted_alternatives
from archdsl.language.canonical import canonical_hash
from archdsl.language.document import Spec
from archdsl.load.spaces import space_of
from archdsl.load.specs import spec_of
from archdsl.spaces.space import Space
from archdsl.weights import save_model

_MLP = {"type": "mlp", "mlp": {"type": "dwconv", "ratio": 2}}
_NARROW = {"type": "mlp", "mlp": {"type": "plain", "ratio": 1}}
_HILO = {"type": "hilo", "heads": 2, "window": 2, "mlp": {"type": "plain", "ratio": 2}}
_NODES: list[dict[str, Any]] = [
    {"id": "stem", "type": "patch_stem", "width": 8},
    {"id": "stage1", "depth": 2, **_MLP},
    {"id": "merge1", "type": "deformable_merge", "width": 16},
    {"id": "stage2", "depth": 3, **_HILO},
    {"id": "head", "type": "mean_head"},
]
_HEADER: dict[str, Any] = {"version": 1, "image": 32, "classes": 20}
SETTINGS = LibrarySettings(images=64, scored=64, steps=2)
SPACED = 10
"""Alternatives of the space: 2 and 3 single blocks; spans of two, 1 and 2 with two kinds each; one of three."""


def parent_spec() -> Spec:
    """Two stages of two and three blocks, at 32 pixels."""
    return spec_of({"kind": "arch", "name": "tiny", **_HEADER, "nodes": _NODES})


_Kinds = list[tuple[int, dict[str, Any]]]
_CHOSEN: dict[str, tuple[dict[str, Any], int, _Kinds]] = {
    "stage1": (_MLP, 2, [(2, _MLP), (2, _NARROW)]),
    "stage2": (_HILO, 3, [(2, _HILO), (3, _NARROW)]),
}
"""The stages with choices: the parent's block, how many there are, and spans with their blocks."""


def space_around() -> dict[str, Any]:
    """A narrow MLP at every position, and spans of the parent's own block and of the narrow one."""
    nodes = [
        {"id": node["id"], "type": "sequence", "blocks": _choices(*_CHOSEN[node["id"]])}
        if node["id"] in _CHOSEN
        else node
        for node in _NODES
    ]
    objectives = ["max proxy_accuracy", "min latency"]
    return {"kind": "space", "name": "around-tiny", **_HEADER, "nodes": nodes, "objectives": objectives}


def _choices(own: dict[str, Any], depth: int, spans: _Kinds) -> list[dict[str, Any]]:
    return [_choice(own, [(span, block) for span, block in spans if place + span <= depth]) for place in range(depth)]


def _choice(own: dict[str, Any], spans: _Kinds) -> dict[str, Any]:
    others = [{"$label": f"span{place}", "$span": span, **block} for place, (span, block) in enumerate(spans)]
    return {"$one_of": [{"$label": "own", **own}, {"$label": "narrow", **_NARROW}, *others]}


def saved_parent(folder: Path, seed: int = 1) -> Path:
    """The file of a parent whose tensors are all off their initial values."""
    torch.manual_seed(seed)
    model = build(parent_spec())
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                moved = 0.1 * torch.randn(tensor.shape)
                tensor.add_(moved.abs() if name.endswith("running_var") else moved)
    file = folder / f"parent{seed}.safetensors"
    save_model(model, file)
    return file


def fake_library(
    folder: Path,
    parent: Path,
    spec: Spec,
    fingerprint: str = "0" * 16,
    data: str = "shapetex",
    *,
    space: Space | None = None,
    keys: Sequence[str] | None = None,
) -> Path:
    """A finished library without a tensor: a search reads its index and the headers of its files."""
    space = space or space_of(space_around() | {"classes": spec.classes})
    offered = wanted_alternatives(spec, space)
    wanted = [(key, each) for key, each in offered if keys is None or key in keys]
    identity = Identity(
        parent=Named(name=parent.name, sha256=weights_hash(parent, canonical_hash(spec))),
        data=Named(name=data, sha256=fingerprint),
        image=spec.image_size,
        space=space_identity(space, [key for key, _ in offered]),
        settings=SETTINGS,
    )
    index = Index(
        **dict(identity),
        archdsl="0",
        spec=spec.to_json(),
        space_document=space.model_dump(mode="json", by_alias=True, exclude_unset=True),
        keys=tuple(key for key, _ in wanted),
    )
    (folder / BLOCKS).mkdir(parents=True)
    entries = []
    for number, (key, each) in enumerate(wanted):
        document = each.block.model_dump(mode="json")
        place = {"key": key, "stage": each.stage, "first": each.first, "span": each.span, "block": document}
        entry = Entry(**place, state="fitted", kl=0.01 * (number + 1), before=1.0, after=0.1)
        header = json.dumps({"__metadata__": {FACTS: entry.model_dump_json(), FOR: identity.sha256}}).encode()
        block_file(folder, key).write_bytes(len(header).to_bytes(8, "little") + header)
        entries.append(entry)
    write_index(folder, index, entries)
    return folder
