"""ONNX files: what onnxruntime alone computes from them is what the network computes, and they say what they are."""

from __future__ import annotations

import copy
import json
import shutil
import warnings
from itertools import product
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from torch import Tensor, nn

import archdsl
from archdsl.compile import build
from archdsl.errors import ExportError, WrongUse
from archdsl.exporting import onnx_file
from archdsl.exporting.frozen import frozen, perturbed
from archdsl.exporting.metadata import metadata, sized
from archdsl.exporting.onnx_file import OnnxFacts, write_onnx
from archdsl.load.specs import spec_of
from archdsl.runtimes import exported
from archdsl.runtimes.exported import Exported, export
from archdsl.runtimes.file_runtime import Session
from archdsl.runtimes.onnx_session import OnnxSession
from archdsl.runtimes.verify import difference, refuse
from archdsl.weights.facts import Accuracy, DataFacts, Measured, ModelFacts, Preprocessing, Resize
from tests.support.small_networks import FAMILIES, images, shaken, small

onnx = pytest.importorskip("onnx", reason="the extra archdsl[onnx] is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra archdsl[onnx] is not installed")
pytest.importorskip("onnxscript", reason="the extra archdsl[onnx] is not installed")

ROUNDING = 1e-4
"""Of the largest output, in float32."""
QUICK = [
    *((name, False) for name in ("lit_s", "dat_t", "datpp_t", "dualvit_s", "fcvit_tiny")),
    ("litv2_s", True),
]
"""Whether the batch is dynamic. Every family is there; a mixture of them is slow."""
OTHERS = [case for case in product((*FAMILIES, "mixed", "quick"), (False, True)) if case not in QUICK]


def computed(file: Path, x: Tensor) -> list[Tensor]:
    """The outputs of a file by onnxruntime with nothing of ours."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return [torch.from_numpy(each) for each in session.run(None, {"images": x.numpy()})]


def furthest(ours: Tensor, theirs: Tensor) -> float:
    return float((ours.detach() - theirs).abs().max() / ours.detach().abs().max())


def exact(built: nn.Module, x: Tensor) -> Tensor:
    """The network's output in float64: rounding in float32 reaches 1e-4 where samples lie at the border of a map."""
    logits: Tensor = copy.deepcopy(built).double()(x.double())
    return logits


def bias_network(image: int = 56) -> archdsl.Backbone:
    """Attention over a map of image / 8 positions a side, whose bias by displacement counts for much."""
    nodes = [
        {"id": "stem", "type": "patch_stem", "patch": 8, "width": 16},
        {"id": "stage1", "type": "attention", "depth": 1, "heads": 2, "position_bias": {"type": "relative"}},
        {"id": "head", "type": "mean_head"},
    ]
    spec = spec_of({"kind": "arch", "version": 1, "name": "bias", "image": image, "classes": 5, "nodes": nodes})
    torch.manual_seed(0)
    built = build(spec).eval()
    for name, values in built.named_parameters():
        if name.endswith("table"):
            nn.init.normal_(values, std=2.0)
    return built


@pytest.mark.parametrize(
    ("name", "dynamic_batch"), [*QUICK, *(pytest.param(*case, marks=pytest.mark.slow) for case in OTHERS)]
)
def test_a_file_computes_what_the_network_computes(name: str, dynamic_batch: bool, tmp_path: Path) -> None:
    built = shaken(name, most=1)
    done = export(built, tmp_path / "net.onnx", dynamic_batch=dynamic_batch)
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
    assert done.perturbed_error is None
    assert done.largest_error < ROUNDING
    for batch in (1, 2, 5) if dynamic_batch else (1,):
        x = images(batch, *built.spec.image_size)
        (logits,) = computed(tmp_path / "net.onnx", x)
        assert furthest(exact(built, x), logits) < ROUNDING


@pytest.mark.parametrize(
    "name", ["quick", *(pytest.param(name, marks=pytest.mark.slow) for name in ("lit_s", "dualvit_s", "mixed"))]
)
def test_the_maps_of_dense_prediction_have_the_names_of_their_nodes(name: str, tmp_path: Path) -> None:
    built = shaken(name, features_only=True, most=1)
    done = export(built, tmp_path / "net.onnx", image=(96, 64))
    maps = computed(tmp_path / "net.onnx", images(1, 96, 64))
    assert list(done.outputs) == [each["module"] for each in built.feature_info]
    for ours, theirs in zip(built(images(1, 96, 64)), maps, strict=True):
        assert furthest(ours, theirs) < ROUNDING


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[archdsl.Backbone, Exported]:
    """A small network with offsets, and its file in float32."""
    built = perturbed(build(small("quick")).eval())
    return built, export(built, tmp_path_factory.mktemp("quick") / "plain.onnx")


def test_sampling_takes_the_form_that_onnxruntime_runs_fast(quick: tuple[archdsl.Backbone, Exported]) -> None:
    nodes = [node for node in onnx.load(quick[1].file).graph.node if node.op_type == "GridSample"]
    assert nodes
    for node in nodes:
        assert {each.name: each.i for each in node.attribute}["align_corners"] == 0


def test_a_table_is_resized_by_torch_and_not_by_the_converter(tmp_path: Path) -> None:
    """13 to 15 entries: onnxscript's own bicubic resizing of a constant is wrong there, and the check sees it."""
    built = bias_network()
    done = export(built, tmp_path / "right.onnx", image=(64, 64))
    assert done.largest_error < ROUNDING
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            frozen(built), (images(1),), tmp_path / "wrong.onnx", dynamo=True, external_data=False, verbose=False
        )
    session = Session(OnnxSession(tmp_path / "wrong.onnx"))
    worst = difference(session.outputs, built, (3, 64, 64), (1,), ("logits",))
    with pytest.raises(ExportError, match=r"'logits' differs by .* at batch 1, and float32 allows"):
        refuse(worst, "float32")


def test_parameters_of_zeros_are_checked_by_a_second_file(tmp_path: Path) -> None:
    """Offsets are 0 after initialisation: whatever a file did with them would show in no output."""
    torch.manual_seed(0)
    built = build(small("quick")).eval()
    before = {name: values.clone() for name, values in built.state_dict().items()}
    done = export(built, tmp_path / "net.onnx")
    assert done.perturbed_error is not None
    assert done.perturbed_error < ROUNDING
    assert all(torch.equal(values, before[name]) for name, values in built.state_dict().items())
    (logits,) = computed(tmp_path / "net.onnx", images(1, 32, 32))
    assert furthest(built(images(1, 32, 32)), logits) < ROUNDING


@pytest.mark.parametrize("name", ["fcvit_tiny", "dualvit_s"])
def test_a_wrong_block_behind_a_small_scale_shows_in_the_perturbed_copy(name: str) -> None:
    """Residual branches begin with a scale of 1e-5 or 1e-6: that all mixers are wrong changes the logits by 2e-4."""
    torch.manual_seed(0)
    built = build(small(name, most=1)).eval()
    differences = []
    for network in (built, perturbed(built)):
        wrong = copy.deepcopy(network)
        with torch.no_grad():
            for key, values in wrong.named_parameters():
                if ".mixer." in key and key.endswith("weight"):
                    values.neg_()
        differences.append(furthest(network(images(1)), wrong(images(1)).detach()))
    assert differences[0] < 5 * ROUNDING < 100 * ROUNDING < differences[1]


def test_a_file_says_what_a_user_must_know(tmp_path: Path) -> None:
    preprocessing = Preprocessing(
        size=(64, 64),
        channels="RGB",
        range=(0, 1),
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        resize=Resize(filter="bilinear", antialias=True),
        crop=None,
    )
    accuracy = Accuracy(
        validation=Measured(accuracy=0.5, images=4, standard_error=0.25, per_class={}),
        held_out=None,
        data=DataFacts(name="few", fingerprint="1"),
    )
    classes = ("a", "ü", "c", "d", "e")
    facts = ModelFacts(classes=classes, preprocessing=preprocessing, accuracy=accuracy)
    built = bias_network()
    export(built, tmp_path / "net.onnx", image=(64, 96), facts=facts)
    written = {each.key: each.value for each in onnx.load(tmp_path / "net.onnx").metadata_props}
    assert json.loads(written["classes"]) == list(classes)
    assert "accuracy" not in written, "it was measured at another size"
    square = sized(built.spec, (64, 64))
    same = metadata(built, square, "float32", facts)
    assert json.loads(same["accuracy"])["validation"]["accuracy"] == 0.5
    assert "accuracy" not in metadata(built, square, "int8", facts), "int8 are other weights"
    headless = copy.deepcopy(built)
    headless.reset_classifier(0)
    assert metadata(headless, square, "float32", None)["num_classes"] == "0"
    assert json.loads(written["preprocessing"])["size"] == [64, 96]
    assert json.loads(written["preprocessing"])["mean"] == [0.5, 0.5, 0.5]
    assert archdsl.load_spec(json.loads(written["spec"])) == archdsl.override(built.spec, ["image=[64,96]"])
    assert json.loads(written["features_only"]) is False


@pytest.mark.parametrize(("dtype", "limit"), [("float16", 1e-2), ("int8", 0.2)])
def test_other_dtypes_read_and_give_float32(
    dtype: str, limit: float, quick: tuple[archdsl.Backbone, Exported], tmp_path: Path
) -> None:
    built, plain = quick
    done: Exported = export(built, tmp_path / "net.onnx", dtype=dtype)  # type: ignore[arg-type]  # a literal
    (logits,) = computed(tmp_path / "net.onnx", images(1, 32, 32))
    assert logits.dtype == torch.float32
    assert 1e-5 < furthest(built(images(1, 32, 32)), logits) < limit
    assert done.bytes < plain.bytes
    assert onnx.load(tmp_path / "net.onnx").metadata_props


def test_a_network_of_int8_was_right_in_float32(
    quick: tuple[archdsl.Backbone, Exported], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """int8 itself has no limit, so that a wrong conversion would be taken for quantisation."""

    def write(net: nn.Module, x: Tensor, file: Path, *given: Any, **named: Any) -> OnnxFacts:
        shutil.copyfile(quick[1].file, file)
        return OnnxFacts(20, 1, {})

    monkeypatch.setattr(exported, "write_onnx", write)
    with pytest.raises(ExportError, match=r"'logits' differs by .* at batch 1, and float32 allows 0\.0001"):
        export(shaken("quick"), tmp_path / "net.onnx", dtype="int8")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("opset", [18, pytest.param(23, marks=pytest.mark.slow)])
def test_another_opset_is_written_where_it_is_right(opset: int, tmp_path: Path) -> None:
    done = export(bias_network(), tmp_path / "net.onnx", opset=opset)
    (version,) = [each.version for each in onnx.load(tmp_path / "net.onnx").opset_import if each.domain == ""]
    assert version == done.opset == opset


@pytest.mark.parametrize("opset", [16, 99])
def test_an_opset_that_no_file_can_have_is_refused(opset: int, tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="opset"):
        export(bias_network(), tmp_path / "net.onnx", opset=opset)
    assert not list(tmp_path.iterdir())


def test_an_opset_that_torch_does_not_write_is_refused(tmp_path: Path) -> None:
    latest = onnx.defs.onnx_opset_version()
    with pytest.raises(ExportError, match=f"torch wrote opset \\d+ where {latest} was asked for; use 20"):
        export(bias_network(), tmp_path / "net.onnx", opset=latest)
    assert not list(tmp_path.iterdir())


def test_weights_that_one_file_cannot_hold_are_refused_with_the_format_that_can(tmp_path: Path) -> None:
    large = nn.Linear(2**15, 2**14, device="meta")
    with pytest.raises(ExportError, match=r"the weights need 2\.0 GB, and one ONNX file holds 2; use --format pt2"):
        write_onnx(large, images(1), tmp_path / "net.onnx", ["logits"])


def test_a_graph_that_is_too_large_with_its_weights_is_refused_too(
    quick: tuple[archdsl.Backbone, Exported], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_size(model: Any) -> NoReturn:
        raise ValueError("This protobuf of onnx model is too large (>2GB)")

    monkeypatch.setattr(onnx_file, "converted", lambda *_: onnx.load(quick[1].file))
    monkeypatch.setattr(onnx.checker, "check_model", refuse_size)
    with pytest.raises(ExportError, match=r"is no valid ONNX file: This protobuf .* too large"):
        export(quick[0], tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


class _FixedOutput(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (2, C), whatever B is"""
        return x.mean(dim=(0, 2, 3)).expand(2, -1)


def test_a_batch_that_came_out_fixed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="a dynamic batch was asked for, but that of 'logits' came out as 2"):
        write_onnx(_FixedOutput(), images(2), tmp_path / "net.onnx", ["logits"], dynamic_batch=True)


def test_nodes_may_be_called_as_methods_and_as_the_input(tmp_path: Path) -> None:
    """`forward` and `training` are names of a module's own, and `images` is that of the file's input."""
    nodes = [
        {"id": "forward", "type": "patch_stem", "width": 16},
        {"id": "training", "type": "deformable_merge", "width": 32},
        {"id": "images", "type": "hilo", "depth": 1, "heads": 4, "window": 2},
        {"id": "head", "type": "mean_head"},
    ]
    spec = spec_of({"kind": "arch", "version": 1, "name": "named", "image": 32, "classes": 5, "nodes": nodes})
    done = export(build(spec, features_only=True).eval(), tmp_path / "net.onnx")
    assert done.perturbed_error is not None
    assert done.outputs[-1] == "images_map"
    assert len(computed(tmp_path / "net.onnx", images(1, 32, 32))) == len(done.outputs)
