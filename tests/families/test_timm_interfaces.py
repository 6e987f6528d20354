"""What timm asks of a backbone beside its outputs: layers in order, networks cut to their maps, another image size."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archdsl.compile import Backbone, build
from archdsl.errors import SpecError, WeightsError, WrongUse
from archdsl.families.common.tables import Table
from archdsl.load.specs import load_spec, override, spec_of
from archdsl.weights import import_weights, save_model
from tests.support.places import SPECS
from tests.support.two_stages import NODES, WITH_TOKEN, images, model

FAMILIES = {
    "lit_ti": "image=64",
    "lit_s": "image=64",
    "litv2_s": "image=64",
    "dat_t": "image=224",
    "datpp_t": "image=64",
    "dualvit_s": "image=64",
    "fcvit_tiny": "image=64",
}


def of_family(name: str, *assignments: str) -> Backbone:
    """A network of the family with its offsets and tables away from 0, in eval mode."""
    torch.manual_seed(3)
    spec = override(load_spec(name), [FAMILIES[name], "classes=7", *assignments])
    built = build(spec).eval()
    for parameter in built.parameters():
        nn.init.normal_(parameter, std=0.05)
    return built


def picture(side: int = 64, batch: int = 1) -> Tensor:
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(9))


# ------------------------------------------------------------------------------------------------------------- layers


def test_a_parameters_layer_is_its_block_in_the_order_in_which_blocks_run() -> None:
    built = model(WITH_TOKEN)
    number = built.group_matcher()
    assert [
        number(name)
        for name in (
            "stem.proj.weight",
            "stage1.blocks.0.norm1.weight",
            "stage1.blocks.1.mlp.fc1.weight",
            "merge1.offset.weight",
            "stage2.class_token",
            "stage2.position_embedding.table",
            "stage2.blocks.0.norm1.weight",
            "stage2.blocks.1.norm1.weight",
            "head.fc.weight",
        )
    ] == [0, 1, 2, 3, 4, 4, 4, 5, 6]
    coarse = built.group_matcher(coarse=True)
    assert [coarse(name) for name in ("stem.proj.weight", "stage2.blocks.1.norm1.weight", "head.fc.weight")] == [
        0,
        3,
        4,
    ]


def test_the_norm_at_a_stages_end_is_of_its_last_block() -> None:
    number = model(features_only=True).group_matcher()
    assert (number("stage1.blocks.1.norm1.weight"), number("stage1.out_norm.pixels.weight")) == (2, 2)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_layer_has_parameters_and_runs_after_those_before_it(name: str) -> None:
    with torch.device("meta"):
        built = build(load_spec(name))
    number = built.group_matcher()
    numbers = {parameter: number(parameter) for parameter, _ in built.named_parameters()}
    assert set(numbers.values()) == set(range(max(numbers.values()) + 1))
    head = f"{built.spec.nodes[-1].id}."
    assert {layer for parameter, layer in numbers.items() if parameter.startswith(head)} == {max(numbers.values())}
    assert min(numbers, key=numbers.__getitem__).startswith(f"{built.spec.nodes[0].id}.")


def test_branches_are_layers_in_topological_order() -> None:
    built = build(spec_of(json.loads((SPECS / "two_branches.json").read_text(encoding="utf-8"))))
    number = built.group_matcher(coarse=True)
    places = {node.id: place for place, node in enumerate(built.spec.nodes)}
    assert all(number(parameter) == places[parameter.split(".")[0]] for parameter, _ in built.named_parameters())


def test_ids_that_are_names_of_attributes_have_their_layers() -> None:
    middle = [{"id": name, "type": "mlp", "depth": 2} for name in ("spec", "in_chans", "forward")]
    number = model([NODES[0], *middle, {"id": "end", "type": "mean_head"}]).group_matcher()
    names = ("spec.blocks.1.norm1.weight", "in_chans.blocks.0.norm1.weight", "forward.blocks.1.norm1.weight")
    assert [number(name) for name in names] == [2, 3, 6]


# ------------------------------------------------------------------------------------------------------------ pruning


@pytest.mark.parametrize("name", FAMILIES)
def test_a_pruned_network_gives_the_maps_that_the_whole_one_has(name: str) -> None:
    whole = of_family(name)
    x = picture(whole.spec.image_size[0])
    maps = whole.forward_intermediates(x, intermediates_only=True)
    cut = copy.deepcopy(whole)
    assert cut.prune_intermediate_layers([0, 2]) == [0, 2]
    assert len(cut.state_dict()) < len(whole.state_dict())
    for found in (cut(x), cut.forward_features(x), cut.forward_intermediates(x, [0, 2], intermediates_only=True)):
        assert [torch.equal(left, right) for left, right in zip(found, (maps[0], maps[2]), strict=True)] == [True, True]
    assert cut.num_features == cut.head_hidden_size == maps[2].shape[1] == cut.feature_info[-1]["num_chs"]
    assert (cut.num_classes, hasattr(cut, "head"), len(cut.feature_info)) == (0, False, 3)


def test_pruning_keeps_what_the_maps_need_and_nothing_else() -> None:
    built = model()
    assert built.prune_intermediate_layers([-2]) == [0]
    assert [name for name, _ in built.named_children()] == ["stem", "stage1"]
    whole = model()
    assert whole.prune_intermediate_layers() == [1]
    assert [name for name, _ in whole.named_children()] == ["stem", "stage1", "merge1", "stage2"]


def test_the_head_is_kept_where_that_is_asked_and_the_last_map_is_needed() -> None:
    built = model().eval()
    logits = built(images())
    assert built.prune_intermediate_layers(2, prune_head=False) == [0, 1]
    assert torch.equal(built(images()), logits)
    assert built.prune_intermediate_layers([0], prune_head=False) == [0]
    assert not hasattr(built, "head")


def test_a_dense_build_is_pruned_to_its_normed_maps() -> None:
    built = model(features_only=True).eval()
    first = built(images())[0]
    built.prune_intermediate_layers([0])
    (again,) = built(images())
    assert torch.equal(again, first)


def test_a_pruned_network_is_refused_where_it_would_be_taken_for_a_whole_one(tmp_path: Path) -> None:
    built = model()
    built.prune_intermediate_layers([0])
    with pytest.raises(WeightsError, match="are not those of its spec"):
        save_model(built, tmp_path / "cut.safetensors")
    with pytest.raises(WrongUse, match="there are 1 maps"):
        built.prune_intermediate_layers([1])
    with pytest.raises(WrongUse, match="name at least one map to keep"):
        model().prune_intermediate_layers([])


# --------------------------------------------------------------------------------------------------------- image size


@pytest.mark.parametrize("name", FAMILIES)
def test_a_network_for_another_size_is_the_one_that_its_weights_are_imported_into(name: str) -> None:
    side = 256 if name == "dat_t" else 96
    built = of_family(name)
    wanted = build(override(built.spec, [f"image={side}"])).eval()
    import_weights(wanted, built.state_dict(), image=built.spec.image_size)
    built.set_input_size(side)
    assert built.spec == wanted.spec
    assert {key: tensor.shape for key, tensor in built.state_dict().items()} == {
        key: tensor.shape for key, tensor in wanted.state_dict().items()
    }
    assert torch.equal(built(picture(side)), wanted(picture(side)))


def test_an_image_may_be_a_rectangle_and_parameters_stay_the_same_tensors() -> None:
    built = model(WITH_TOKEN)
    before = dict(built.named_parameters())
    built.set_input_size((32, 48))
    assert built.spec.image_size == (32, 48)
    after = dict(built.named_parameters())
    assert {name for name in before if before[name] is not after[name]} == {"stage2.position_embedding.table"}
    assert after["stage2.position_embedding.table"].shape == (1, 1 + 4 * 6, 64)
    built.set_input_size(32)
    owners = [module for module in built.modules() if isinstance(module, Table)]
    assert [owner.size for owner in owners] == [(4, 4)]


def test_mode_dtype_checkpointing_and_frozen_parameters_stay() -> None:
    built = model().double().eval()
    built.set_grad_checkpointing()
    for name, parameter in built.named_parameters():
        parameter.requires_grad = not name.startswith(("stem", "stage2"))
    frozen = {name for name, parameter in built.named_parameters() if not parameter.requires_grad}
    random = torch.get_rng_state()
    built.set_input_size(64)
    assert torch.equal(random, torch.get_rng_state())
    assert {name for name, parameter in built.named_parameters() if not parameter.requires_grad} == frozen
    assert {tensor.dtype for tensor in built.parameters()} == {torch.float64}
    assert not any(module.training for module in built.modules())
    assert all(stage.grad_checkpointing for stage in built.children() if hasattr(stage, "grad_checkpointing"))


def test_a_removed_classifier_and_pruned_stages_stay_away() -> None:
    built = model().eval()
    built.reset_classifier(0, "")
    built.set_input_size(64)
    assert built(torch.zeros(1, 3, 64, 64)).shape == (1, 64, 8, 8)
    built.prune_intermediate_layers([0])
    built.set_input_size(32)
    assert [tuple(level.shape) for level in built(images())] == [(2, 32, 8, 8)]
    assert [name for name, _ in built.named_children()] == ["stem", "stage1"]


def test_a_size_that_does_not_hold_changes_nothing() -> None:
    built = model().eval()
    before, spec = built(images()), built.spec
    sizes: list[Any] = [8, None, "64", (3, 64, 64), 64.5]
    for size in sizes:
        with pytest.raises(SpecError, match="image"):
            built.set_input_size(size)
    assert built.spec is spec
    assert torch.equal(built(images()), before)


def test_channels_and_width_are_attributes() -> None:
    built = model(channels=1)
    assert (built.in_chans, built.head_hidden_size, built.num_features) == (1, 64, 64)
