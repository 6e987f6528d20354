"""A good document to be spoilt, documents as Python values, and what is told of what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from archdsl.errors import Problem, SpecError
from archdsl.families.common.base import Part
from archdsl.families.schemes import SCHEMES
from archdsl.language.nodes import node_models
from archdsl.load.specs import parse_spec, spec_of

GOOD = """\
{
  "kind": "arch", "version": 1, "name": "net",
  "paper": {"title": "A net", "arxiv": "2105.14217"},
  "image": 64, "channels": 3, "classes": 10, "drop_path": 0.1, "weights": "lit", "features": ["stage2"],
  "nodes": [
    {"id": "stem", "type": "patch_stem", "width": 32, "patch": 4},
    {"id": "stage1", "type": "mlp", "depth": 1, "mlp": {"type": "dwconv", "kernel": 3}, "local_perception": true},
    {"id": "merge1", "type": "deformable_merge", "from": "stage1", "width": 64},
    {"id": "stage2", "type": "hilo", "depth": 2, "heads": 4, "window": 2, "alpha": 0.5, "norm": {"type": "group"}},
    {"id": "stage3", "type": "sequence", "depth": 2, "blocks": [
      {"type": "mlp", "layer_scale": 0.1},
      {"type": "attention", "heads": 8, "position_bias": {"type": "relative"}}]},
    {"id": "join", "type": "add_join", "from": ["stage2", "stage3"]},
    {"id": "head", "type": "mean_head"}
  ]
}
"""
Change = tuple[str, ...]
"""What is replaced in the good document, by what, and the messages without the file's name."""


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        parse_spec(text.encode(), "net.json")
    return caught.value.problems


def lines(text: str) -> list[str]:
    """Messages, without the file; lists of known names, which grow with every family, by a word for them."""
    lists = {
        ", ".join(sorted(node_models())): "<nodes>",
        ", ".join(sorted([*Part.kinds["block"], *Part.kinds["stage"]])): "<stages>",
        ", ".join(sorted(Part.kinds["block"])): "<blocks>",
        ", ".join(sorted(Part.kinds["stem"])): "<stems>",
        ", ".join(sorted(SCHEMES)): "<schemes>",
    }
    found = []
    for problem in problems(text):
        message = str(problem).removeprefix("net.json:")
        for names, word in lists.items():
            message = message.replace(names, word)
        found.append(message)
    return found


def hold_told(change: Change) -> None:
    """The good document with that change is refused with exactly these messages."""
    old, new, *messages = change
    assert GOOD.count(old) == 1
    assert lines(GOOD.replace(old, new)) == messages


def hold_place_rule_and_remedy(change: Change) -> None:
    """Each problem of the good document with that change says where it is, what rule, and what to do."""
    old, new, *_ = change
    for problem in problems(GOOD.replace(old, new)):
        assert problem.line
        assert problem.column
        assert problem.rule
        assert problem.remedy or " or " in problem.rule  # the rule itself says what may stand there
        assert "\n" not in str(problem)
        assert len(str(problem)) < 500


def document(*nodes: dict[str, Any], **header: Any) -> dict[str, Any]:
    return {"kind": "arch", "version": 1, "name": "net", "image": 32, "classes": 4, **header, "nodes": list(nodes)}


def messages_of(*nodes: dict[str, Any], **header: Any) -> list[str]:
    with pytest.raises(SpecError) as caught:
        spec_of(document(*nodes, **header))
    return [str(problem) for problem in caught.value.problems]


STEM = {"id": "stem", "type": "patch_stem", "width": 8}
STAGE = {"id": "stage1", "type": "attention", "depth": 1, "heads": 2}
HEAD = {"id": "head", "type": "mean_head"}
