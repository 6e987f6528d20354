"""DAT against the published code (LeapLabTHU/DAT@18d7bb5)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from archdsl.compile import Backbone, build
from archdsl.cost import count
from archdsl.errors import SpecError, WeightsError
from archdsl.families.dat.modules import DeformableAttention
from archdsl.load.specs import load_spec, override, spec_of
from archdsl.weights import import_weights, published_names
from tests.support.goldens import Golden, check_run, check_summary, fill, read_golden

MACS = {"dat_t": 4.563e9, "dat_s": 8.959e9, "dat_b": 15.721e9, "dat_b_384": 49.450e9}
"""Half of what torch's FlopCounterMode counts of the published code."""

ENTRIES = {
    name: {row["name"]: row for row in read_golden(name).facts["entries"]} for name in ("dat_t_units", "dat_options")
}


# ------------------------------------------------------------------------------------------------ the published code


@pytest.fixture(scope="module")
def golden() -> Golden:
    return read_golden("dat_t")


@pytest.fixture(scope="module")
def filled(golden: Golden) -> Backbone:
    return golden.model()


@pytest.mark.parametrize("name", MACS)
def test_macs_are_those_counted_of_the_published_code(name: str) -> None:
    assert round(count(load_spec(name)).macs / 1e6) == MACS[name] / 1e6


def test_macs_of_the_smallest_are_the_published_ones_to_the_last(golden: Golden) -> None:
    assert 2 * count(golden.spec()).macs == golden.facts["flop_counter_total"]
    assert count(golden.spec()).params == golden.facts["params"]


def test_float64_maps_positions_and_logits_are_those_of_the_published_code(golden: Golden, filled: Any) -> None:
    def kept(name: str, module: nn.Module, inputs: Any, out: Any) -> Tensor:
        if isinstance(module, DeformableAttention):
            return unit_positions(module, inputs[0]).permute(0, 1, 4, 2, 3).flatten(1, 2)
        found: Tensor = out if name != "norm" else out.permute(0, 3, 1, 2)
        return found

    watched = {name: getattr(filled, name) for name in ("stem", "stage1", "stage2", "stage3", "stage4")}
    watched |= {f"stage{n}_block2_pos": getattr(filled, f"stage{n}").blocks[1].mixer for n in (3, 4)}
    check_run(golden, filled, watched | {"norm": filled.head.norm}, kept)


def test_float32_logits_differ_by_rounding_alone(golden: Golden) -> None:
    model = golden.model().float()
    with torch.no_grad():
        logits = model(golden.images()).numpy()
    assert np.abs(logits - golden.arrays["logits"]).max() <= 1e-5


def unit_positions(mixer: DeformableAttention, x: Tensor) -> Tensor:
    """(B, H, W, C) -> (B, groups, Hk, Wk, yx) in grid_sample's unit, from positions in pixels."""
    last = torch.tensor([x.shape[1] - 1, x.shape[2] - 1])
    return mixer.sampling_positions(x) / last * 2 - 1


def check_unit(file: str, name: str, module: Any, as_map: bool) -> None:
    """A module's output, and where it samples, on the noise of the golden."""
    row, arrays = ENTRIES[file][name], read_golden(file).arrays
    x = np.random.RandomState(2022).standard_normal(row["input_shape"]).astype(np.float32)
    x = torch.from_numpy(x).double()
    with torch.no_grad():
        laid_out = x if as_map else x.permute(0, 2, 3, 1)
        out = module(laid_out)
        out = out if as_map else out.flatten(3).permute(0, 3, 1, 2)
        if "pos_shape" in row:
            positions = unit_positions(module, laid_out).numpy()
            np.testing.assert_allclose(positions, arrays[f"{name}:pos"], rtol=0, atol=3e-6)
    check_summary(row["out"], out)
    step = row["thinned_by"]
    np.testing.assert_allclose(out[..., ::step, ::step].numpy(), arrays[name], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ENTRIES["dat_t_units"])
def test_parts_of_the_network_are_those_of_the_published_code(name: str, filled: Any) -> None:
    kind, *place = name.split(".")
    if kind in ("patch_proj", "down_projs"):
        module = filled.stem if kind == "patch_proj" else filled.merge1
    else:
        module = getattr(filled, f"stage{int(place[0]) + 1}")
        if place[1:]:
            block = module.blocks[int(place[2])]
            module = {"attns": block.mixer, "mlps": block.mlp}[place[1]]
            module = module.offset if place[3:] == ["conv_offset"] else module
    check_unit("dat_t_units", name, module, as_map=kind != "stages" or len(place) == 1)


def one_block(block: dict[str, Any], size: list[int], width: int = 32) -> Any:
    """A network of one block whose map has that size."""
    nodes = [
        {"id": "stem", "type": "patch_stem", "width": width, "patch": 4},
        {"id": "stage1", "depth": 1, **block},
        {"id": "head", "type": "mean_head"},
    ]
    image = [4 * side for side in size]
    raw = {"kind": "arch", "version": 1, "name": "one", "image": image, "weights": "dat", "nodes": nodes}
    return build(spec_of(raw))


def filled_part(model: Any, ours: str, theirs: str, row: dict[str, Any]) -> Any:
    """The part of the model under `ours`, its tensors filled by their published names inside `theirs`."""
    part = model.get_submodule(ours)
    names = {name: f"{ours}.{name}" for name in part.state_dict()}
    published = published_names(model, names.values())
    shapes = {entry["key"]: tuple(entry["shape"]) for entry in row["state"]}
    inside = {name: published[full].removeprefix(theirs) for name, full in names.items()}
    assert sorted(inside.values()) == sorted(shapes)
    state = {name: fill(key, shapes[key]).reshape(part.state_dict()[name].shape) for name, key in inside.items()}
    part.load_state_dict(state)
    return part.double().eval()


def options(ctor: dict[str, Any]) -> dict[str, Any]:
    """Our fields for the authors' constructor arguments."""
    factor = ctor["offset_range_factor"]
    bias = "none" if not ctor["use_pe"] else "depthwise" if ctor["dwc_pe"] else "sampled"
    return {
        "type": "deformable",
        "heads": ctor["n_heads"],
        "groups": ctor["n_groups"],
        "kernel": [9, 7, 5, 3][ctor["stage_idx"]],
        "stride": ctor["stride"],
        "offsets": {"type": "scaled", "range": factor} if factor > 0 else {"type": "squashed" if factor else "free"},
        "position_bias": {"type": bias},
    }


@pytest.mark.parametrize("name", ENTRIES["dat_options"])
def test_options_are_those_of_the_published_code(name: str) -> None:
    row = ENTRIES["dat_options"][name]
    _, width, *size = row["input_shape"]
    if row["class"] == "DAttentionBaseline":
        model = one_block(options(row["ctor"]), size, width)
        check_unit("dat_options", name, filled_part(model, "stage1.blocks.0.mixer", "stages.0.attns.0.", row), False)
    else:
        model = one_block({"type": "window", "heads": 2, "mlp": {"type": "dwconv"}}, size, width)
        check_unit("dat_options", name, filled_part(model, "stage1.blocks.0.mlp", "stages.0.mlps.0.", row), False)


# --------------------------------------------------------------------------------------------------------- checkpoints


def test_every_published_name_is_met_and_derived_buffers_are_skipped(golden: Golden) -> None:
    state = golden.checkpoint()
    derived = {row["key"] for row in golden.facts["state"] if not row["fill"]}
    assert len(derived) == 10
    with torch.device("meta"):
        model = build(golden.spec())
    names = published_names(model, model.state_dict())
    assert set(names.values()) == set(state)
    model.to_empty(device="cpu")
    import_weights(model, state | {key: torch.zeros(1) for key in derived})
    assert torch.equal(model.stage4.blocks[1].mixer.q.weight, state["stages.3.attns.1.proj_q.weight"][:, :, 0, 0])  # type: ignore[union-attr, index]
    with pytest.raises(WeightsError, match=r"missing: stages.2.attns.3.rpe_table"):
        import_weights(model, {key: value for key, value in state.items() if key != "stages.2.attns.3.rpe_table"})


@pytest.mark.parametrize("bias", ["none", "sampled", "depthwise"])
def test_a_bias_of_either_kind_has_the_published_name_of_the_table(bias: str) -> None:
    block = {"type": "deformable", "heads": 2, "groups": 1, "kernel": 3, "position_bias": {"type": bias}}
    model = one_block(block, [6, 6])
    names = published_names(model, model.state_dict())
    tables = sorted(name for name in names.values() if "rpe_table" in name)
    inside = {"none": [], "sampled": [""], "depthwise": [".bias", ".weight"]}[bias]
    assert tables == [f"stages.0.attns.0.rpe_table{end}" for end in inside]
    assert names["stage1.blocks.0.mixer.q.bias"] == "stages.0.attns.0.proj_q.bias"


def test_tables_are_left_out_of_weight_decay() -> None:
    with torch.device("meta"):
        model = build(load_spec("dat_t"))
    left = model.no_weight_decay()
    assert len(left) == 12
    assert {"stage1.blocks.1.mixer.bias.table", "stage4.blocks.1.mixer.bias.table"} <= left


# -------------------------------------------------------------------------------------------------------- the network


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"groups": 3}, r"heads 4 must be a multiple of groups .*; got groups 3; use 1, 2 or 4"),
        ({"heads": 3}, "width 32 must be a multiple of heads"),
        ({"offsets": {"type": "scaled", "range": 0}}, "range must be more than 0"),
        ({"offsets": {"type": "clamped"}}, "offsets"),
        ({"position_bias": {"type": "relative"}}, "position_bias"),
        ({"kernel": 0}, "kernel"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_rule(change: dict[str, Any], said: str) -> None:
    block = {"type": "deformable", "heads": 4, "groups": 2, "kernel": 3}
    assert one_block(block, [6, 6])
    with pytest.raises(SpecError, match=said):
        one_block({**block, **change}, [6, 6])


@pytest.mark.parametrize("image", [[96, 160], [65, 127], [32, 32], [33, 40]])
def test_a_network_runs_at_any_size(image: list[int]) -> None:
    """The published code takes the one square size that it was built for."""
    small = ["image=64", "stage3.depth=2", "classes=10"]
    model = build(override(load_spec("dat_t"), small)).eval()
    with torch.no_grad():
        x = torch.randn(2, 3, *image, generator=torch.Generator().manual_seed(1))
        both = model(x)
        assert torch.isfinite(both).all()
        assert torch.allclose(both, torch.cat([model(x[:1]), model(x[1:])]), rtol=0, atol=1e-5)
