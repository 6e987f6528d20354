"""The parts of Dual-ViT one by one: semantic stem, blocks, initial values, and the head of both pathways."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.compile import Backbone, build
from archdsl.families.common.layers import DropPath
from archdsl.families.dualvit import block_modules as dualvit_blocks
from archdsl.families.dualvit import modules as dualvit
from archdsl.load.specs import load_spec
from tests.support.doubles import noise
from tests.support.pathways import BOTH, HEAD, SEMANTIC, STEM, document, dual, joint

# ----------------------------------------------------------------------------------------------------------- the parts


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
    torch.nn.init.zeros_(last.get_parameter("scale1.gamma"))  # attention adds nothing, the MLPs are all that is dropped
    x, s = noise(64, 2, 3, 16), noise(64, 4, 16)
    torch.manual_seed(1)
    with torch.no_grad():
        added = [new - old for new, old in zip(last(x, s), (x, s), strict=True)]
        whole = [new - old for new, old in zip(last.eval()(x, s), (x, s), strict=True)]
    kept = [each.flatten(1).abs().sum(dim=1) > 0 for each in added]
    assert torch.equal(kept[0], kept[1])
    assert 0 < kept[0].sum() < 64
    for each, other in zip(added, whole, strict=True):
        assert torch.allclose(each[kept[0]], 10 * other[kept[0]])


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
    assert [tuple(each.shape) for each in built.train()(noise(*IMAGES))] == [(2, 7), (2, 17 * 24, 7)]
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
        return {name: each.grad for name, each in built.named_parameters() if each.grad is not None}

    kept, recomputed = gradients(False), gradients(True)
    assert kept.keys() == recomputed.keys()
    assert all(torch.allclose(kept[name], recomputed[name], rtol=1e-9, atol=1e-12) for name in kept)
