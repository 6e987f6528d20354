"""FCViT's options: their published names, which of them are one network, and what does not fit."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from archdsl.errors import SpecError
from archdsl.language.canonical import canonical_hash
from archdsl.load.specs import override, spec_of
from archdsl.weights import import_weights, published_names
from tests.support.fcvit_network import network
from tests.support.goldens import fill


@pytest.mark.parametrize(
    ("fields", "theirs"),
    [
        ({}, {"fc1.0.weight", "fc1.2.weight", "gc1.fc1.weight", "gc2.rescale_bias", "dw2.bias"}),
        ({"squeeze": 1}, {"fc1.weight", "fc2.bias", "gc1.fc1.weight"}),
        ({"compete": False, "kernels": [7]}, {"fc1.0.weight", "gc1.fc.0.weight", "gc1.fc.2.bias"}),
    ],
    ids=["published", "one-linear", "one-step"],
)
def test_published_names_follow_the_options(fields: dict[str, Any], theirs: set[str]) -> None:
    model = network(width=16, **fields)
    names = published_names(model, model.state_dict())
    assert {f"network.0.0.token_mixer.{name}" for name in theirs} <= set(names.values())
    assert names["stage1.blocks.0.mlp.fc1.weight"] == "network.0.0.channel_mixer.fc1.weight"
    assert names["stage1.blocks.0.scale2.gamma"] == "network.0.0.layer_scale_2"
    assert len(set(names.values())) == len(names)


def test_a_checkpoint_with_convolutions_of_side_one_fills_linear_layers() -> None:
    model = network(width=16, squeeze=1, channel_attention=True)
    names = published_names(model, model.state_dict())
    state = {theirs: fill(theirs, tuple(model.state_dict()[ours].shape)) for ours, theirs in names.items()}
    pointwise = "network.0.0.token_mixer.fc1.weight"
    import_weights(model, state | {pointwise: state[pointwise][..., None, None]})
    assert torch.equal(model.state_dict()["stage1.blocks.0.mixer.steps.0.fc1.weight"], state[pointwise])


def test_heads_without_weighing_make_no_difference() -> None:
    raw = network(16).spec.to_json()
    some = [
        canonical_hash(override(spec_of(raw), ["stage1.weighted=false", f"stage1.heads={heads}"])) for heads in (2, 3)
    ]
    assert len({canonical_hash(spec_of(raw)), *some}) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 3}, "heads: width 16 must be a multiple of heads ({reads}); got heads 3; use 1, 2 or 4"),
        ({"kernels": [11, 4]}, "kernels[1]: the kernel must be odd ({reads}); got kernel 4; use 5"),
        ({"kernels": []}, "kernels: kernels must have at least 1 item; got []; add one"),
        ({"kernels": [3, 3, 3]}, "kernels: kernels must have at most 2 items; got [3, 3, 3]; remove some"),
        (
            {"reduction": 32},
            "reduction: reduction must be at most the width 16 ({reads}); got reduction 32; use 16 or less",
        ),
        (
            {"width": 4, "heads": 2, "reduction": 2, "spatial_attention": True},
            "spatial_attention: spatial_attention needs a width of 8 or more ({reads}); got width 4; set it false",
        ),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as refused:
        network(**{"width": 16, **changes})
    reads = f"stage1 reads {changes.get('width', 16)}x8x8 from stem"
    assert str(refused.value) == "nodes[1]." + message.replace("{reads}", reads)
