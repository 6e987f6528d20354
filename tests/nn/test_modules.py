"""The public modules are the zoo's: they take its weights and give its outputs, in either layout, at any size."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

import archdsl
from archdsl.errors import ShapeError, WrongUse
from tests.support import doubles
from tests.support.public_modules import PUBLIC, Public, outputs

every = pytest.mark.parametrize("public", PUBLIC, ids=lambda public: public.name)


def last(x: Tensor) -> Tensor:
    """Channels last where it is a map; tokens as they are."""
    return x.permute(0, 2, 3, 1).contiguous() if x.dim() == 4 else x


def first(x: Tensor) -> Tensor:
    """Channels first where it is a map; tokens as they are."""
    return x.permute(0, 3, 1, 2) if x.dim() == 4 else x


def test_every_public_module_is_held_to_the_zoo() -> None:
    assert sorted(public.name for public in PUBLIC) == sorted(archdsl.nn.__all__)
    assert dir(archdsl.nn) == sorted(archdsl.nn.__all__)
    assert "nn" in archdsl.__all__


@every
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_part_of_a_published_backbone_gives_its_weights_and_equal_outputs(
    public: Public, channels_last: bool
) -> None:
    theirs, ours, inputs = public.part(), public.built(channels_last), public.inputs()
    assert not all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    ours.load_state_dict(theirs.state_dict())
    in_last = tuple(map(last, inputs))
    if public.reads_first:
        wanted = outputs(theirs(*(map(first, in_last) if channels_last else inputs)))
    else:
        wanted = tuple(map(first, outputs(theirs(*in_last))))
    actual = outputs(ours(*(in_last if channels_last else inputs)))
    actual = tuple(map(first, actual)) if channels_last else actual
    assert len(actual) == len(wanted)
    for mine, other in zip(actual, wanted, strict=True):
        assert torch.equal(mine, other)


@every
@pytest.mark.parametrize("size", [(9, 20), (16, 16), (14, 9)])
def test_a_map_of_any_size_runs(public: Public, size: tuple[int, int]) -> None:
    module, (first_input, *others) = public.built(), public.inputs()
    (H, W), C = size, public.channels
    x = torch.zeros(2, C, H, W) if public.reads_map else first_input
    wanted = {
        "DeformableMerge": (2, 192, H // 2, W // 2),
        "ConvMerge": (2, 192, H // 2, W // 2),
        "SemanticStem": (2, (H // 7) * (W // 7), C),
        "SemanticMerge": (2, 5, 128),
    }
    assert outputs(module(x, *others))[0].shape == wanted.get(public.name, (2, C, H, W))


@every
def test_a_map_of_one_position_runs_or_is_refused(public: Public) -> None:
    module, (_, *others) = public.built(), public.inputs()
    x = torch.zeros(2, public.channels, 1, 1)
    if public.name in ("DeformablePlusAttention", "PooledAttention", "DeformableMerge", "ConvMerge", "SemanticStem"):
        with pytest.raises(ShapeError, match=r"the map must hold a.*; got 1x1"):
            module(x)
    elif public.reads_map:
        assert outputs(module(x, *others))[0].shape == x.shape


@every
def test_half_precision_gives_nearly_the_same_in_its_own_dtype(public: Public) -> None:
    module, inputs = public.built(), public.inputs()
    wanted = outputs(module(*inputs))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = outputs(module(*inputs))
    halved = outputs(public.built().half()(*(x.half() for x in inputs)))
    assert {each.dtype for each in halved} == {torch.float16}
    for exact, rounded, half in zip(wanted, mixed, halved, strict=True):
        limit = float(exact.abs().max())
        assert float((rounded.float() - exact).abs().max()) < 0.03 * limit
        assert float((half.float() - exact).abs().max()) < 0.003 * limit


@pytest.mark.slow
@every
def test_an_exported_graph_takes_any_batch(public: Public) -> None:
    module, inputs = public.built(), public.inputs()
    batch = torch.export.Dim("batch", min=1, max=64)
    found = torch.export.export(module, inputs, dynamic_shapes=tuple({0: batch} for _ in inputs)).module()
    for count in (1, 2):
        some = tuple(x[:count] for x in inputs)
        assert all(map(torch.equal, outputs(found(*some)), outputs(module(*some))))


@every
def test_a_trace_gives_what_the_module_gives(public: Public) -> None:
    module, inputs = public.built(), public.inputs()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that sizes become constants, and that tracing is old
        found: Any = torch.jit.trace(module, inputs, check_trace=False)
    for traced, wanted in zip(outputs(found(*inputs)), outputs(module(*inputs)), strict=True):
        assert torch.allclose(traced, wanted, rtol=0, atol=1e-5)


@every
def test_a_module_can_be_copied_and_pickled(public: Public) -> None:
    module, inputs = public.built(), public.inputs()
    for again in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert all(map(torch.equal, outputs(again(*inputs)), outputs(module(*inputs))))


@pytest.mark.parametrize(
    "module",
    [
        archdsl.nn.DeformableMerge(3, 4),
        archdsl.nn.DeformableAttention(4, 2, 2, 3, size=(3, 4)),
        archdsl.nn.DeformableAttention(4, 2, 1, 3, offsets="free", position_bias="none"),
        archdsl.nn.DeformablePlusAttention(4, 2, 1, 3, 1, size=(3, 4)),
        archdsl.nn.DeformablePlusAttention(4, 2, 2, 3, 1, offsets="scaled", position_bias="log"),
    ],
    ids=lambda module: type(module).__name__,
)
def test_what_samples_has_right_gradients(module: nn.Module) -> None:
    doubles.shaken(module)
    names, values = zip(*module.named_parameters(), strict=True)
    x = doubles.noise(1, 3 if isinstance(module, archdsl.nn.DeformableMerge) else 4, 4, 5).requires_grad_()

    def run(x: Tensor, *values: Tensor) -> Tensor:
        result: Tensor = functional_call(module, dict(zip(names, values, strict=True)), (x,))
        return result

    assert torch.autograd.gradcheck(run, (x, *values), fast_mode=True, atol=1e-6, rtol=1e-4)


@pytest.mark.slow
@every
def test_onnxruntime_gives_what_the_module_gives(public: Public, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra archdsl[onnx] is not installed")
    pytest.importorskip("onnxscript", reason="the extra archdsl[onnx] is not installed")
    module, inputs, file = public.built(), public.inputs(), tmp_path / "module.onnx"
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter's own dependencies
        torch.onnx.export(module, inputs, file, dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    found = session.run(None, {name: x.numpy() for name, x in zip(names, inputs, strict=True)})
    for given, wanted in zip(found, outputs(module(*inputs)), strict=True):
        assert float((torch.from_numpy(given) - wanted).abs().max()) <= 1e-5 * float(wanted.abs().max())


def test_sampling_positions_are_where_the_map_is_read() -> None:
    mixer = archdsl.nn.DeformableAttention(8, 2, 2, 3, offsets="free", position_bias="none")
    nn.init.zeros_(mixer.offset.fc.weight)
    x = torch.randn(1, 8, 3, 5)
    places = mixer.sampling_positions(x)
    assert places.shape == (1, 2, 3, 5, 2)
    assert torch.allclose(places[0, 0, :, 0, 0], torch.tensor([1 / 3, 1.0, 5 / 3]))
    again = archdsl.nn.DeformableAttention(8, 2, 2, 3, offsets="free", position_bias="none", channels_last=True)
    again.load_state_dict(mixer.state_dict())
    assert torch.equal(again.sampling_positions(last(x)), places)


# ------------------------------------------------------------------------------------------------------------ mistakes

RELATIVE: Any = "relativ"
INSTANCE: Any = "instance"
NONE: Any = "none"
FOUR: Any = 4.0
HALVES: Any = 2.5


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: archdsl.nn.HiLo(96, 5, 2), "HiLo: channels 96 must be a multiple of heads; got heads 5; use 3, 4"),
        (lambda: archdsl.nn.HiLo(96, 4, 0), "HiLo: window must be at least 1; got 0"),
        (lambda: archdsl.nn.HiLo(96, 4, 2, alpha=1.5), "HiLo: alpha must be at most 1; got 1.5"),
        (lambda: archdsl.nn.HiLo(96, FOUR, 2), "HiLo: heads must be an integer; got 4.0"),
        (lambda: archdsl.nn.HiLo(96, 0, 300),
         "HiLo: heads must be at least 1; got 0; use 1 to 256; window must be at most 128; got 300; use 1 to 128"),
        (lambda: archdsl.nn.HiLo(0, 4, 2), "HiLo: channels must be a whole number from 1 to 8192; got 0"),
        (lambda: archdsl.nn.HiLo(True, 1, 2), "HiLo: channels must be a whole number from 1 to 8192; got true"),
        (lambda: archdsl.nn.Attention(8, 2, position_bias="relative"),
         'Attention: position_bias "relative" is a table made for one size of the map; give size=(height, width)'),
        (lambda: archdsl.nn.Attention(8, 2, (4, 0), "relative"), "size must be a whole number from 1 to 4096, or"),
        (lambda: archdsl.nn.Attention(8, 2, HALVES), "Attention: size must be a whole number from 1 to 4096"),
        (lambda: archdsl.nn.WindowAttention(8, 2, position_bias=RELATIVE),
         """position_bias.type: no such type of position_bias; got "relativ"; did you mean 'relative'?"""),
        (lambda: archdsl.nn.NeighborhoodAttention(8, 2, 6),
         "NeighborhoodAttention: the window must be odd; got window 6; use 7"),
        (lambda: archdsl.nn.DeformableAttention(8, 4, 3, 3, size=4),
         "DeformableAttention: heads 4 must be a multiple of groups; got groups 3; use 1, 2 or 4"),
        (lambda: archdsl.nn.DeformableAttention(8, 4, 2, 3), 'position_bias "sampled" is a table'),
        (lambda: archdsl.nn.DeformableAttention(8, 4, 2, 3, offsets={"type": "scaled", "reach": 3}),
         "DeformableAttention: offsets.reach: scaled has no field 'reach'"),
        (lambda: archdsl.nn.DeformablePlusAttention(8, 4, 2, 3, 1, offsets=NONE), "use PooledAttention"),
        (lambda: archdsl.nn.DeformablePlusAttention(8, 4, 2, 9, 8, size=8),
         "DeformablePlusAttention: at least 2 keys per side must fit on the map of 8x8"),
        (lambda: archdsl.nn.DeformableMerge(8, 2), "DeformableMerge: width must be at least 4; got 2"),
        (lambda: archdsl.nn.DeformableMerge(8, 16, norm=INSTANCE),
         'DeformableMerge: norm.type: no such type of norm; got "instance"; known: batch, group, layer'),
        (lambda: archdsl.nn.ConvMerge(8, 16, norm={"type": "group", "groups": 3}),
         "ConvMerge: width 16 must be a multiple of norm.groups; got groups 3"),
        (lambda: archdsl.nn.DepthwiseTokenMixer(8, (4,)), "DepthwiseTokenMixer: the kernel must be odd; got kernel 4"),
        (lambda: archdsl.nn.DepthwiseTokenMixer(8, ()), "Mixer: kernels must have at least 1 item; got []; add one"),
        (lambda: archdsl.nn.ContextMixer(4, 2), "ContextMixer: reduction must be at most the width 4; got reduction 8"),
        (lambda: archdsl.nn.ConvMlp(8, ratio=0), "ConvMlp: mlp.ratio: ratio must be at least 0.25; got 0"),
        (lambda: archdsl.nn.DualPathBlock(8, 2, drop_path=1.0), "DualPathBlock: drop_path must be a number from 0 to"),
    ],
)  # fmt: skip
def test_an_argument_that_does_not_fit_is_named(build: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(WrongUse) as caught:
        build()
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("shape", "channels_last", "message"),
    [
        (
            (2, 7, 7, 8),
            False,
            r"HiLo takes a map \(B, 8, H, W\) .*; got \(2, 7, 7, 8\); build it with channels_last=True",
        ),
        (
            (2, 8, 7, 7),
            True,
            r"HiLo takes a map \(B, H, W, 8\) .*; got \(2, 8, 7, 7\); build it with channels_last=False",
        ),
        ((2, 49, 8), False, r"got \(2, 49, 8\); reshape tokens \(B, N, C\) to their map"),
        ((2, 9, 7, 7), False, r"takes a map \(B, 8, H, W\) of one position at least; got \(2, 9, 7, 7\)$"),
        ((2, 8, 0, 7), False, r"one position at least; got \(2, 8, 0, 7\)$"),
    ],
)
def test_a_map_that_does_not_fit_is_named(shape: tuple[int, ...], channels_last: bool, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        archdsl.nn.HiLo(8, 2, 2, channels_last=channels_last)(torch.zeros(shape))


def test_maps_and_tokens_that_are_too_small_are_refused() -> None:
    with pytest.raises(ShapeError, match="must hold a patch of 2x2; got 1x5"):
        archdsl.nn.DeformableMerge(8, 16)(torch.zeros(1, 8, 1, 5))
    with pytest.raises(ShapeError, match="must hold a map of 2 keys per side"):
        archdsl.nn.DeformablePlusAttention(8, 2, 1, 3, 4, position_bias="none")(torch.zeros(1, 8, 3, 9))
    with pytest.raises(ShapeError, match=r"DualPathBlock takes tokens \(B, M, 8\), one at least; got \(1, 4, 16\)"):
        archdsl.nn.DualPathBlock(8, 2)(torch.zeros(1, 8, 4, 4), torch.zeros(1, 4, 16))
    with pytest.raises(ShapeError, match=r"SemanticMerge takes tokens \(B, M, 8\), one at least; got \(1, 8\)"):
        archdsl.nn.SemanticMerge(8, 16)(torch.zeros(1, 8))
