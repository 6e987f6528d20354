"""A backbone starts at the initial values of the published code."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tests.support.two_stages import NODES, WITH_TOKEN, model


def test_initial_values_are_the_published_ones() -> None:
    """Linear 0.02, depthwise sqrt(2 / 9); stems and merges keep PyTorch's, offsets are zero; biases zero; norms one."""
    state = model([*NODES[:3], {**NODES[3], "local_perception": True}, NODES[4]]).state_dict()
    for name in ("stage1.blocks.0.mlp.fc1", "stage2.blocks.1.mixer.qkv", "stage2.blocks.0.mixer.proj"):
        assert state[f"{name}.weight"].std().item() == pytest.approx(0.02, rel=0.05)
        assert not state[f"{name}.bias"].any()
    for name in ("stage1.blocks.0.mlp.dwconv", "stage2.blocks.0.local"):
        assert state[f"{name}.weight"].std().item() == pytest.approx(math.sqrt(2 / 9), rel=0.1)
        assert not state[f"{name}.bias"].any()
    assert state["head.fc.weight"].std().item() == pytest.approx(0.02, rel=0.1)
    assert state["stage2.blocks.0.mixer.bias.table"].std().item() == pytest.approx(0.02, rel=0.1)
    assert not state["merge1.offset.weight"].any()
    assert not state["merge1.offset.bias"].any()
    for name, fan_in in (("stem.proj", 3 * 16), ("merge1.conv", 4 * 32)):
        bound = 1 / math.sqrt(fan_in)
        for tensor in (state[f"{name}.weight"], state[f"{name}.bias"]):
            assert 0.8 * bound < tensor.abs().max().item() <= bound
    for name in ("stem.norm", "stage1.blocks.0.norm2", "merge1.norm", "head.norm"):
        assert torch.equal(state[f"{name}.weight"], torch.ones_like(state[f"{name}.weight"]))
        assert not state[f"{name}.bias"].any()


def test_tokens_and_position_tables_start_small() -> None:
    state = model(WITH_TOKEN).state_dict()
    assert state["stage2.class_token"].std().item() == pytest.approx(0.02, rel=0.3)
    assert state["stage2.position_embedding.table"].std().item() == pytest.approx(0.02, rel=0.1)


def test_init_torch_keeps_pytorchs_values() -> None:
    state = model(init="torch").state_dict()
    bound = 1 / math.sqrt(64)
    assert 0.9 * bound < state["stage2.blocks.0.mixer.qkv.weight"].abs().max().item() <= bound
    assert state["stage2.blocks.0.mixer.qkv.bias"].any()
    assert not state["merge1.offset.weight"].any()


def test_a_new_classifier_starts_like_the_old_one() -> None:
    built = model()
    built.reset_classifier(200)
    classifier = built.get_classifier()
    assert isinstance(classifier, nn.Linear)
    assert classifier.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert not classifier.bias.any()


def test_layer_scale_starts_at_its_value() -> None:
    state = model([NODES[0], {**NODES[1], "layer_scale": 0.25}, *NODES[2:]]).state_dict()
    assert torch.equal(state["stage1.blocks.0.scale2.gamma"], torch.full((32,), 0.25))
