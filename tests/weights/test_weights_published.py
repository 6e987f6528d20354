"""Published names back: what is exported has the names and shapes of the authors' checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import archdsl
from archdsl.compile import build
from archdsl.errors import WeightsError
from archdsl.families.lit.spec import Attention
from archdsl.load.specs import load_spec, override
from archdsl.weights import export_weights, import_weights, write_published
from tests.support.goldens import both_forms, read_golden
from tests.support.weights import State, model, same


@pytest.mark.parametrize(
    "name",
    [
        "lit_ti",
        "lit_s",
        "litv2_s",
        "litv2_s_alpha5",
        "lit_ti_det",
        "lit_s_det",
        "dat_t",
        "datpp_t",
        "datpp_t_det_192x256",
    ],
)
def test_what_is_exported_has_the_names_and_shapes_of_the_published_checkpoints(name: str) -> None:
    found = read_golden(name)
    with torch.device("meta"):
        built = build(found.spec(), features_only="_det" in name or "_feat" in name)
    names = archdsl.weights.published_names(built, [key for key in built.state_dict() if "tracked" not in key])
    assert sorted(names.values()) == sorted(row["key"] for row in found.facts["state"] if row["fill"])
    built = built.to_empty(device="cpu")
    shapes = {key: list(tensor.shape) for key, tensor in export_weights(built).items()}
    assert shapes == {row["key"]: row["shape"] for row in found.facts["state"] if row["fill"]}


@both_forms()
def test_export_and_import_are_inverse_for_every_published_backbone(name: str, features_only: bool) -> None:
    """Two blocks a stage, a small image."""
    spec = load_spec(name)
    short = [f"{node.id}.depth={min(node.depth, 2)}" for node in spec.nodes if node.kind == "stage"]
    spec = override(spec, ["image=64", *short])
    with torch.device("meta"):
        source, built = (build(spec, features_only) for _ in range(2))
    source, built = source.to_empty(device="cpu"), built.to_empty(device="cpu")
    for tensor in (*source.state_dict().values(), *built.state_dict().values()):
        tensor.zero_() if tensor.dtype == torch.int64 else tensor.uniform_()
    state = export_weights(source)
    found = import_weights(built, state)
    assert (found.names, found.tensors) == (spec.weights, len(state))
    assert same(built.state_dict(), source.state_dict())


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_an_exported_file_loads_with_ours_and_with_torch(tmp_path: Path, ending: str) -> None:
    built, path = model(), tmp_path / f"published{ending}"
    assert write_published(built, path) == 85
    state: State = load_file(path) if ending == ".safetensors" else torch.load(path, weights_only=True)["model"]
    assert same(state, export_weights(built))
    again = model()
    import_weights(again, path)
    assert same(again.state_dict(), built.state_dict())


def test_a_strict_loader_of_the_authors_misses_no_counter() -> None:
    """LIT-Ti's is strict; a batch norm takes a plain dictionary without its counter."""
    norm = nn.BatchNorm2d(2)
    state = {name: value for name, value in norm.state_dict().items() if not name.endswith("num_batches_tracked")}
    norm.load_state_dict(state, strict=True)


def test_1x1_convolutions_get_their_published_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Attention, "convolutions", ("mixer.qkv.weight",))
    built, again = model(), model()
    state = export_weights(built)
    assert [name for name in state if state[name].shape[-2:] == (1, 1)] == ["layers.1.blocks.0.attn.qkv.weight"]
    assert state["layers.1.blocks.0.attn.qkv.weight"].shape == (96, 32, 1, 1)
    import_weights(again, state)
    assert same(again.state_dict(), built.state_dict())


def test_export_needs_a_scheme_and_names_of_its_own() -> None:
    with pytest.raises(WeightsError, match='the spec names no published weights; add "weights"'):
        export_weights(model(weights=None))
