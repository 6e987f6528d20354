"""Mermaid and Graphviz: words of their own are never ids, labels are escaped, every edge is in both."""

from __future__ import annotations

from typing import Any

import pytest

from archdsl import zoo
from archdsl.language.document import Spec
from archdsl.load.specs import load_spec
from archdsl.render.dot import dot
from archdsl.render.mermaid import mermaid
from tests.support.drawn import DRAWN, document


def keywords() -> Spec:
    """Nodes named by words that Mermaid or Graphviz reads as their own."""
    names = ["class", "style", "graph", "subgraph", "click", "node", "edge", "image", "o", "x"]
    nodes: list[dict[str, Any]] = [{"id": "default", "type": "patch_stem", "width": 8}]
    nodes += [{"id": name, "type": "mlp", "depth": 1} for name in names]
    return document([*nodes, {"id": "end", "type": "mean_head"}])


def test_mermaid_never_sees_a_keyword_as_an_id() -> None:
    lines = mermaid(keywords()).splitlines()
    assert lines[0] == "flowchart TD"
    assert '    n_end(["end<br/>mean_head<br/>1000 classes"])' in lines
    assert '    n_x -->|"8x8x8"| n_end' in lines
    assert '    image -->|"3x32x32"| n_default' in lines
    assert all(line.split()[0].startswith(("n_", "image")) for line in lines[1:])


def test_graphviz_never_sees_a_keyword_as_an_id() -> None:
    lines = dot(keywords()).splitlines()
    assert (lines[0], lines[-1]) == ('digraph "made" {', "}")
    assert '    "end" [shape=oval, label="end\\nmean_head\\n1000 classes"]' in lines
    assert '    "x" -> "end" [label="8x8x8"]' in lines
    assert '    "the image" -> "default" [label="3x32x32"]' in lines


def test_labels_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = load_spec("litv2_s")
    monkeypatch.setattr(type(spec.nodes[0]), "label", lambda node: 'a="b\\c" #<d>')
    assert '["stage1<br/>2 x mlp<br/>mlp=dwconv"]' in mermaid(spec)
    assert '(["stem<br/>patch_stem<br/>a=#quot;b\\c#quot; #35;#lt;d#gt;"])' in mermaid(spec)
    assert 'label="stem\\npatch_stem\\na=\\"b\\\\c\\" #<d>"' in dot(spec)


@pytest.mark.parametrize("name", [*zoo.names(), *DRAWN[1:]])
def test_every_edge_is_in_both(name: str) -> None:
    spec = load_spec(name)
    reads = sum(len(node.sources or "1") for node in spec.nodes)
    assert mermaid(spec).count(" -->|") == reads
    assert dot(spec).count(" -> ") == reads
