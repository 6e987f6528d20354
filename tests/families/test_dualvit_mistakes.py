"""Mistakes with two pathways are told at both ends; equal sources are one network."""

from __future__ import annotations

import pytest

from archdsl.errors import SpecError
from archdsl.language.canonical import canonical_hash
from tests.support.pathways import BOTH, HEAD, SEMANTIC, STEM, Raw, document, dual, joint


def messages_of(*nodes: Raw) -> list[str]:
    with pytest.raises(SpecError) as caught:
        document(*nodes)
    return [str(problem) for problem in caught.value.problems]


MISTAKES: dict[str, tuple[list[Raw], list[str]]] = {
    "no semantics anywhere": (
        [STEM, dual("one", "stem"), HEAD],
        [
            "nodes[1].from[0]: one reads semantics, and stem gives pixels; "
            'add a semantic_stem that reads stem, and write "from": ["stem", "semantic_stem"]'
        ],
    ),
    "the semantic stem alone": (
        [STEM, SEMANTIC, {**joint("one"), "from": "semantic"}, HEAD],
        ['nodes[2].from: one reads pixels, and semantic gives semantics; write "from": ["stem", "semantic"]'],
    ),
    "a merge between": (
        [
            STEM,
            SEMANTIC,
            dual("one", "stem", "semantic"),
            {"id": "m", "type": "conv_merge", "width": 24},
            joint("two", "m"),
            HEAD,
        ],
        [
            "nodes[4].from[0]: two reads semantics, and m gives pixels; "
            'write "from": ["m", "one"], with a semantic_merge between where the widths differ'
        ],
    ),
    "two widths": (
        [
            STEM,
            SEMANTIC,
            {"id": "m", "type": "conv_merge", "from": "stem", "width": 24},
            joint("one", "m", "semantic"),
            HEAD,
        ],
        [
            "nodes[3]: pixels and semantics must have one width (one reads 24x9x12 from m and 24x16 from semantic); "
            "got pixels of width 24 and semantics of width 16; put a semantic_merge of width 24 before"
        ],
    ),
    "two sources for one path": (
        [STEM, SEMANTIC, {"id": "one", "type": "mlp", "from": ["stem", "semantic"], "depth": 1}, HEAD],
        ['nodes[2].from: mlp reads pixels: one source; got 2 sources; write "stem"'],
    ),
    "a map smaller than a window": (
        [STEM, {**SEMANTIC, "window": 18}, joint("one", "stem", "semantic"), HEAD],
        [
            "nodes[1].window: the map must hold a whole window (semantic reads 16x17x24 from stem); "
            "got window 18 on 17x24; use a smaller window"
        ],
    ),
    "semantics as a class token": (
        [STEM, SEMANTIC, {"id": "head", "type": "class_token_head", "from": "semantic.semantics"}],
        [
            "nodes[2]: class_token_head reads one token (head reads 24x16 from semantic); got 24 tokens; "
            "use class_attention_head"
        ],
    ),
    "a head's mlp on a map": (
        [STEM, SEMANTIC, joint("one", "stem", "semantic"), {**BOTH, "mlp": {"type": "dwconv"}}],
        [
            "nodes[3].mlp: one token has a plain mlp only (head reads 16x17x24 from one and 24x16 from one); "
            "got dwconv; use plain"
        ],
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_names_both_ends_and_what_to_do(case: str) -> None:
    nodes, messages = MISTAKES[case]
    assert messages_of(*nodes) == messages


def test_equal_sources_are_one_network_and_the_pixels_alone_another() -> None:
    def hashed(*sources: str) -> str:
        head = {**BOTH, "from": list(sources)} if sources else BOTH
        return canonical_hash(document(STEM, SEMANTIC, joint("one", "stem", "semantic"), head))

    same = [(), ("one",), ("one", "one"), ("one.pixels", "one.semantics"), ("one", "one.semantics")]
    assert len({hashed(*sources) for sources in same}) == 1
    assert len({hashed(), hashed("one.pixels"), hashed("one", "semantic"), hashed("stem", "one")}) == 4
