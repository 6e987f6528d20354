"""Dual-ViT: the published networks exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from archdsl.compile import Backbone
from archdsl.cost import count
from archdsl.graphs import graph, plan
from archdsl.load.specs import load_spec, override
from tests.support.goldens import check_summary, read_golden


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
            seen.update((node.replace("stage", "semantic"), grid(each)) for each in both[1:])

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
    assert [round(each.macs / 1e9, 3) for each in counted] == list(MACS[name])
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
