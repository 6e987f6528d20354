"""A network in one file: its spec, its form and its weights, or a refusal with a remedy."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from archdsl.compile import Backbone, build
from archdsl.errors import SpecError, WeightsError, WrongUse
from archdsl.load.specs import override
from archdsl.weights import import_file, import_weights, load_model, save_model
from tests.support.goldens import Golden, read_golden
from tests.support.weights import model, published, same


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Backbone, Path]:
    """A model that is not as it was built, in a file."""
    built, path = model(), tmp_path / "model.safetensors"
    import_weights(built, published(built))
    save_model(built, path, hashlib.sha256(b"source").hexdigest())
    return built, path


def test_a_file_gives_the_network_again_by_itself(kept: tuple[Backbone, Path]) -> None:
    built, path = kept
    random = torch.get_rng_state()
    again = load_model(path)
    path.write_bytes(b"gone")  # what was loaded does not hang on the file
    assert (again.spec, again.training) == (built.spec, False)
    assert same(again.state_dict(), built.state_dict())
    assert all(parameter.requires_grad for parameter in again.parameters())
    image = torch.randn(1, 3, 64, 64)
    assert torch.equal(again(image), built.eval()(image))
    assert torch.equal(again.state_dict()["head.fc.bias"], built.state_dict()["head.fc.bias"])
    assert not torch.equal(random, torch.get_rng_state())  # the image's, nothing else's


def test_loading_leaves_the_random_state_alone(kept: tuple[Backbone, Path]) -> None:
    random = torch.get_rng_state()
    load_model(kept[1])
    assert torch.equal(random, torch.get_rng_state())


def test_overrides_dtype_and_form_are_kept(tmp_path: Path) -> None:
    built = build(override(model().spec, ["image=96", "stage2.heads=4", "classes=5"]), features_only=True).half()
    save_model(built, tmp_path / "model.safetensors")
    again = load_model(tmp_path / "model.safetensors")
    assert (again.spec, again.features_only) == (built.spec, True)
    assert {parameter.dtype for parameter in again.parameters()} == {torch.float16}
    assert same(again.state_dict(), built.state_dict())


def test_the_header_tells_where_a_file_comes_from(kept: tuple[Backbone, Path]) -> None:
    built, path = kept
    with safe_open(path, "pt") as opened:
        header = opened.metadata()
    assert header["format"] == "pt"
    assert header["features_only"] == "false"
    assert header["source_sha256"] == hashlib.sha256(b"source").hexdigest()
    assert header["archdsl"]
    assert json.loads(header["spec"]) == built.spec.to_json()
    assert same(load_file(path), built.state_dict())


def test_equal_models_give_equal_bytes(kept: tuple[Backbone, Path], tmp_path: Path) -> None:
    built, path = kept
    for _ in range(3):
        save_model(built, tmp_path / "again.safetensors", hashlib.sha256(b"source").hexdigest())
        assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["again.safetensors", "model.safetensors"]


def test_a_failed_write_leaves_the_old_file(
    kept: tuple[Backbone, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    built, path = kept
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        save_model(built, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_files_without_our_header_are_refused_with_a_remedy(kept: tuple[Backbone, Path], tmp_path: Path) -> None:
    built, path = kept
    remedy = r"make one with: archdsl import SPEC FILE -o model\.safetensors"
    plain, checkpoint = tmp_path / "plain.safetensors", tmp_path / "checkpoint.pth"
    save_file(built.state_dict(), plain)
    torch.save(built.state_dict(), checkpoint)
    with pytest.raises(WeightsError, match=f"has no spec of archdsl in its header; {remedy}"):
        load_model(plain)
    with pytest.raises(WeightsError, match=f"is not a safetensors file.*; {remedy}"):
        load_model(checkpoint)
    with pytest.raises(WeightsError, match=f"is not a file; {remedy}"):
        load_model(tmp_path)
    with pytest.raises(WrongUse, match="no such file"):
        load_model(tmp_path / "none.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match=r"is truncated: .* bytes are there; copy or download it again"):
        load_model(path)


def test_a_file_whose_weights_are_not_those_of_its_spec_is_refused(kept: tuple[Backbone, Path]) -> None:
    built, path = kept
    with safe_open(path, "pt") as opened:
        header = opened.metadata()
    changed = built.state_dict()
    del changed["head.fc.bias"]
    save_file(changed, path, header)
    with pytest.raises(WeightsError, match=r"the weights are not those of its spec: .*\nmissing: head\.fc\.bias"):
        load_model(path)
    save_file(built.state_dict() | {"head.fc.bias": torch.zeros(3)}, path, header)
    with pytest.raises(WeightsError, match=r"size mismatch for head\.fc\.bias"):
        load_model(path)
    save_file(built.state_dict(), path, header | {"spec": header["spec"].replace('"depth":2', '"depth":0')})
    with pytest.raises(SpecError, match=r"depth must be at least 1"):
        load_model(path)


def test_our_own_files_are_checkpoints_too(kept: tuple[Backbone, Path]) -> None:
    built, path = kept
    fresh, found = import_file(override(built.spec, ["image=96"]), path, classes=3)
    assert (found.names, len(found.resized), len(found.new)) == ("archdsl", 1, 2)
    assert torch.equal(fresh.state_dict()["stem.proj.weight"], built.state_dict()["stem.proj.weight"])


@pytest.mark.slow
def test_a_published_checkpoint_gives_its_golden_logits_through_a_file(tmp_path: Path) -> None:
    found: Golden = read_golden("lit_s")
    torch.save({"model": found.checkpoint(), "epoch": 299}, tmp_path / "lit_s.pth")
    built, _ = import_file(found.spec(), tmp_path / "lit_s.pth")
    save_model(built, tmp_path / "lit_s.safetensors")
    with torch.no_grad():
        logits = load_model(tmp_path / "lit_s.safetensors")(found.images())
    assert (logits - torch.from_numpy(found.arrays["logits"])).abs().max() <= 3e-5
