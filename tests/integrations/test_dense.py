"""A backbone in detectors: the maps asked for, what is frozen stays as it is, and the adapters of the documentation."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archdsl
from archdsl.errors import WrongUse
from archdsl.families.common.stage_modules import Stage
from tests.support.detector_stand_ins import MmFPN, install_detectron2, install_mmdet, padded_batch
from tests.support.places import ROOT
from tests.support.shown import blocks

NARROW: dict[str, Any] = {
    "kind": "arch", "version": 1, "name": "narrow", "image": 64, "classes": 5, "weights": "litv2", "drop_path": 0.2,
    "nodes": [
        {"id": "stem", "type": "patch_stem", "width": 8, "norm": {"type": "batch"}},
        {"id": "stage1", "type": "mlp", "depth": 1, "mlp": {"type": "dwconv"}},
        {"id": "merge1", "type": "deformable_merge", "width": 12},
        {"id": "stage2", "type": "mlp", "depth": 1, "mlp": {"type": "dwconv"}},
        {"id": "merge2", "type": "deformable_merge", "width": 16},
        {"id": "stage3", "type": "hilo", "depth": 2, "heads": 4, "window": 2},
        {"id": "merge3", "type": "deformable_merge", "width": 24},
        {"id": "stage4", "type": "hilo", "depth": 1, "heads": 4, "window": 1},
        {"id": "head", "type": "mean_head"},
    ],
}  # fmt: skip
CHANNELS = [8, 12, 16, 24]
SIZE = (50, 75)
"""Of images: 32 divides neither side."""
PAGE = ROOT / "docs" / "how-to" / "use-in-a-detector.md"


def images(height: int = SIZE[0], width: int = SIZE[1], seed: int = 0) -> Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(seed))


def classifier(seed: int = 3) -> archdsl.Backbone:
    """A network whose offsets and statistics are not where they start."""
    torch.manual_seed(seed)
    built = archdsl.build(archdsl.load_spec(NARROW))
    with torch.no_grad():
        for tensor in built.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(0.05 * torch.rand_like(tensor))
    return built.eval()


def state_of(modules: Sequence[nn.Module]) -> list[Tensor]:
    """Copies of all parameters and buffers."""
    return [tensor.clone() for module in modules for tensor in module.state_dict().values()]


def same(left: Sequence[Tensor], right: Sequence[Tensor]) -> bool:
    return len(left) == len(right) > 0 and all(map(torch.equal, left, right))


# ------------------------------------------------------------------------------------------------------ what is built


@pytest.mark.parametrize("indices", [None, (0, 1, 2, 3), (1, 2, 3), (0, 2), (1,), (-1,), [3, 0]])
def test_the_maps_that_are_asked_for_are_those_of_the_whole_build_and_every_parameter_serves_one(indices: Any) -> None:
    whole = archdsl.build(archdsl.load_spec(NARROW), features_only=True).eval()
    archdsl.import_weights(whole, classifier().state_dict())
    chosen = archdsl.dense_backbone(NARROW, out_indices=indices, weights=classifier().state_dict()).eval()
    wanted = sorted(index % 4 for index in (indices or range(4)))
    maps, all_maps = chosen(images()), whole(images())
    assert [facts["num_chs"] for facts in chosen.feature_info] == [CHANNELS[index] for index in wanted]
    assert same(maps, [all_maps[index] for index in wanted])
    torch.stack([each.square().mean() for each in chosen.train()(images())]).sum().backward()
    assert all(parameter.grad is not None for parameter in chosen.parameters())


@pytest.mark.parametrize("kind", ["published", "classifier", "dense", "narrower"])
def test_weights_come_from_published_checkpoints_and_from_our_files(kind: str, tmp_path: Path) -> None:
    """Also where the checkpoint has norms of maps that are not given."""
    trained, file = classifier(), tmp_path / ("a.pth" if kind == "published" else "a.safetensors")
    dense = archdsl.dense_backbone(NARROW, weights=trained.state_dict())
    if kind == "published":
        torch.save({"model": archdsl.export_weights(trained)}, file)
    else:
        saved = archdsl.dense_backbone(NARROW, out_indices=(1, 3), weights=trained.state_dict())
        archdsl.save_model({"classifier": trained, "dense": dense, "narrower": saved}[kind], file)
    found = archdsl.dense_backbone(NARROW, out_indices=(1, 3), weights=file).eval()
    assert same(found(images()), dense.eval()(images())[1::2])
    if kind != "published":
        again = archdsl.dense_backbone(file, out_indices=None if kind == "narrower" else (1, 3)).eval()
        assert same(again(images()), found(images()))


def test_a_network_of_several_pathways_gives_some_of_its_maps() -> None:
    spec = archdsl.override(archdsl.load_spec("dualvit_s"), ["image=64", *(f"stage{n}.depth=1" for n in (1, 2, 3, 4))])
    chosen = archdsl.dense_backbone(spec, out_indices=(2,), frozen_stages=1)
    assert [facts["module"] for facts in chosen.feature_info] == ["stage3"]
    assert not hasattr(chosen, "stage4")
    still = [name for name, module in chosen.named_children() if not any(p.requires_grad for p in module.parameters())]
    assert still == ["stem", "semantic_stem", "stage1"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"out_indices": (4,)}, r"out_indices must be a list of whole numbers from -4 to 3; got \[4\]"),
        ({"out_indices": 3}, "out_indices must be a list of whole numbers from -4 to 3; got 3"),
        ({"out_indices": ("stage1",)}, "out_indices must be a list of whole numbers from -4 to 3"),
        ({"out_indices": (True,)}, "out_indices must be a list of whole numbers from -4 to 3"),
        ({"out_indices": ()}, r"out_indices must name each map once, one at least; got \[\]"),
        ({"out_indices": (3, -1)}, r"out_indices must name each map once, one at least; got \[3, -1\]"),
        ({"frozen_stages": 5}, "frozen_stages must be a whole number from -1 to 4; got 5"),
        ({"frozen_stages": -2}, "frozen_stages must be a whole number from -1 to 4; got -2"),
        ({"frozen_stages": True}, "frozen_stages must be a whole number from -1 to 4; got true"),
        ({"weights": "absent.pth"}, "absent.pth"),
    ],
)
def test_options_that_do_not_fit_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(WrongUse, match=message):
        archdsl.dense_backbone(NARROW, **options)


# --------------------------------------------------------------------------------------------------- how it is trained


@pytest.mark.parametrize(
    ("stages", "frozen"),
    [(-1, []), (0, ["stem"]), (1, ["stem", "stage1"]), (2, ["stem", "stage1", "merge1", "stage2"])],
)
def test_frozen_stages_stay_as_they_are_while_the_others_train(stages: int, frozen: list[str]) -> None:
    model = archdsl.dense_backbone(NARROW, frozen_stages=stages)
    still = [model.get_submodule(name) for name in frozen]
    moving = [module for name, module in model.named_children() if name not in frozen]
    before, others = state_of(still), state_of(moving)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(2):
        model.train()
        torch.stack([each.square().mean() for each in model(images())]).sum().backward()
        optimizer.step()
    assert not any(module.training for part in still for module in part.modules())
    assert all(module.training for part in moving for module in part.modules())
    assert not still or same(state_of(still), before)
    assert not any(torch.equal(now, then) for now, then in zip(state_of(moving), others, strict=True))
    assert not any(module.training for module in model.eval().modules())


def test_batch_norms_in_evaluation_mode_keep_their_statistics_and_learn() -> None:
    model = archdsl.dense_backbone(NARROW, norm_eval=True).train()
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    statistics = [copy.deepcopy(norm.running_mean) for norm in norms]
    weights = [norm.weight.detach().clone() for norm in norms]
    torch.stack([each.square().mean() for each in model(images())]).sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert len(norms) == 4
    for norm, mean, weight in zip(norms, statistics, weights, strict=True):
        assert not norm.training
        assert norm.running_mean is not None
        assert mean is not None
        assert torch.equal(norm.running_mean, mean)
        assert not torch.equal(norm.weight, weight)
    assert model.training
    assert model.get_submodule("stage3").training


def test_checkpointing_gives_the_same_gradients() -> None:
    torch.manual_seed(5)
    plain = archdsl.dense_backbone({**NARROW, "drop_path": 0}, frozen_stages=1)
    again = archdsl.dense_backbone({**NARROW, "drop_path": 0}, frozen_stages=1, grad_checkpointing=True)
    again.load_state_dict(plain.state_dict())
    for model in (plain, again):
        torch.stack([each.square().mean() for each in model.train()(images())]).sum().backward()
    stage = again.get_submodule("stage3")
    assert isinstance(stage, Stage)
    assert stage.grad_checkpointing
    pairs = [(a.grad, b.grad) for a, b in zip(plain.parameters(), again.parameters(), strict=True) if a.requires_grad]
    assert pairs
    assert all(a is not None and b is not None and torch.equal(a, b) for a, b in pairs)


def test_frozen_parts_stay_frozen_in_a_copy_and_at_another_input_size() -> None:
    model = archdsl.dense_backbone(NARROW, frozen_stages=1, norm_eval=True)
    model.set_input_size((96, 64))
    for found in (model, copy.deepcopy(model)):
        found.train()
        assert not any(module.training for module in found.get_submodule("stage1").modules())
        assert not any(p.requires_grad for p in found.get_submodule("stem").parameters())
        assert not any(m.training for m in found.modules() if isinstance(m, nn.BatchNorm2d))


def test_frozen_nodes_that_are_removed_are_not_missed() -> None:
    model = archdsl.dense_backbone(NARROW, frozen_stages=4)
    model.prune_intermediate_layers([0])
    assert not any(module.training for module in model.train().get_submodule("stage1").modules())


# ------------------------------------------------------------------------------------------------------------ adapters


def page_code(package: str) -> dict[str, Any]:
    """What the page's blocks for a package define, run with the stand-ins."""
    variables: dict[str, Any] = {"__name__": "adapter"}
    for block in blocks(PAGE):
        if block.marked("needs") == package:
            exec(compile(block.text, str(PAGE), "exec"), variables)
    return variables


def published(folder: Path) -> str:
    """A published classifier's checkpoint."""
    torch.save(archdsl.export_weights(classifier()), folder / "narrow.pth")
    return str(folder / "narrow.pth")


def trained_one_step(model: nn.Module, levels: Sequence[Tensor]) -> None:
    torch.stack([level.square().mean() for level in levels]).sum().backward()
    torch.optim.AdamW(model.parameters(), lr=0.1).step()


def test_the_adapter_for_mmdetection_is_built_from_its_configuration_and_trains(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registry = install_mmdet(monkeypatch)
    config = page_code("mmdet")["model"]["backbone"]
    assert config.pop("_delete_") is True
    config |= {"spec": NARROW, "with_cp": True}
    config["init_cfg"]["checkpoint"] = published(tmp_path)
    backbone = registry.build(config)
    backbone.init_weights()
    detector = nn.ModuleDict({"backbone": backbone, "neck": MmFPN(CHANNELS, 16)}).train()
    assert torch.equal(backbone.net.stem.proj.weight, classifier().get_parameter("stem.proj.weight"))
    still = [backbone.net.stem, backbone.net.stage1]
    before, moving = state_of(still), state_of([backbone.net.stage3])
    levels = detector["neck"](backbone(images()))
    assert [tuple(level.shape[2:]) for level in levels] == [(13, 19), (6, 9), (3, 4), (1, 2)]
    trained_one_step(detector, levels)
    assert same(state_of(still), before)
    assert not same(state_of([backbone.net.stage3]), moving)
    assert not any(module.training for module in detector.modules() if isinstance(module, nn.BatchNorm2d))


def test_the_adapter_for_detectron2_is_built_from_its_configuration_and_trains(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registry = install_detectron2(monkeypatch)
    cfg = page_code("detectron2")["cfg"]
    cfg.MODEL.ARCHDSL.spec, cfg.MODEL.ARCHDSL.weights = NARROW, published(tmp_path)
    cfg.MODEL.ARCHDSL.grad_checkpointing = True
    model = registry.get(cfg.MODEL.BACKBONE.NAME)(cfg, None).train()
    net = model.bottom_up.net
    assert (model.size_divisibility, model.bottom_up.size_divisibility) == (32, 0)
    unpadded = [tuple(each.shape[2:]) for each in model.bottom_up(images()).values()]
    assert unpadded == [(13, 19), (6, 9), (3, 4), (1, 2)]
    assert torch.equal(net.stem.proj.weight, classifier().get_parameter("stem.proj.weight"))
    before, moving = state_of([net.stem, net.stage1]), state_of([net.stage3])
    batch = padded_batch([images()[0], images(33, 70)[1]], model.size_divisibility)
    assert batch.shape == (2, 3, 64, 96)
    levels = model(batch)
    sizes = {name: tuple(level.shape[1:]) for name, level in levels.items()}
    assert sizes == {"p2": (16, 16, 24), "p3": (16, 8, 12), "p4": (16, 4, 6), "p5": (16, 2, 3), "p6": (16, 1, 2)}
    trained_one_step(model, list(levels.values()))
    assert same(state_of([net.stem, net.stage1]), before)
    assert not same(state_of([net.stage3]), moving)
    assert not any(module.training for module in model.modules() if isinstance(module, nn.BatchNorm2d))
    with pytest.raises(RuntimeError, match="must match the size of tensor"):
        model(images())  # which is why the batch is padded
