"""DAT against the published code (LeapLabTHU/DAT@18d7bb5) and against slow and plain second implementations."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from goldens import Golden, check_run, check_summary, fill, read_golden
from torch import Tensor, nn

from archdsl.blocks.dat import Deformable, ShiftedWindowBlock, WindowBlock
from archdsl.compile import Backbone, build
from archdsl.cost import count
from archdsl.errors import SpecError, WeightsError
from archdsl.load import load_spec, override, spec_of
from archdsl.modules.dat import DeformableAttention, single
from archdsl.shape import Map
from archdsl.weights import import_weights, published_names

MACS = {"dat_t": 4.563e9, "dat_s": 8.959e9, "dat_b": 15.721e9, "dat_b_384": 49.450e9}
"""Half of what torch's FlopCounterMode counts of the published code."""

ENTRIES = {
    name: {row["name"]: row for row in read_golden(name).facts["entries"]} for name in ("dat_t_units", "dat_options")
}


def noise(*shape: int, seed: int = 7) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def shaken(module: nn.Module) -> Any:
    """The module in float64 with every parameter away from 0 and 1."""
    module = module.double().eval()
    source = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for tensor in module.parameters():
            tensor.add_(0.3 * torch.randn(tensor.shape, dtype=tensor.dtype, generator=source))
    return module


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
        given = x if as_map else x.permute(0, 2, 3, 1)
        out = module(given)
        out = out if as_map else out.flatten(3).permute(0, 3, 1, 2)
        if "pos_shape" in row:
            positions = unit_positions(module, given).numpy()
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


# ------------------------------------------------------------------------------------------------------------- windows


def attended(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """(N, d), (M, d), (M, d) -> (N, d); the scale after q k^T."""
    return torch.softmax((q @ k.T) * q.shape[-1] ** -0.5 + bias, dim=-1) @ v


def in_windows(mixer: Any, x: Tensor, shift: int) -> Tensor:
    """One map (H, W, C), window by window and score by score; a shift takes the map for a torus, cut at its edges."""
    s, heads = mixer.window, mixer.heads
    H, W, C = x.shape
    rows, columns = -(-H // s) * s, -(-W // s) * s
    padded = torch.zeros(rows, columns, C, dtype=x.dtype)
    padded[:H, :W] = x
    q, k, v = (part.reshape(rows, columns, heads, -1) for part in mixer.qkv(padded).chunk(3, dim=-1))
    out = torch.zeros_like(q)
    for top, left, head in product(range(0, rows, s), range(0, columns, s), range(heads)):
        inside = [(y, z) for y in range(top, top + s) for z in range(left, left + s)]
        here = [((y + shift) % rows, (z + shift) % columns) for y, z in inside]
        bias = torch.zeros(s * s, s * s, dtype=x.dtype)
        for (i, (y, z)), (j, (other_y, other_z)) in product(enumerate(inside), repeat=2):
            if mixer.bias is not None:
                bias[i, j] = mixer.bias.table[(y - other_y + s - 1) * (2 * s - 1) + z - other_z + s - 1, head]
            wraps = (y + shift >= rows) != (other_y + shift >= rows)
            bias[i, j] -= 100 * (wraps or (z + shift >= columns) != (other_z + shift >= columns))
        ys, zs = ([place[axis] for place in here] for axis in (0, 1))
        out[ys, zs, head] = attended(q[ys, zs, head], k[ys, zs, head], v[ys, zs, head], bias)
    result: Tensor = mixer.proj(out.reshape(rows, columns, C))
    return result[:H, :W]


@pytest.mark.parametrize("bias", ["none", "relative"])
@pytest.mark.parametrize("window", [1, 2, 3, 7])
@pytest.mark.parametrize(("height", "width"), [(6, 6), (5, 7), (3, 8), (1, 2)])
@pytest.mark.parametrize("shifted", [False, True])
def test_windows_are_attention_on_the_padded_map(
    shifted: bool, height: int, width: int, window: int, bias: Any
) -> None:
    """Padding is attended to; a shift by half the window, rounded up, lets none look across the padded map's edge."""
    fields: Any = {"heads": 2, "window": window, "position_bias": {"type": bias}}
    block = ShiftedWindowBlock(type="shifted_window", **fields) if shifted else WindowBlock(type="window", **fields)
    mixer = shaken(block.mixer(Map(4, height, width)))
    x = noise(2, height, width, 4)
    with torch.no_grad():
        wanted = torch.stack([in_windows(mixer, one, -(-window // 2) if shifted else 0) for one in x])
        assert torch.allclose(mixer(x), wanted, rtol=0, atol=1e-12)


# ---------------------------------------------------------------------------------------------------------- deformable


def at(x: Tensor, y: float, z: float) -> Tensor:
    """(..., H, W) between positions; outside counts 0."""
    total = torch.zeros(x.shape[:-2], dtype=x.dtype)
    for row, column in product((math.floor(y), math.floor(y) + 1), (math.floor(z), math.floor(z) + 1)):
        if 0 <= row < x.shape[-2] and 0 <= column < x.shape[-1]:
            total = total + (1 - abs(y - row)) * (1 - abs(z - column)) * x[..., row, column]
    return total


def deformed(mixer: Any, block: Deformable, x: Tensor, table: Tensor | None) -> Tensor:
    """One map (H, W, C), key by key in pixels; `table` is that of the map's own size."""
    H, W, C = x.shape
    groups, width = block.groups, C // block.groups
    q = mixer.q(x)
    keys, places = [], []
    for group in range(groups):
        channels = slice(group * width, group * width + width)
        conv = mixer.offset.conv
        moves = F.conv2d(
            q[..., channels].permute(2, 0, 1)[None],
            conv.weight,
            conv.bias,
            stride=block.stride,
            padding=block.kernel // 2,
            groups=width,
        )[0].permute(1, 2, 0)
        moves = mixer.offset.fc(F.gelu(mixer.offset.norm(moves)))
        rows, columns = moves.shape[:2]
        found = []
        for i, j in product(range(rows), range(columns)):
            place = []
            for move, index, number in ((moves[i, j, 0], i, rows), (moves[i, j, 1], j, columns)):
                reference = 2 * (index + 0.5) / number - 1
                if block.offsets.type == "scaled":
                    place.append(math.tanh(move) * float(np.float32(1 / number)) * block.offsets.range + reference)
                else:
                    moved = float(move) + reference
                    place.append(math.tanh(moved) if block.offsets.type == "squashed" else moved)
            found.append(place)
        places.append(found)
        keys.append(
            torch.stack(
                [at(x[..., channels].permute(2, 0, 1), (y + 1) / 2 * (H - 1), (z + 1) / 2 * (W - 1)) for y, z in found]
            )
        )
    samples = torch.cat(keys, dim=-1)
    d, queries = C // block.heads, q.reshape(H * W, C)
    k, v = mixer.k(samples), mixer.v(samples)
    outs = []
    for head in range(block.heads):
        bias = torch.zeros(H * W, len(k), dtype=x.dtype)
        if table is not None:
            for m, (n, (y, z)) in product(range(H * W), enumerate(places[head * groups // block.heads])):
                dy = (2 * (m // W + 0.5) / H - 1 - y) / 2
                dz = (2 * (m % W + 0.5) / W - 1 - z) / 2
                bias[m, n] = at(table[head], (H - 1) * (1 + dy), (W - 1) * (1 + dz))
        part = slice(head * d, head * d + d)
        outs.append(attended(queries[:, part], k[:, part], v[:, part], bias))
    out = torch.cat(outs, dim=-1).reshape(H, W, C)
    if block.position_bias.type == "depthwise":
        out = out + mixer.bias(q[None])[0]
    result: Tensor = mixer.proj(out)
    return result


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (5, 2), (2, 1), (7, 3)])
@pytest.mark.parametrize(
    "offsets", [{"type": "scaled"}, {"type": "scaled", "range": 5}, {"type": "free"}, {"type": "squashed"}]
)
@pytest.mark.parametrize("bias", ["none", "sampled", "depthwise"])
def test_deformable_attention_is_key_by_key_sampling(kernel: int, stride: int, offsets: Any, bias: Any) -> None:
    fields: Any = {"kernel": kernel, "stride": stride, "offsets": offsets, "position_bias": {"type": bias}}
    block = Deformable(type="deformable", heads=4, groups=2, **fields)
    mixer = shaken(block.mixer(Map(8, 4, 5)))
    x = noise(2, 4, 5, 8)
    with torch.no_grad():
        table = mixer.bias.table if bias == "sampled" else None
        wanted = torch.stack([deformed(mixer, block, one, table) for one in x])
        assert torch.allclose(mixer(x), wanted, rtol=0, atol=1e-11)


@pytest.mark.parametrize(("height", "width"), [(6, 4), (3, 7), (1, 5)])
def test_at_another_size_the_sampled_table_is_resized_bicubically(height: int, width: int) -> None:
    """The published code fails there; its transfer between sizes resizes the same way."""
    block = Deformable(type="deformable", heads=2, groups=2, kernel=3)
    mixer = shaken(block.mixer(Map(4, 4, 5)))
    x = noise(1, height, width, 4)
    with torch.no_grad():
        size = (2 * height - 1, 2 * width - 1)
        table = F.interpolate(mixer.bias.table[None], size=size, mode="bicubic", align_corners=False)[0]
        assert torch.allclose(mixer(x)[0], deformed(mixer, block, x[0], table), rtol=0, atol=1e-11)


def test_without_offsets_samples_are_drawn_towards_the_middle() -> None:
    """Seven keys over seven positions, 6/7 of a position apart."""
    block = Deformable(type="deformable", heads=2, groups=2, kernel=3)
    mixer: Any = block.mixer(Map(8, 7, 3))
    nn.init.zeros_(mixer.offset.fc.weight)
    positions = mixer.sampling_positions(torch.randn(2, 7, 3, 8))
    assert tuple(positions.shape) == (2, 2, 7, 3, 2)
    assert torch.allclose(positions[1, 1, :, 0, 0], (torch.arange(7) + 0.5) * 6 / 7)
    assert torch.allclose(positions[0, 0, 6, :, 1], (torch.arange(3) + 0.5) * 2 / 3)


def test_the_published_constant_is_of_single_precision() -> None:
    assert all(single(1 / keys) == float(np.float32(1 / keys)) for keys in range(1, 5000))


def test_places_are_found_in_single_precision_under_autocast() -> None:
    mixer: Any = Deformable(type="deformable", heads=2, groups=2, kernel=3).mixer(Map(8, 7, 3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert mixer.sampling_positions(torch.randn(2, 7, 3, 8)).dtype == torch.float32
        assert torch.isfinite(mixer(torch.randn(2, 7, 3, 8))).all()


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


# -------------------------------------------------------------------------------------------------------- the network


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
