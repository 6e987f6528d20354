"""A document too large to build is refused; real backbones at large images are inside the bounds."""

from __future__ import annotations

from typing import Any

import pytest

from archdsl.load.specs import load_spec, override, spec_of
from tests.support.mistakes import HEAD, STAGE, STEM, document, messages_of

PLAIN = {"id": "stage1", "type": "mlp", "depth": 1}
ROOM = "a document has at most {}; got {}, most of it here; make width, depth or image smaller"
LARGE: dict[str, tuple[list[dict[str, Any]], int, list[str]]] = {
    "parameters": (
        [STEM | {"width": 4096}, PLAIN | {"depth": 12}, HEAD],
        32,
        ["nodes[1]: " + ROOM.format("1.000 G parameters", "1.611 G")],
    ),
    "MACs": (
        [STEM | {"width": 512}, PLAIN | {"depth": 30}, HEAD],
        1024,
        ["nodes[1]: " + ROOM.format("3.000 T MACs for one image", "4.125 T")],
    ),
    "memory": (
        [STEM, STAGE, HEAD],
        1024,
        ["nodes[1]: " + ROOM.format("16.00 GB of memory for one image in float32", "34.38 GB")],
    ),
    "all three": (
        [STEM | {"width": 8192}, STAGE | {"depth": 64}, HEAD],
        4096,
        [
            "nodes[1]: " + ROOM.format("1.000 G parameters", "51.55 G"),
            "nodes[1]: " + ROOM.format("3.000 T MACs for one image", "1.207 E"),
            "nodes[1]: " + ROOM.format("16.00 GB of memory for one image in float32", "9.243 TB"),
        ],
    ),
}


@pytest.mark.parametrize("case", LARGE)
def test_a_document_too_large_to_build_is_refused_before_anything_is_allocated(case: str) -> None:
    nodes, image, messages = LARGE[case]
    small = [node | {"width": 64} if "width" in node else node for node in nodes]
    assert spec_of(document(*small, image=64)).nodes
    assert messages_of(*nodes, image=image) == messages


def test_real_backbones_at_the_sizes_of_dense_prediction_are_inside_the_bounds() -> None:
    for name in ("litv2_b", "lit_b"):
        assert override(load_spec(name), ["image=1536"]).image == 1536
