"""Backbones are models of timm, made by its factory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archdsl import zoo
from archdsl.compile import Backbone, build
from archdsl.errors import SpecError, WrongUse
from archdsl.load.specs import load_spec, override
from archdsl.weights import ModelFacts, save_model
from archdsl.weights.facts import Crop, Preprocessing, Resize
from tests.support.timm_here import need_timm
from tests.support.two_stages import NODES

need_timm()

import timm  # noqa: E402

import archdsl.timm  # noqa: E402, F401

SIDES = {"lit_ti": 64, "lit_s": 64, "litv2_s": 64, "dat_t": 224, "datpp_t": 64, "dualvit_s": 64, "fcvit_tiny": 64}
"""A network of each family, with a small image that it takes."""
every_family = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in ("lit_s", "litv2_s", "datpp_t") else ()) for name in SIDES],
)
"""Those that are made by timm as a faster one is, slow."""
SMALL: dict[str, Any] = {"kind": "arch", "version": 1, "name": "small", "image": 32, "classes": 3, "nodes": NODES}


def picture(side: int, channels: int = 3, batch: int = 1) -> Tensor:
    return torch.randn(batch, channels, side, side, generator=torch.Generator().manual_seed(9))


def same_weights(model: nn.Module, other: Backbone) -> Backbone:
    """The other network with the weights of a model of timm."""
    other.load_state_dict(model.state_dict())
    return other.eval()


def expected(name: str, *assignments: str) -> Backbone:
    """The network that archdsl itself builds; a head with token labels is built without them."""
    spec = load_spec(name)
    labels = [f"{node.id}.token_label=false" for node in spec.nodes if hasattr(node, "token_label")]
    return build(override(spec, [f"image={SIDES[name]}", *labels, *assignments]))


def test_every_network_of_the_zoo_is_listed() -> None:
    assert timm.list_models("archdsl_*") == sorted(["archdsl_any", *(f"archdsl_{name}" for name in zoo.names())])
    assert all(timm.is_model(f"archdsl_{name}") for name in zoo.names())


@every_family
def test_logits_are_those_of_the_network_that_archdsl_builds(name: str) -> None:
    model = timm.create_model(f"archdsl_{name}", num_classes=7, in_chans=4, img_size=SIDES[name]).eval()
    x = picture(SIDES[name], 4)
    assert (model.num_classes, model.in_chans) == (7, 4)
    assert model(x).shape == (1, 7)
    assert torch.equal(model(x), same_weights(model, expected(name, "classes=7", "channels=4"))(x))


@every_family
def test_training_gives_plain_logits(name: str) -> None:
    model = timm.create_model(f"archdsl_{name}", num_classes=7, img_size=SIDES[name], drop_path_rate=0.2).train()
    assert model.spec.drop_path == 0.2
    logits = model(picture(SIDES[name], batch=2))
    assert isinstance(logits, Tensor)
    assert logits.shape == (2, 7)


@every_family
def test_without_classes_the_model_gives_pooled_features(name: str) -> None:
    model = timm.create_model(f"archdsl_{name}", num_classes=0, img_size=SIDES[name]).eval()
    assert model(picture(SIDES[name])).shape == (1, model.num_features) == (1, model.head_hidden_size)
    model.reset_classifier(5)
    assert model(picture(SIDES[name])).shape == (1, 5)


@every_family
def test_features_are_the_maps_as_they_leave_their_stages(name: str) -> None:
    side = SIDES[name]
    model = timm.create_model(f"archdsl_{name}", features_only=True, out_indices=(1, -1), img_size=side).eval()
    whole = expected(name).eval()
    whole.load_state_dict(
        {key.removeprefix("model."): tensor for key, tensor in model.state_dict().items()}, strict=False
    )
    maps = whole.forward_intermediates(picture(side), intermediates_only=True)
    found = model(picture(side))
    assert [torch.equal(left, right) for left, right in zip(found, (maps[1], maps[-1]), strict=True)] == [True, True]
    assert model.feature_info.channels() == [level.shape[1] for level in found]
    assert model.feature_info.reduction() == [side // level.shape[2] for level in found] == [8, 32]


@every_family
def test_dense_features_are_those_of_the_dense_prediction_build(name: str) -> None:
    side = SIDES[name]
    model = timm.create_model(f"archdsl_{name}", features_only=True, dense=True, img_size=side).eval()
    dense = build(override(load_spec(name), [f"image={side}"]), features_only=True)
    dense.load_state_dict({key.removeprefix("model."): tensor for key, tensor in model.state_dict().items()})
    wanted = dense.eval()(picture(side))
    assert len(model(picture(side))) == len(wanted) == 4
    assert all(torch.equal(left, right) for left, right in zip(model(picture(side)), wanted, strict=True))


def test_a_network_that_is_cut_holds_no_later_stage() -> None:
    model = timm.create_model("archdsl_any", spec=SMALL, features_only=True, out_indices=[0])
    assert {name.split(".")[1] for name in model.state_dict()} == {"stem", "stage1"}


def test_any_spec_is_a_model_by_its_name_its_path_or_as_a_dict(tmp_path: Path) -> None:
    (tmp_path / "small.json").write_text(json.dumps(SMALL), encoding="utf-8")
    save_model(build(load_spec(SMALL)), tmp_path / "small.safetensors")
    for spec in (SMALL, tmp_path / "small.json", str(tmp_path / "small.safetensors")):
        model = timm.create_model("archdsl_any", spec=spec)
        assert model.spec == load_spec(SMALL)
        assert model.pretrained_cfg["input_size"] == (3, 32, 32)
        assert (model.num_classes, model(picture(32)).shape) == (3, (1, 3))
    assert timm.create_model("archdsl_any", spec="fcvit_tiny").spec == load_spec("fcvit_tiny")


def test_a_model_of_ours_brings_its_weights_and_what_it_says_of_images(tmp_path: Path) -> None:
    source = build(load_spec(SMALL)).eval()
    prepared = Preprocessing(
        size=(32, 32),
        channels="RGB",
        range=(0, 1),
        mean=(0.1, 0.2, 0.3),
        std=(0.4, 0.5, 0.6),
        resize=Resize(filter="bilinear", antialias=True),
        crop=Crop(centre=0.8),
    )
    file = tmp_path / "small.safetensors"
    save_model(source, file, facts=ModelFacts(classes=("a", "b", "c"), preprocessing=prepared))
    model = timm.create_model("archdsl_any", spec=file, pretrained=True).eval()
    assert torch.equal(model(picture(32)), source(picture(32)))
    cfg = model.default_cfg
    assert (cfg["mean"], cfg["std"], cfg["crop_pct"]) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6), 0.8)
    assert (cfg["interpolation"], cfg["label_names"]) == ("bilinear", ("a", "b", "c"))
    other = timm.create_model("archdsl_any", spec=file, pretrained=True, num_classes=5, img_size=64, in_chans=1).eval()
    assert other(picture(64, 1)).shape == (1, 5)
    for name in ("merge1.offset.weight", "stage2.blocks.2.mlp.fc1.weight"):
        assert torch.equal(other.state_dict()[name], source.state_dict()[name])
    table = "stage2.blocks.0.mixer.bias.table"
    assert other.state_dict()[table].shape == (15 * 15, 4) != source.state_dict()[table].shape


def test_token_labels_are_kept_where_that_is_asked_and_left_out_of_a_checkpoint_otherwise(tmp_path: Path) -> None:
    small = override(load_spec("dualvit_s"), ["image=64", "classes=7"])
    source = build(small).eval()
    save_model(source, tmp_path / "dualvit.safetensors")
    cfg = {"file": str(tmp_path / "dualvit.safetensors"), "num_classes": 7}
    options: dict[str, Any] = {"pretrained": True, "pretrained_cfg_overlay": cfg, "img_size": 64}
    kept = timm.create_model("archdsl_dualvit_s", token_label=True, **options).eval()
    assert torch.equal(kept(picture(64)), source(picture(64)))
    plain = timm.create_model("archdsl_dualvit_s", **options)
    assert {name for name in source.state_dict() if name not in plain.state_dict()} == {
        "head.aux_fc.weight",
        "head.aux_fc.bias",
    }
    assert torch.equal(plain.state_dict()["head.fc.weight"], source.state_dict()["head.fc.weight"])


def test_the_pooling_is_the_heads_own_or_none() -> None:
    model = timm.create_model("archdsl_any", spec=SMALL, num_classes=0, global_pool="").eval()
    assert model(picture(32)).shape == (1, 64, 4, 4)
    assert timm.create_model("archdsl_any", spec=SMALL, global_pool="avg").num_classes == 3
    with pytest.raises(WrongUse, match='got global_pool "max"; use "avg"'):
        timm.create_model("archdsl_any", spec=SMALL, global_pool="max")


def test_what_a_model_cannot_do_is_refused() -> None:
    with pytest.raises(WrongUse, match=r"these heads have no dropout; got drop_rate 0\.1; use drop_path_rate"):
        timm.create_model("archdsl_fcvit_tiny", drop_rate=0.1)
    with pytest.raises(SpecError, match="image"):
        timm.create_model("archdsl_litv2_s", img_size=8)
    with pytest.raises(TypeError, match="window_size"):
        timm.create_model("archdsl_litv2_s", window_size=7)
