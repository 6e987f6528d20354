"""Backbones in timm's training: its optimizers, transforms, files and script."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from archdsl.compile import build
from archdsl.load.specs import load_spec, override
from archdsl.weights import save_model
from tests.support.timm_here import need_timm
from tests.support.two_stages import NODES

need_timm()

import timm  # noqa: E402
from timm.data import create_transform, resolve_data_config, resolve_model_data_config  # noqa: E402
from timm.optim import create_optimizer_v2  # noqa: E402
from timm.utils import ModelEmaV3  # noqa: E402

import archdsl.timm  # noqa: E402

SMALL: dict[str, Any] = {"kind": "arch", "version": 1, "name": "small", "image": 32, "classes": 3, "nodes": NODES}


def picture(side: int, channels: int = 3, batch: int = 1) -> Tensor:
    return torch.randn(batch, channels, side, side, generator=torch.Generator().manual_seed(9))


def test_an_epoch_with_layer_decay_learns() -> None:
    """Three classes of pictures that differ in brightness, by timm's transforms for training and for validation.

    The rate of the first layer is that of the last, decayed.
    """
    torch.manual_seed(0)
    random.seed(0)
    model = timm.create_model("archdsl_any", spec=SMALL, drop_path_rate=0.1)
    optimizer = create_optimizer_v2(model, opt="adamw", lr=2e-3, weight_decay=0.05, layer_decay=0.7)
    layers = model.group_matcher()("head.fc.weight") + 1
    assert layers == 1 + 2 + 1 + 3 + 1
    assert {round(group["lr_scale"], 6) for group in optimizer.param_groups} == {
        round(0.7**n, 6) for n in range(layers)
    }
    undecayed = {id(p) for group in optimizer.param_groups if group["weight_decay"] == 0 for p in group["params"]}
    assert all(id(model.get_parameter(name)) in undecayed for name in model.no_weight_decay())
    labels = torch.arange(96) % 3
    raw = [Image.fromarray(np.full((40, 44, 3), 60 + 70 * int(label), dtype=np.uint8)) for label in labels]
    config = resolve_model_data_config(model)
    augmented, plain = create_transform(**config, is_training=True, color_jitter=0.1), create_transform(**config)
    pictures = torch.stack([plain(each) for each in raw])
    average = ModelEmaV3(model, decay=0.5)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}

    def loss() -> float:
        with torch.no_grad():
            return float(nn.functional.cross_entropy(model.eval()(pictures), labels))

    first = loss()
    for batch in range(0, 96, 8):
        optimizer.zero_grad()
        drawn = torch.stack([augmented(each) for each in raw[batch : batch + 8]])
        nn.functional.cross_entropy(model.train()(drawn), labels[batch : batch + 8]).backward()
        optimizer.step()
        average.update(model)
    assert loss() < first / 2
    assert all(not torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())
    weights = average.module.state_dict()["head.fc.weight"]
    assert not torch.equal(weights, before["head.fc.weight"])
    assert not torch.equal(weights, model.state_dict()["head.fc.weight"])


def test_transforms_follow_the_network() -> None:
    model = timm.create_model("archdsl_fcvit_tiny", img_size=64)
    config = resolve_model_data_config(model)
    assert (config["input_size"][0], config["interpolation"], config["crop_pct"]) == (3, "bicubic", 0.9)
    config = resolve_data_config({"input_size": (3, 64, 64)}, model=model)
    grey = Image.fromarray(np.full((80, 90, 3), 51, dtype=np.uint8))
    found = create_transform(**config)(grey)
    assert found.shape == (3, 64, 64)
    means = [(0.2 - mean) / std for mean, std in zip(config["mean"], config["std"], strict=True)]
    assert torch.allclose(found.mean(dim=(1, 2)), torch.tensor(means), atol=1e-5)


def test_a_model_saved_for_the_hub_by_timm_is_made_again_from_its_folder(tmp_path: Path) -> None:
    model = timm.create_model("archdsl_any", spec=SMALL, num_classes=4).eval()
    timm.models.save_for_hf(model, tmp_path)
    again = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    assert isinstance(again, archdsl.timm.TimmBackbone)
    assert torch.equal(again(picture(32)), model(picture(32)))


def test_the_keywords_that_timms_training_script_passes_are_taken(tmp_path: Path) -> None:
    source = build(load_spec(SMALL))
    save_model(source, tmp_path / "small.safetensors")
    unset = dict.fromkeys(("drop_path_rate", "drop_block_rate", "global_pool", "bn_momentum", "bn_eps"))
    model = timm.create_model(
        "archdsl_any",
        spec=SMALL,
        pretrained=True,
        in_chans=3,
        num_classes=5,
        drop_rate=0.0,
        scriptable=False,
        checkpoint_path="",
        pretrained_cfg_overlay={"file": str(tmp_path / "small.safetensors"), "num_classes": -1},
        **unset,
    )
    assert model.num_classes == 5
    assert torch.equal(model.state_dict()["head.norm.weight"], source.state_dict()["head.norm.weight"])
    assert torch.equal(model.state_dict()["stem.proj.weight"], source.state_dict()["stem.proj.weight"])
    model.set_grad_checkpointing(enable=True)
    assert isinstance(model.get_classifier(), nn.Linear)


TRAIN = """
import runpy, sys
from tests.support.timm_here import need_timm
need_timm()
import archdsl.timm
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_timms_own_training_script_runs_an_epoch(tmp_path: Path) -> None:
    scripts = os.environ.get("TIMM_SCRIPTS")
    if scripts is None:
        pytest.skip("TIMM_SCRIPTS does not name the folder of timm's train.py")
    for split in ("train", "validation"):
        for value, label in enumerate(("dark", "light", "lighter")):
            (tmp_path / split / label).mkdir(parents=True)
            for number in range(8):
                pixels = np.full((40, 40, 3), 60 * value + number, dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / split / label / f"{number}.png")
    options = "--model archdsl_fcvit_tiny --num-classes 3 --img-size 64 --epochs 1 --warmup-epochs 0 --batch-size 8"
    options += " --opt adamw --lr 1e-3 --layer-decay 0.75 --model-ema --workers 0 --device cpu"
    words = ["--data-dir", str(tmp_path), *options.split(), "--output", str(tmp_path / "out")]
    subprocess.run([sys.executable, "-c", TRAIN, str(Path(scripts) / "train.py"), *words], check=True)
    (last,) = (tmp_path / "out").rglob("last.pth.tar")
    state = torch.load(last, weights_only=False)["state_dict"]
    spec = override(load_spec("fcvit_tiny"), ["classes=3", "image=64"])
    build(spec).load_state_dict(state)
