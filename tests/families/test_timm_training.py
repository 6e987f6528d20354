"""What timm's training scripts ask of a backbone: checkpointing, drop path, weight decay and parameter groups."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from archdsl.families.common.layers import DropPath
from archdsl.families.common.stage_modules import Stage
from tests.support.two_stages import NODES, WITH_TOKEN, Raw, images, model


def test_tables_and_the_class_token_are_left_out_of_weight_decay() -> None:
    """As the published recipes do; position embeddings do decay there."""
    assert model().no_weight_decay() == {f"stage2.blocks.{block}.mixer.bias.table" for block in range(3)}
    assert model(WITH_TOKEN).no_weight_decay() == {"stage2.class_token"}


def test_parameter_groups_hold_every_parameter_once_with_its_decay_and_rate() -> None:
    built = model(NODES)
    names = {id(parameter): name for name, parameter in built.named_parameters()}
    groups = built.parameter_groups(lr=2e-3, weight_decay=0.1)
    torch.optim.AdamW(groups)
    found = {names[id(p)]: (g["weight_decay"], g["lr"], g["lr_scale"]) for g in groups for p in g["params"]}
    assert sum(len(group["params"]) for group in groups) == len(found) == len(names)
    assert found["merge1.offset.weight"] == (0.1, 2e-5, 0.01)
    assert found["merge1.offset.bias"] == (0.0, 2e-3, 1.0)
    assert found["stage2.blocks.0.mixer.bias.table"] == (0.0, 2e-3, 1.0)
    for name, parameter in built.named_parameters():
        assert found[name][0] == (0.0 if parameter.ndim == 1 or name in built.no_weight_decay() else 0.1)


@pytest.mark.parametrize("nodes", [NODES, WITH_TOKEN])
@pytest.mark.parametrize("drop_path", [0, 0.5])
def test_checkpointing_changes_no_gradient(nodes: list[Raw], drop_path: float) -> None:
    nodes = [nodes[0], {**nodes[1], "mlp": {"type": "plain"}}, *nodes[2:]]

    def gradients(enable: bool) -> dict[str, Tensor]:
        built = model(nodes, drop_path=drop_path).double().train()
        built.set_grad_checkpointing(enable)
        torch.manual_seed(8)
        built(images(4).double()).square().sum().backward()
        return {name: parameter.grad for name, parameter in built.named_parameters() if parameter.grad is not None}

    kept, recomputed = gradients(False), gradients(True)
    assert kept.keys() == recomputed.keys() == dict(model(nodes).named_parameters()).keys()
    assert all(torch.allclose(kept[name], recomputed[name], rtol=1e-9, atol=1e-12) for name in kept)


def test_checkpointing_can_be_switched_off_again() -> None:
    built = model()
    stages = [module for module in built.children() if isinstance(module, Stage)]
    built.set_grad_checkpointing()
    assert [stage.grad_checkpointing for stage in stages] == [True, True]
    built.set_grad_checkpointing(False)
    assert [stage.grad_checkpointing for stage in stages] == [False, False]


@pytest.mark.parametrize("features_only", [False, True])
def test_drop_path_rates_rise_from_none_to_the_documents(features_only: bool) -> None:
    built = model(drop_path=0.2, features_only=features_only)
    rates = [module.rate for module in built.modules() if isinstance(module, DropPath)]
    assert rates == pytest.approx([0, 0.05, 0.1, 0.15, 0.2])


def test_drop_path_drops_whole_samples_and_scales_the_rest() -> None:
    torch.manual_seed(0)
    drop = DropPath()
    drop.rate = 0.25
    kept = drop.train()(torch.ones(4000, 3, 2))
    assert kept.unique().tolist() == pytest.approx([0, 4 / 3])
    assert torch.equal(kept, kept[:, :1, :1].expand_as(kept))
    assert kept.mean().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(drop.eval()(torch.ones(2, 3)), torch.ones(2, 3))


def test_a_dropped_branch_drops_the_class_token_with_the_map() -> None:
    built = model(WITH_TOKEN, drop_path=0.9).train()
    last = built.get_submodule("stage2.blocks.1")
    changed: list[Tensor] = []
    last.register_forward_hook(lambda module, inputs, out: changed.append((out - inputs[0]).abs().sum(dim=(1, 3)) > 0))
    torch.manual_seed(0)
    built(images(32))
    assert torch.equal(changed[0], changed[0][:, :1].expand_as(changed[0]))
    assert 0 < changed[0][:, 0].sum() < 32
