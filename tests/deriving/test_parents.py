"""Parents from files: checkpoints under published names, in any form, and models of ours."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import archdsl
from archdsl.compile import build
from archdsl.deriving.parents import parent_of_file, read_parent
from archdsl.errors import WeightsError, WrongUse
from archdsl.load.specs import load_spec, override
from archdsl.weights import export_weights, import_file, save_model
from tests.support.heirs import apart, fresh, pictures, tiny, trained
from tests.support.weights import model, published


def test_a_published_checkpoint_is_a_parent_with_any_classes_and_for_any_image_size() -> None:
    built = model()
    state = published(built)
    child = build(override(built.spec, ["image=96", "classes=3"])).eval()
    report = archdsl.inherit(child, (override(built.spec, ["classes=7"]), state))
    strict, _ = import_file(override(built.spec, ["image=96"]), state)
    for name, tensor in strict.state_dict().items():
        if not name.startswith("head.fc"):
            assert torch.equal(child.state_dict()[name], tensor), name
    assert {tensor.name for tensor in report.tensors if tensor.state == "new"} == {"head.fc.weight", "head.fc.bias"}
    assert {tensor.state for tensor in report.tensors} == {"copied", "resized", "new"}


def test_a_checkpoint_without_a_classifier_leaves_ours_as_it_is() -> None:
    built = model()
    state = {name: tensor for name, tensor in published(built).items() if not name.startswith("head.")}
    child = build(built.spec)
    before = child.state_dict()["head.fc.weight"].clone()
    report = archdsl.inherit(child, (built.spec, state))
    assert torch.equal(child.state_dict()["head.fc.weight"], before)
    assert {tensor.name for tensor in report.tensors if tensor.state == "new"} == {"head.fc.weight", "head.fc.bias"}
    assert not report.dropped


def test_a_dense_prediction_checkpoint_is_a_parent_of_a_classifier() -> None:
    built = model()
    dense = trained(built.spec, features_only=True).float()
    child = build(built.spec)
    report = archdsl.inherit(child, (built.spec, export_weights(dense)))
    assert {tensor.name.split(".")[0] for tensor in report.tensors if tensor.state == "new"} == {"head"}
    assert torch.equal(child.state_dict()["stem.proj.weight"], dense.state_dict()["stem.proj.weight"])


def test_a_checkpoint_of_another_spec_is_refused_as_an_import_refuses_it() -> None:
    built = model()
    with pytest.raises(WeightsError, match=r"the checkpoint does not fit: .* missing"):
        archdsl.inherit(build(built.spec), (tiny(), published(built)))
    with pytest.raises(WrongUse, match=r"no such file: none\.pth"):
        archdsl.inherit(build(built.spec), (built.spec, "none.pth"))
    with pytest.raises(WrongUse, match="no such zoo name"):
        archdsl.inherit(build(built.spec), ("litv2_x", published(built)))
    with pytest.raises(WrongUse, match=r"without weights; give a checkpoint too: \('litv2_s', checkpoint\)"):
        archdsl.inherit(build(built.spec), "litv2_s")
    with pytest.raises(TypeError, match=r"inherit takes what torch\.load returns, .*; use its state_dict\(\)"):
        archdsl.inherit(build(built.spec), (built.spec, built))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"or a pair \(spec, checkpoint\); got an int"):
        archdsl.inherit(build(built.spec), 3)  # type: ignore[arg-type]


def test_the_spec_of_a_published_checkpoint_is_found_in_the_zoo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its names and shapes, whatever its classes are."""
    monkeypatch.setattr("archdsl.zoo.names", lambda: ["fcvit_b12", "fcvit_tiny"])
    spec = override(load_spec("fcvit_tiny"), ["classes=5"])
    torch.save(export_weights(build(spec)), tmp_path / "published.pth")
    narrow = override(spec, ["stem.width=16", "image=64"])
    parent = parent_of_file(narrow, tmp_path / "published.pth")
    assert (parent.name, parent.model.num_classes) == ("fcvit_tiny", 5)
    monkeypatch.setattr("archdsl.zoo.names", lambda: ["fcvit_b12"])
    with pytest.raises(WeightsError, match=r"is neither of fcvit_tiny nor of a published backbone; name its spec"):
        parent_of_file(narrow, tmp_path / "published.pth")


def test_a_file_of_ours_needs_no_spec_and_another_one_does(tmp_path: Path) -> None:
    parent = trained(tiny()).float()
    save_model(parent, tmp_path / "ours.safetensors")
    child = fresh(tiny()).float()
    archdsl.inherit(child, tmp_path / "ours.safetensors")
    assert apart(child, parent, pictures(side=32).float()) == 0
    torch.save(parent.state_dict(), tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"other\.pth: is no \.safetensors of archdsl; give its spec too"):
        read_parent(tmp_path / "other.pth")
