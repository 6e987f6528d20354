"""FCViT against the published code (ma-xu/FCViT@77e5a9d) and against a slow and plain second implementation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from goldens import Golden, check_run, check_summary, fill, read_golden
from torch import Tensor, nn

from archdsl.blocks.fcvit import FcvitConv
from archdsl.compile import Backbone, build
from archdsl.cost import count
from archdsl.errors import SpecError
from archdsl.load import load_spec, override, spec_of
from archdsl.modules.fcvit import Context, TokenMixer
from archdsl.schema.canonical import canonical_hash
from archdsl.shape import Map
from archdsl.weights import import_weights, published_names

MACS = {"fcvit_tiny": 0.902, "fcvit_b12": 2.645, "fcvit_b24": 5.059, "fcvit_b48": 9.885}
"""G, half of what torch's FlopCounterMode counts of the published code."""
KEYS = {"fcvit_tiny": 500, "fcvit_b12": 464, "fcvit_b24": 896, "fcvit_b48": 1760}
"""Tensors of the published state_dict, of which four are counters."""

ENTRIES = {
    name: {row["name"]: row for row in read_golden(name).facts["entries"]}
    for name in ("fcvit_tiny_units", "fcvit_options")
}


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(7))


def block(**fields: Any) -> FcvitConv:
    return FcvitConv.model_validate({"type": "fcvit_conv", **fields})


# ------------------------------------------------------------------------------------------------ the published code


@pytest.fixture(scope="module")
def golden() -> Golden:
    return read_golden("fcvit_tiny")


@pytest.fixture(scope="module")
def filled(golden: Golden) -> Backbone:
    return golden.model()


@pytest.mark.parametrize("name", MACS)
def test_macs_are_those_counted_of_the_published_code(name: str) -> None:
    assert round(count(load_spec(name)).macs / 1e9, 3) == MACS[name]


@pytest.mark.parametrize("name", MACS)
def test_printed_parameters_are_in_units_of_two_to_the_twentieth(name: str) -> None:
    spec = load_spec(name)
    assert spec.paper is not None
    assert spec.paper.params is not None
    decimals = {"fcvit_tiny": 1, "fcvit_b12": 0}.get(name, 1)
    assert round(count(spec).params / 2**20, decimals) == spec.paper.params / 1e6
    assert spec.paper.note == "The authors print the parameters in units of 2^20."


@pytest.mark.parametrize("name", KEYS)
def test_the_published_state_dict_has_as_many_tensors(name: str) -> None:
    with torch.device("meta"):
        model = build(load_spec(name))
    assert len(set(published_names(model, model.state_dict()).values())) == KEYS[name]


def test_counts_of_the_smallest_are_the_published_ones_to_the_last(golden: Golden) -> None:
    assert 2 * count(golden.spec()).macs == golden.facts["flop_counter_total"]
    assert count(golden.spec()).params == golden.facts["params"]


def test_float64_maps_and_logits_are_those_of_the_published_code(golden: Golden, filled: Any) -> None:
    maps = ("stem", "stage1", "stage2", "stage3", "stage4")

    def kept(name: str, module: nn.Module, inputs: Any, out: Tensor) -> Tensor:
        if isinstance(module, Context):
            out = out - inputs[0]
        return out if name in maps else out.permute(0, 3, 1, 2)

    first = filled.stage1.blocks[0]
    watched = {name: getattr(filled, name) for name in maps}
    watched |= {"norm": filled.head.norm, "stage1_block1_gc1": first.mixer.steps[0].context}
    watched |= {"stage1_block1_token_mixer": first.mixer, "stage1_block1_channel_mixer": first.mlp}
    check_run(golden, filled, watched, kept)


def test_float32_logits_differ_by_rounding_alone(golden: Golden) -> None:
    model = golden.model().float()
    with torch.no_grad():
        logits = model(golden.images()).numpy()
    assert np.abs(logits - golden.arrays["logits"]).max() <= 5e-6


def check_unit(file: str, name: str, module: Any, as_map: bool) -> None:
    """A module's output on the noise of the golden; of a context what it adds."""
    row, wanted = ENTRIES[file][name], read_golden(file).arrays[name]
    drawn = np.random.RandomState(2022).standard_normal(row["input_shape"]).astype(np.float32)
    x = torch.from_numpy(drawn).double()
    given = x if as_map else x.permute(0, 2, 3, 1).contiguous()
    with torch.no_grad():
        out = module(given)
    if isinstance(module, Context):
        out = out - given
    out = out if as_map else out.permute(0, 3, 1, 2)
    out = out[..., : row["out"]["shape"][2], : row["out"]["shape"][3]]  # one position for all, where it is so
    check_summary(row["out"], out)
    step = row["thinned_by"]
    np.testing.assert_allclose(out[..., ::step, ::step].numpy(), wanted, rtol=0, atol=5e-6)


OURS = {"token_mixer": "mixer", "channel_mixer": "mlp", "gc1": "steps.0.context"}


@pytest.mark.parametrize("name", ENTRIES["fcvit_tiny_units"])
def test_parts_of_the_network_are_those_of_the_published_code(name: str, filled: Any) -> None:
    kind, *place = name.partition("@")[0].split(".")
    if kind == "patch_embed":
        return check_unit("fcvit_tiny_units", name, filled.stem, as_map=True)
    number, *parts = place
    if not parts:
        return check_unit("fcvit_tiny_units", name, getattr(filled, f"merge{(int(number) + 1) // 2}"), as_map=True)
    index, *inside = parts
    module = getattr(filled, f"stage{int(number) // 2 + 1}").blocks[int(index)]
    module = module.get_submodule(".".join(OURS[part] for part in inside))
    return check_unit("fcvit_tiny_units", name, module, as_map=False)


def network(width: int, **fields: Any) -> Backbone:
    """One block between a stem and a head, under the published names."""
    nodes = [
        {"id": "stem", "type": "overlap_stem", "width": width},
        {"id": "stage1", "type": "fcvit_conv", "depth": 1, **fields},
        {"id": "head", "type": "mean_head", "norm": {"type": "group"}},
    ]
    header = {"kind": "arch", "version": 1, "name": "small", "image": 32, "weights": "fcvit"}
    return build(spec_of({**header, "nodes": nodes}))


OPTIONS: dict[str, tuple[dict[str, Any], str, str]] = {
    "gc_no_compete": ({"width": 16, "compete": False}, "mixer.steps.0.context", "token_mixer.gc1."),
    "gc_unweighted": ({"width": 16, "weighted": False}, "mixer.steps.0.context", "token_mixer.gc1."),
    "channel_att": ({"width": 16, "channel_attention": True}, "mlp.attention", "channel_mixer.channel_att."),
    "spatial_att": ({"width": 16, "spatial_attention": True}, "mixer.attention", "token_mixer.spatial_att."),
    "token_mixer_default_params": (
        {"width": 32, "kernels": [5, 7], "compete": False, "spatial_attention": True},
        "mixer",
        "token_mixer.",
    ),
    "channel_mixer_channel_att": ({"width": 16, "channel_attention": True}, "mlp", "channel_mixer."),
}
"""By entry: the block, our place in it and the published one."""


@pytest.mark.parametrize("name", ENTRIES["fcvit_options"])
def test_options_are_those_of_the_published_code_under_its_names(name: str) -> None:
    fields, ours, theirs = OPTIONS[name]
    model = network(**fields)
    module = model.get_submodule(f"stage1.blocks.0.{ours}")
    names = published_names(model, model.state_dict())
    place = {
        names[f"stage1.blocks.0.{ours}.{key}"].removeprefix(f"network.0.0.{theirs}"): key for key in module.state_dict()
    }
    rows = {row["key"]: tuple(row["shape"]) for row in ENTRIES["fcvit_options"][name]["state"]}
    assert set(place) == set(rows)
    state = module.state_dict()
    module.load_state_dict({key: fill(name, rows[name]).reshape(state[key].shape) for name, key in place.items()})
    check_unit("fcvit_options", name, module.double(), as_map=False)


@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.float64, marks=pytest.mark.slow)])
def test_the_dense_form_at_an_odd_size_is_the_published_one(dtype: torch.dtype) -> None:
    """Each level after a norm of its own, which the next stage does not see."""
    found = read_golden("fcvit_b12_feat_187x233")
    model = found.model(features_only=True).to(dtype)
    with torch.no_grad():
        levels = model(found.images().to(dtype))
    for row, level in zip(found.facts["stages"], levels, strict=True):
        check_summary(row, level)
    most = 1e-5 if dtype == torch.float64 else 3e-5
    assert np.abs(levels[-1].numpy() - found.arrays["stage4"]).max() <= most


def test_the_dense_form_costs_what_the_published_one_does() -> None:
    found = read_golden("fcvit_b12_feat_187x233")
    run = override(found.spec(), ["image=[187,233]"])
    counted = count(run, features_only=True)
    assert (counted.params, 2 * counted.macs) == (found.facts["params"], found.facts["flop_counter_total"])


# --------------------------------------------------------------------------------------------- what is not in goldens


def context(module: Any, x: Tensor) -> Tensor:
    """What a context adds to one map (H, W, C), position by position and head by head."""
    H, W, C = x.shape
    mean = x.mean(dim=(0, 1))
    hidden = module.fc1(mean)
    hidden = torch.maximum(*hidden.chunk(2)) if module.compete else F.gelu(hidden)
    channels: Tensor = module.fc2(hidden)
    if module.heads is None:
        return channels.expand(H, W, C)
    d = C // module.heads
    runs = [slice(head * d, head * d + d) for head in range(module.heads)]
    scores = torch.stack([x[..., run] @ mean[run] * d**-0.5 for run in runs])
    scores = (scores - scores.mean()) / (scores.std() + 1e-5)
    added = [
        score[..., None] * weight * channels[run] + bias * channels[run]
        for score, weight, bias, run in zip(scores, module.rescale_weight, module.rescale_bias, runs, strict=True)
    ]
    return torch.cat(added, dim=-1)


def shaken(module: nn.Module) -> Any:
    """The module in float64 with every parameter away from 0 and 1."""
    module = module.double().eval()
    source = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for tensor in module.parameters():
            tensor.add_(0.3 * torch.randn(tensor.shape, dtype=tensor.dtype, generator=source))
    return module


@pytest.mark.parametrize(
    "fields", [{}, {"compete": False}, {"weighted": False}, {"heads": 2}, {"reduction": 4}], ids=str
)
@pytest.mark.parametrize(("height", "width"), [(5, 7), (1, 2), (8, 8)])
def test_a_context_weighs_channels_by_likeness_to_the_mean(fields: dict[str, Any], height: int, width: int) -> None:
    mixer = shaken(block(**fields).mixer(Map(16, height, width)))
    module, x = mixer.steps[0].context, noise(2, height, width, 16)
    wanted = torch.stack([one + context(module, one) for one in x])
    assert torch.allclose(module(x), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("fields", [{}, {"squeeze": 1}, {"kernels": [3]}, {"kernels": [13, 5], "squeeze": 2}], ids=str)
def test_a_step_is_context_convolution_bottleneck_and_gelu(fields: dict[str, Any]) -> None:
    declared = block(**fields)
    mixer = shaken(declared.mixer(Map(40, 6, 5)))
    x = wanted = noise(2, 6, 5, 40)
    for step, kernel in zip(mixer.steps, declared.kernels, strict=True):
        wanted = wanted + torch.stack([context(step.context, one) for one in wanted])
        wanted = wanted.permute(0, 3, 1, 2)
        wanted = F.conv2d(wanted, step.conv.weight, step.conv.bias, padding=kernel // 2, groups=40)
        if declared.squeeze == 1:
            wanted = F.conv2d(wanted, step.fc1.weight[..., None, None], step.fc1.bias)
        else:
            assert step.fc1.out_features == max(40 // declared.squeeze, 16)
            wanted = F.gelu(F.conv2d(wanted, step.fc1.weight[..., None, None], step.fc1.bias))
            wanted = F.conv2d(wanted, step.fc2.weight[..., None, None], step.fc2.bias)
        wanted = F.gelu(wanted).permute(0, 2, 3, 1)
    assert isinstance(mixer, TokenMixer)
    assert torch.allclose(mixer(x), wanted, rtol=0, atol=1e-12)


def test_of_a_single_score_the_deviation_is_zero() -> None:
    """One head on one position, where dividing by one less would divide by nothing."""
    mixer = shaken(block(heads=1).mixer(Map(16, 1, 1)))
    x = noise(2, 1, 1, 16).requires_grad_()
    module = mixer.steps[0].context
    out = module(x)
    out.sum().backward()
    wanted = x + module.rescale_bias * module.gates(x.mean(dim=(1, 2)))[:, None, None]
    assert torch.allclose(out, wanted, rtol=0, atol=1e-12)
    assert torch.isfinite(x.grad).all()  # type: ignore[arg-type]  # it has one


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


def test_convolutions_1x1_start_by_fan_out_and_the_context_as_linears_do() -> None:
    """As the published code starts them: std sqrt(2 / channels out), and 0.02."""
    torch.manual_seed(0)
    block: Any = build(load_spec("fcvit_tiny"))
    block = block.get_submodule("stage4.blocks.0")
    for linear in (block.mlp.fc1, block.mlp.fc2, block.mixer.steps[0].fc1, block.mixer.steps[1].fc2):
        assert float(linear.weight.detach().std()) == pytest.approx((2 / linear.out_features) ** 0.5, rel=0.05)
    assert float(block.mixer.steps[0].context.fc1.weight.detach().std()) == pytest.approx(0.02, rel=0.05)
