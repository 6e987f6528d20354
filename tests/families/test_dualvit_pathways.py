"""Two pathways wherever they begin, end and are read: what is built, and what is not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from archdsl.compile import build
from archdsl.cost import count
from archdsl.language.document import Spec
from tests.support.meta_counter import count_module
from tests.support.pathways import BOTH, HEAD, SEMANTIC, STEM, Raw, document, dual, joint


def check_counts(spec: Spec) -> None:
    for features_only in (False, True):
        model, image = build(spec, features_only), torch.zeros(1, spec.channels, *spec.image_size)
        counted = count(spec, features_only)
        assert (counted.params, counted.macs, counted.activations) == count_module(model, image)


def check_gradients(spec: Spec, features_only: bool = False) -> None:
    """Every parameter takes part in training: nothing is built for nobody."""
    torch.manual_seed(3)
    model = build(spec, features_only).train()
    out = model(torch.randn(2, 3, *spec.image_size))
    sum(x.square().sum() for x in (out if isinstance(out, list | tuple) else (out,))).backward()
    dead = [name for name, each in model.named_parameters() if each.grad is None or not each.grad.any()]
    assert not dead


STAGES: dict[str, list[Raw]] = {
    "joint, both read": [joint("one", "stem", "semantic"), BOTH],
    "joint, pixels read": [joint("one", "stem", "semantic"), HEAD],
    "dual, both read": [dual("one", "stem", "semantic"), BOTH],
    "dual, pixels read": [dual("one", "stem", "semantic"), HEAD],
    "pixels read from a head of both": [joint("one", "stem", "semantic"), {**BOTH, "from": "one.pixels"}],
    "dual, semantics read": [dual("one", "stem", "semantic"), {**BOTH, "from": ["stem", "one"]}],
    "joint, semantics read": [joint("one", "stem", "semantic"), {**BOTH, "from": ["stem", "one"]}],
    "normed for all": [
        dual("one", "stem", "semantic", out_norm="always"),
        joint("two", "one", out_norm="always"),
        BOTH,
    ],
    "normed, pixels read": [joint("one", "stem", "semantic", out_norm="always"), HEAD],
    "one path after two": [dual("one", "stem", "semantic"), {"id": "two", "type": "mlp", "depth": 1}, HEAD],
    "semantics read by several": [
        joint("one", "stem", "semantic"),
        joint("two", "one", "semantic"),
        joint("three", "two", "semantic"),
        {**BOTH, "from": ["three", "one"]},
    ],
    "semantics that are a class token": [
        {"id": "one", "type": "attention", "depth": 1, "heads": 2, "class_token": True, "out_norm": "always"},
        joint("two", "one", "one.class"),
        BOTH,
    ],
    "a late start": [
        {"id": "one", "type": "mlp", "depth": 1},
        {"id": "merge", "type": "conv_merge", "width": 24},
        {**SEMANTIC, "id": "late", "window": 1},
        joint("two", "merge", "late"),
        HEAD,
    ],
    "two widths": [
        dual("one", "stem", "semantic"),
        {"id": "merge", "type": "conv_merge", "width": 24},
        {"id": "semantic_merge", "type": "semantic_merge", "from": "one", "width": 24},
        joint("two", "merge", "semantic_merge"),
        BOTH,
    ],
}
SEQUENCES: dict[str, tuple[list[str], int]] = {
    "semantics passed on in front": (["mlp", "joint_path"], 2),
    "semantics passed on behind": (["joint_path", "mlp"], 2),
    "both kinds in turn": (["mlp", "joint_path", "dual_path"], 5),
    "semantics passed on to nobody": (["mlp", "joint_path"], 1),
}


def two_paths(case: str) -> Spec:
    nodes = STAGES[case]
    needs_semantics = any("semantic" in node.get("from", ()) for node in nodes)
    return document(STEM, *([SEMANTIC] if needs_semantics else []), *nodes)


def sequence(case: str, head: Raw, **fields: Any) -> Spec:
    types, depth = SEQUENCES[case]
    blocks = [{"type": name, **({} if name == "mlp" else {"heads": 2})} for name in types]
    stage = {"id": "one", "type": "sequence", "from": ["stem", "semantic"], "depth": depth, "blocks": blocks, **fields}
    return document(STEM, SEMANTIC, stage, head)


@pytest.mark.parametrize("case", STAGES)
def test_two_pathways_cost_what_is_built_and_nothing_is_built_for_nobody(case: str) -> None:
    spec = two_paths(case)
    check_counts(spec)
    check_gradients(spec)
    check_gradients(spec, features_only=True)


@pytest.mark.parametrize("case", SEQUENCES)
@pytest.mark.parametrize("head", [HEAD, BOTH], ids=["pixels read", "both read"])
@pytest.mark.parametrize("out_norm", ["never", "always"])
def test_a_sequence_passes_semantics_on(case: str, head: Raw, out_norm: str) -> None:
    spec = sequence(case, head, out_norm=out_norm)
    check_counts(spec)
    check_gradients(spec)


def test_what_serves_semantics_alone_is_absent_where_nobody_reads_them() -> None:
    read, unread = build(two_paths("joint, both read")), build(two_paths("joint, pixels read"))
    assert read.get_submodule("one.blocks.1").semantic_mlp is not None
    assert unread.get_submodule("one.blocks.0").semantic_mlp is not None
    assert unread.get_submodule("one.blocks.1").semantic_mlp is None
    behind = build(sequence("semantics passed on behind", HEAD))
    assert behind.get_submodule("one.blocks.0").semantic_mlp is None
    normed = build(two_paths("normed, pixels read"))
    assert [name for name, _ in normed.get_submodule("one.out_norm").named_children()] == ["pixels"]


def test_dual_blocks_keep_their_semantics_which_their_own_pixels_read() -> None:
    unread = build(two_paths("dual, pixels read"))
    assert isinstance(unread.get_submodule("one.blocks.1.semantic_mlp"), nn.Module)


def test_what_serves_pixels_alone_is_absent_where_nobody_reads_them() -> None:
    assert build(two_paths("dual, semantics read")).get_submodule("one.blocks.1").mlp is None
    assert build(two_paths("joint, semantics read")).get_submodule("one.blocks.1").mlp is None


def test_semantics_that_are_passed_on_to_nobody_are_not_made() -> None:
    names = dict(build(sequence("semantics passed on to nobody", HEAD)).named_children())
    assert "semantic" not in names
    assert "semantic" in dict(build(sequence("semantics passed on to nobody", BOTH)).named_children())
