"""Small documents in which pixels and semantics flow side by side."""

from __future__ import annotations

from typing import Any

from archdsl.language.document import Spec
from archdsl.load.specs import spec_of

Raw = dict[str, Any]


STEM: Raw = {"id": "stem", "type": "patch_stem", "width": 16, "patch": 2}
SEMANTIC: Raw = {"id": "semantic", "type": "semantic_stem", "window": 4}
HEAD: Raw = {"id": "head", "type": "mean_head"}
BOTH: Raw = {"id": "head", "type": "class_attention_head", "heads": 2}


def joint(name: str, *sources: str, **fields: Any) -> Raw:
    return {"id": name, "type": "joint_path", "from": list(sources), "depth": 2, "heads": 2, **fields}


def dual(name: str, *sources: str, **fields: Any) -> Raw:
    return {**joint(name, *sources), "type": "dual_path", **fields}


def document(*nodes: Raw, **header: Any) -> Spec:
    fields = {"kind": "arch", "version": 1, "name": "net", "image": [33, 47], "classes": 5, **header}
    return spec_of({**fields, "nodes": list(nodes)})
