"""DAT++ against the published code, module by module."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from archdsl.compile import Backbone
from archdsl.families.common import layers
from archdsl.families.common.block import Block
from archdsl.families.datpp.spec import DeformablePlus
from archdsl.shape import Map
from tests.support.goldens import check_summary, fill, read_golden

Facts = dict[str, Any]


UNITS = read_golden("datpp_t_units")
OPTIONS = read_golden("datpp_options")


def unit_input(entry: Facts) -> Tensor:
    drawn: Any = np.random.RandomState(2022).standard_normal(entry["input_shape"])
    return torch.from_numpy(drawn.astype(np.float32))


def check_unit(entry: Facts, out: Tensor, wanted: Any) -> None:
    """(B, C, H, W) in float64 against what was stored of a float32 run.

    Its rounding of places, 1e-7 of the map's side, is a difference of as much where noise is sampled.
    """
    check_summary(entry["out"], out)
    step = entry["thinned_by"]
    error = np.abs(out[..., ::step, ::step].numpy() - wanted).max() / np.abs(wanted).max()
    assert error <= (3e-7 * max(entry["input_shape"][2:]) if "pos_shape" in entry else 1e-6)


def on_maps(module: nn.Module, x: Tensor) -> Tensor:
    """A channels-last module on a map (B, C, H, W)."""
    with torch.no_grad():
        return layers.to_first(module(layers.to_last(x.double())))


@pytest.fixture(scope="module")
def filled() -> Backbone:
    return read_golden("datpp_t").model()


def module_at(model: Backbone, path: str) -> tuple[nn.Module, bool]:
    """What stands under a published path, and whether it takes channels last."""
    stages = [model.get_submodule(f"stage{n}") for n in (1, 2, 3, 4)]
    if path == "patch_proj":
        return model.get_submodule("stem"), False
    kind, number, *rest = path.split(".")
    if kind == "down_projs":
        return model.get_submodule(f"merge{int(number) + 1}"), False
    stage = stages[int(number)]
    if not rest:
        return stage, False
    part = {"attns": "mixer", "mlps": "mlp"}[rest[0]]
    return stage.get_submodule(f"blocks.{rest[1]}.{part}"), True


@pytest.mark.parametrize("entry", UNITS.facts["entries"], ids=lambda entry: entry["name"])
def test_the_modules_of_the_network_give_what_the_published_ones_do(entry: Facts, filled: Backbone) -> None:
    module, channels_last = module_at(filled, entry["key_prefix"])
    x = unit_input(entry).double()
    with torch.no_grad():
        out = on_maps(module, x) if channels_last else module(x)
    check_unit(entry, out, UNITS.arrays[entry["name"]])
    if "pos_shape" in entry:
        check_places(module, x, UNITS.arrays[entry["name"] + ":pos"])


def check_places(module: Any, x: Tensor, wanted: Any) -> None:
    """The published places are (B, groups, Hk, Wk, yx)."""
    with torch.no_grad():
        places = module.places(module.q(layers.to_last(x))).flip(-1)
    assert places.shape == wanted.shape
    assert np.abs(places.numpy() - wanted).max() <= 3e-6


def block_of(entry: Facts) -> Block:
    """The block that the authors' constructor arguments ask for."""
    ctor = entry["ctor"]
    chosen = [name for name in ("dwc_pe", "fixed_pe", "log_cpb") if ctor[name]]
    bias = {"dwc_pe": "depthwise", "fixed_pe": "fixed", "log_cpb": "log"}[chosen[0]] if chosen else "sampled"
    offsets: Facts = {"type": "clamped"}
    if ctor["offset_range_factor"] >= 0:
        offsets = {"type": "scaled", "range": ctor["offset_range_factor"]}
    return DeformablePlus.model_validate(
        {
            "type": "deformable_plus",
            "heads": ctor["n_heads"],
            "groups": ctor["n_groups"],
            "kernel": ctor["ksize"],
            "stride": ctor["stride"],
            "offsets": {"type": "none"} if ctor["no_off"] else offsets,
            "position_bias": {"type": bias if ctor["use_pe"] else "none"},
        }
    )


def load_unit(module: nn.Module, names: Mapping[str, str], state: list[Facts]) -> None:
    """Fill a module by the published keys of it alone; the frozen offset network is left over."""
    tensors = {row["key"]: fill(row["key"], tuple(row["shape"])) for row in state}
    for name, parameter in module.named_parameters():
        for theirs, ours in names.items():
            name = re.sub(rf"^{re.escape(ours)}(?=\.|$)", theirs, name)
        with torch.no_grad():
            parameter.copy_(tensors.pop(name).reshape(parameter.shape))
    assert all(name.startswith("conv_offset.") for name in tensors)
    module.double().eval()


def entries(kind: str) -> list[Any]:
    return [
        pytest.param(entry, id=entry["name"]) for entry in OPTIONS.facts["entries"] if entry["name"].startswith(kind)
    ]


@pytest.mark.parametrize("entry", entries("Dpp:"))
def test_options_that_no_published_network_uses_are_those_of_the_published_code(entry: Facts) -> None:
    block = block_of(entry)
    _, channels, height, width = entry["input_shape"]
    module: Any = block.mixer(Map(channels, height, width))
    names = block.mixer_names  # type: ignore[attr-defined]
    load_unit(module, names, entry["state"])
    check_unit(entry, on_maps(module, unit_input(entry)), OPTIONS.arrays[entry["name"]])
    if not entry["ctor"]["no_off"]:
        check_places(module, unit_input(entry).double(), OPTIONS.arrays[entry["name"] + ":pos"])


def test_the_mlp_adds_the_convolution_to_its_input() -> None:
    (entry,) = (param.values[0] for param in entries("MLPconvpp"))
    module = layers.ResidualConvMlp(entry["ctor"]["channels"], 64, 3)
    load_unit(module, {"linear1.0": "fc1", "linear2.0": "fc2", "dwc": "dwconv"}, entry["state"])
    check_unit(entry, on_maps(module, unit_input(entry)), OPTIONS.arrays["MLPconvpp"])


def test_layer_scale_is_a_factor_a_channel() -> None:
    (entry,) = (param.values[0] for param in entries("LayerScale"))
    module = layers.LayerScale(entry["ctor"]["dim"], 1)
    load_unit(module, {"weight": "gamma"}, entry["state"])
    check_unit(entry, on_maps(module, unit_input(entry)), OPTIONS.arrays["LayerScale"])
