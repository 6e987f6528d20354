"""Cells about a library's blocks."""

from __future__ import annotations

from archdsl.json_types import JsonObject
from archdsl.render.library_texts import block_text


def test_a_block_says_first_what_tells_it_from_others_of_its_network() -> None:
    norm: JsonObject = {"type": "layer", "eps": 1e-6}
    mlp: JsonObject = {"type": "plain", "ratio": 2.0}
    document: JsonObject = {"norm": norm, "mlp": mlp, "layer_scale": None, "type": "hilo", "heads": 2, "window": 1}
    assert block_text(document) == "hilo heads=2 window=1 mlp=plain(ratio=2) norm=layer(eps=1e-06)"
