"""Dual-ViT: the published networks exactly, and two pathways wherever they begin, end and are read."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from goldens import read_golden
from meta_counter import count_module
from test_zoo import check_summary
from torch import Tensor, nn

from archdsl.compile import Backbone, build
from archdsl.cost import count
from archdsl.errors import SpecError
from archdsl.graphs import graph, plan
from archdsl.load import load_spec, override, spec_of
from archdsl.modules import dualvit, dualvit_blocks
from archdsl.modules.layers import DropPath
from archdsl.schema.canonical import canonical_hash
from archdsl.schema.document import Spec

Raw = dict[str, Any]

# ---------------------------------------------------------------------------------------------- the published networks


@pytest.fixture(scope="module")
def published() -> Backbone:
    return read_golden("dualvit_s").model()


@pytest.mark.parametrize("name", ["dualvit_s", "dualvit_s_224x224_blocks"])
def test_float64_maps_semantics_and_logits_are_those_of_the_published_code(name: str, published: Backbone) -> None:
    """Noise hides the queries, since pooled cells of it are nearly equal; blocks show them."""
    found = read_golden(name)
    seen: dict[str, Tensor] = {}

    def keep(node: str) -> Any:
        def hook(module: nn.Module, inputs: Any, out: Any) -> None:
            both = out if isinstance(out, tuple) else (out,)
            seen[node] = both[0]
            seen.update((node.replace("stage", "semantic"), grid(one)) for one in both[1:])

        return hook

    hooks = [part.register_forward_hook(keep(node)) for node, part in published.named_children() if node != "head"]
    head: Any = published.head
    with torch.no_grad():
        both = published.forward_features(found.images().double())
        logits = published.forward_head(both)
        normed = head.norm(both[0].permute(0, 2, 3, 1))
        head_logits = head.fc(published.forward_head(both, pre_logits=True))
        aux = head.aux_fc(normed).permute(0, 3, 1, 2)
    for hook in hooks:
        hook.remove()
    seen |= {"stage4_before_norm": both[0], "semantic4_before_norm": grid(both[1]), "aux_logits": aux}
    seen |= {"semantic0": grid(seen["semantic_stem"]), "head_logits": head_logits[..., None, None]}
    seen["stage4"] = normed.permute(0, 3, 1, 2)
    for row in found.facts["stages"]:
        check_summary(row, seen[row["stage"]])
    wanted = found.arrays["logits64"]
    assert np.abs(logits.numpy() - wanted).max() <= 1e-12 * np.abs(wanted).max()


def grid(tokens: Tensor, height: int = 8) -> Tensor:
    """(B, M, C) -> (B, C, height, M / height)"""
    return tokens.transpose(1, 2).reshape(len(tokens), tokens.shape[2], height, -1)


def test_float32_logits_differ_by_rounding_alone(published: Backbone) -> None:
    found = read_golden("dualvit_s_224x224_blocks")
    with torch.no_grad():
        logits = published.float()(found.images()).numpy()
    published.double()
    assert np.abs(logits - found.arrays["logits"]).max() <= 3e-5


@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.float64, marks=pytest.mark.slow)])
def test_the_pyramid_is_that_of_the_published_detection_backbone(dtype: torch.dtype) -> None:
    found = read_golden("dualvit_s_det_320x256")
    model = found.model(features_only=True).to(dtype)
    semantics: dict[str, Tensor] = {}
    names = {"semantic_stem": "semantic0", "stage1": "semantic1", "stage2": "semantic2", "stage3": "semantic3"}
    for node, row in names.items():
        model.get_submodule(node).register_forward_hook(
            lambda module, inputs, out, row=row: semantics.update({row: out[1] if isinstance(out, tuple) else out})
        )
    with torch.no_grad():
        levels = model(found.images().to(dtype))
    seen = {f"stage{index + 1}": level for index, level in enumerate(levels)}
    seen |= {row: grid(tokens, 11) for row, tokens in semantics.items()}
    assert {row["stage"] for row in found.facts["stages"]} == set(seen)
    for row in found.facts["stages"]:
        check_summary(row, seen[row["stage"]])
    wanted = found.arrays["stage4"]
    assert np.abs(levels[-1].numpy() - wanted).max() <= 2e-5


MACS = {
    "dualvit_s": (5.377, 18.376, 5.355),
    "dualvit_b": (9.292, 31.783, 9.267),
    "dualvit_l": (17.961, 60.316, 17.936),
}
WITHOUT_AUX = {"dualvit_s": 24_605_000, "dualvit_b": 42_114_024, "dualvit_l": 72_453_544}


@pytest.mark.parametrize("name", MACS)
def test_macs_are_those_of_the_published_code(name: str) -> None:
    spec = load_spec(name)
    changes: tuple[list[str], ...] = ([], ["image=384"], ["head.token_label=false"])
    counted = [count(override(spec, change)) for change in changes]
    assert [round(one.macs / 1e9, 3) for one in counted] == list(MACS[name])
    assert counted[2].params == WITHOUT_AUX[name]


@pytest.mark.parametrize(("name", "params", "gmacs"), [("s", 21_741_280, 9.041), ("b", 38_448_128, 15.710)])
def test_dense_forms_cost_what_the_published_ones_do(name: str, params: int, gmacs: float) -> None:
    counted = count(override(load_spec(f"dualvit_{name}"), ["image=[320, 256]"]), features_only=True)
    assert (counted.params, round(counted.macs / 1e9, 3)) == (params, gmacs)
    facts = read_golden("dualvit_s_det_320x256").facts
    assert name != "s" or (counted.params, 2 * counted.macs) == (facts["params"], facts["flop_counter_total"])


def test_parts_have_the_published_parameters() -> None:
    found = {node.id: node.params for node in count(load_spec("dualvit_s")).nodes}
    assert (found["stem"], found["semantic_stem"], found["stage4"]) == (41_952, 29_312, 8_492_736)
    assert found["stage1"] - 4 * 64 == 441_024
    assert found["stage2"] - 4 * 128 == 2_290_176
    assert found["stage3"] - 4 * 320 == 9_316_800
    assert found["head"] == 1_610_560 + 2 * 449_000 + 2 * 448


# ------------------------------------------------------------------------------------------------------------ documents

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


def check_counts(spec: Spec) -> None:
    for features_only in (False, True):
        with torch.device("meta"):
            model, image = build(spec, features_only), torch.zeros(1, spec.channels, *spec.image_size)
        counted = count(spec, features_only)
        assert (counted.params, counted.macs, counted.activations) == count_module(model, image)


def check_gradients(spec: Spec, features_only: bool = False) -> None:
    """Every parameter takes part in training: nothing is built for nobody."""
    torch.manual_seed(3)
    model = build(spec, features_only).train()
    out = model(torch.randn(2, 3, *spec.image_size))
    sum(x.square().sum() for x in (out if isinstance(out, list | tuple) else (out,))).backward()
    dead = [name for name, one in model.named_parameters() if one.grad is None or not one.grad.any()]
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


def test_edges_carry_both_ports() -> None:
    found = graph(load_spec("dualvit_s"))
    assert list(found.edges["stage4", "head"]["ports"]) == ["pixels", "semantics"]
    assert found.edges["semantic_merge1", "stage2"]["port"] == "semantics"
    assert str(found.nodes["stage3"]["shapes"]["semantics"]) == "64x320"
    assert plan(load_spec("dualvit_s"), features_only=True)[-1].read == {"pixels"}


@pytest.mark.parametrize(("image", "tokens"), [(224, 64), (384, 169), ([320, 256], 99), ([25, 225], 8), (200, 49)])
def test_tokens_are_as_many_as_whole_windows(image: Any, tokens: int) -> None:
    """At 384 the map of 96 has 13 windows a side, and rows and columns that are left."""
    spec = override(load_spec("dualvit_s"), [f"image={image}"])
    shapes = [step.outputs["semantics"].positions for step in plan(spec) if "semantics" in step.outputs]
    assert set(shapes) == {tokens}


# ------------------------------------------------------------------------------------------------------------- mistakes


def told(*nodes: Raw) -> list[str]:
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
    assert told(*nodes) == messages


def test_equal_sources_are_one_network_and_the_pixels_alone_another() -> None:
    def hashed(*sources: str) -> str:
        head = {**BOTH, "from": list(sources)} if sources else BOTH
        return canonical_hash(document(STEM, SEMANTIC, joint("one", "stem", "semantic"), head))

    same = [(), ("one",), ("one", "one"), ("one.pixels", "one.semantics"), ("one", "one.semantics")]
    assert len({hashed(*sources) for sources in same}) == 1
    assert len({hashed(), hashed("one.pixels"), hashed("one", "semantic"), hashed("stem", "one")}) == 4


# ----------------------------------------------------------------------------------------------------------- the parts


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(7))


def test_queries_stay_in_classification_where_there_are_as_many_as_windows() -> None:
    """A grid of 4 x 16 leaves 8 x 8 queries as they are there, and resizes them in a dense build."""
    stem = dualvit.SemanticStem(4, 8, 1).double()
    grid = stem.queries.t().reshape(1, 4, 8, 8)

    def resized(rows: int, columns: int) -> Tensor:
        found = F.interpolate(grid, size=(rows, columns), mode="bicubic", align_corners=False)
        return found[0].flatten(1).t()

    assert torch.equal(stem.queries_of(4, 16), stem.queries)
    assert torch.equal(stem.queries_of(13, 13), resized(13, 13))
    stem.dense = True
    assert torch.equal(stem.queries_of(8, 8), stem.queries)
    assert torch.equal(stem.queries_of(4, 16), resized(4, 16))
    assert torch.allclose(resized(8, 8), stem.queries, rtol=0, atol=1e-12)


@pytest.mark.parametrize("features_only", [False, True])
def test_a_stem_knows_which_build_it_is_in(features_only: bool) -> None:
    spec = document(STEM, SEMANTIC, joint("dense", "stem", "semantic"), HEAD)
    stem: Any = build(spec, features_only).get_submodule("semantic")
    assert stem.dense is features_only


def test_semantics_are_gated_between_what_was_found_and_the_averages() -> None:
    stem = dualvit.SemanticStem(4, 2, 3).double()
    x = noise(2, 4, 7, 8)
    pooled = torch.stack([x[:, :, i : i + 3, j : j + 3].mean(dim=(2, 3)) for i in (0, 3) for j in (0, 3)], dim=1)
    q = stem.query(stem.query_norm(stem.queries))
    k, v = stem.kv(pooled).split(4, dim=-1)
    found = (q @ k.mT * 0.5).softmax(dim=-1) @ v
    gate = stem.gate.fc2(stem.gate.fc1((found + pooled).mean(dim=1)).clamp(min=0)).unflatten(1, (2, 4)).softmax(dim=1)
    wanted = stem.norm(gate[:, None, 0] * found + gate[:, None, 1] * pooled)
    assert torch.allclose(stem(x), wanted, rtol=0, atol=1e-12)


def test_a_branch_of_a_joint_block_is_dropped_for_pixels_and_semantics_alike() -> None:
    block = build(document(STEM, SEMANTIC, joint("one", "stem", "semantic", layer_scale=1), BOTH, drop_path=0.9))
    last = block.get_submodule("one.blocks.1").double().train()
    assert isinstance(last, dualvit_blocks.JointPath)
    torch.manual_seed(1)
    x, s = noise(64, 2, 3, 16), noise(64, 4, 16)
    pixels, semantics = last._dropped(x, s)
    kept = [one.flatten(1).abs().sum(dim=1) > 0 for one in (pixels, semantics)]
    assert torch.equal(kept[0], kept[1])
    assert 0 < kept[0].sum() < 64
    assert torch.allclose(pixels[kept[0]], 10 * x[kept[0]])


def test_every_block_has_one_drop_path_rate_whatever_its_branches() -> None:
    with torch.device("meta"):
        model = build(load_spec("dualvit_s"))
    rates = [module.rate for module in model.modules() if isinstance(module, DropPath)]
    assert rates == pytest.approx([0.15 * index / 15 for index in range(16)])


def test_initial_values_are_the_published_ones() -> None:
    torch.manual_seed(4)
    stem = {"id": "stem", "type": "deep_stem", "width": 64, "hidden": 32}
    model = build(document(stem, {**SEMANTIC, "window": 2}, dual("one", "stem", "semantic"), BOTH, image=64))
    state = model.state_dict()
    for name in ("semantic.queries", "semantic.kv.weight", "one.blocks.0.semantic_mixer.qkv.weight"):
        assert state[name].std().item() == pytest.approx(0.02, rel=0.05)
    deviations = {"stem.conv1": 49 * 32, "stem.conv3": 9 * 32, "stem.proj": 9 * 64, "one.blocks.1.mlp.dwconv": 9}
    for name, fan_out in deviations.items():
        assert state[f"{name}.weight"].std().item() == pytest.approx(math.sqrt(2 / fan_out), rel=0.05)
    for name in ("scale1", "scale2", "semantic_scale1", "semantic_scale3"):
        assert torch.equal(state[f"one.blocks.0.{name}.gamma"], torch.full((64,), 1e-6))
    assert not state["head.aux_fc.bias"].any()


# ------------------------------------------------------------------------------------------------------------ the head


def model(**fields: Any) -> Backbone:
    torch.manual_seed(5)
    return build(document(STEM, SEMANTIC, joint("one", "stem", "semantic"), {**BOTH, **fields})).double()


IMAGES = (2, 3, 33, 47)


def test_training_with_token_labels_gives_the_logits_of_the_pixels_too() -> None:
    built = model().train()
    logits, aux = built(noise(*IMAGES))
    assert (tuple(logits.shape), tuple(aux.shape)) == ((2, 5), (2, 17 * 24, 5))
    evaluated = built.eval()(noise(*IMAGES))
    assert torch.allclose(evaluated, logits + 0.5 * aux.max(dim=1).values, rtol=0, atol=1e-12)
    assert isinstance(model(token_label=False).train()(noise(*IMAGES)), Tensor)


def test_features_are_both_pathways_and_the_pooled_class_token() -> None:
    built = model(token_label=False).eval()
    pixels, semantics = features = built.forward_features(noise(*IMAGES))
    assert (tuple(pixels.shape), tuple(semantics.shape)) == ((2, 16, 17, 24), (2, 24, 16))
    pooled = built.forward_head(features, pre_logits=True)
    assert tuple(pooled.shape) == (2, built.num_features) == (2, 16)
    assert torch.equal(built.get_classifier()(pooled), built(noise(*IMAGES)))


def test_a_new_number_of_classes_is_one_for_both_linears() -> None:
    built = model().eval()
    built.reset_classifier(7)
    assert tuple(built(noise(*IMAGES)).shape) == (2, 7)
    assert [tuple(one.shape) for one in built.train()(noise(*IMAGES))] == [(2, 7), (2, 17 * 24, 7)]
    built.eval().reset_classifier(0)
    pooled = built.forward_head(built.forward_features(noise(*IMAGES)), pre_logits=True)
    assert torch.equal(built(noise(*IMAGES)), pooled)
    built.reset_classifier(3)
    assert tuple(built(noise(*IMAGES)).shape) == (2, 3)
    without = model(token_label=False).train()
    without.reset_classifier(4)
    assert tuple(without(noise(*IMAGES)).shape) == (2, 4)


@pytest.mark.parametrize("drop_path", [0, 0.5])
def test_checkpointing_changes_no_gradient_of_either_pathway(drop_path: float) -> None:
    def gradients(enable: bool) -> dict[str, Tensor]:
        torch.manual_seed(6)
        nodes = [dual("one", "stem", "semantic"), joint("two", "one"), BOTH]
        built = build(document(STEM, SEMANTIC, *nodes, drop_path=drop_path)).double().train()
        built.set_grad_checkpointing(enable)
        torch.manual_seed(8)
        sum(out.square().sum() for out in built(noise(*IMAGES))).backward()
        return {name: one.grad for name, one in built.named_parameters() if one.grad is not None}

    kept, recomputed = gradients(False), gradients(True)
    assert kept.keys() == recomputed.keys()
    assert all(torch.allclose(kept[name], recomputed[name], rtol=1e-9, atol=1e-12) for name in kept)
