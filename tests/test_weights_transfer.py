"""Weights between image sizes, class counts and dtypes; networks in one file; published names back."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from goldens import Golden, both_forms, read_golden
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from test_weights import State, copied, model, published, same
from torch import Tensor, nn

import archdsl
from archdsl.blocks.lit import Attention
from archdsl.compile import Backbone, build
from archdsl.errors import SpecError, WeightsError, WrongUse
from archdsl.load import load_spec, override
from archdsl.modules.dat import SampledBias
from archdsl.modules.stage import PositionEmbedding
from archdsl.modules.tables import RelativeBias, Table
from archdsl.weights import export_weights, import_file, import_weights, load_model, save_model, write_published

TABLE = "layers.1.blocks.0.attn.relative_position_bias_table"


def other(built: Backbone, *assignments: str) -> Backbone:
    return build(override(built.spec, list(assignments)))


def by_hand(table: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """(rows * columns, heads) bicubically, head by head."""
    heads = [head.reshape(1, 1, *old) for head in table.t()]
    return torch.stack([F.interpolate(head, new, mode="bicubic").flatten() for head in heads], dim=1)


# Another image size


@pytest.mark.parametrize(("image", "grid"), [("96", (23, 23)), ("48", (11, 11)), ("[48, 80]", (11, 19))])
def test_bias_tables_are_resized_bicubically_and_nothing_else_changes(image: str, grid: tuple[int, int]) -> None:
    state, built = published(model()), other(model(), f"image={image}")
    found = import_weights(built, state)
    assert [(one.name, one.old, one.new) for one in found.resized] == [
        ("stage2.blocks.0.mixer.bias.table", (15, 15), grid)
    ]
    names = archdsl.weights.published_names(built, built.state_dict())
    for name, tensor in built.state_dict().items():
        if name.endswith("bias.table"):
            assert torch.equal(tensor, by_hand(state[names[name]], (15, 15), grid))
        elif not name.endswith("num_batches_tracked"):
            assert torch.equal(tensor, state[names[name]])


def test_position_embeddings_are_resized_bilinearly_and_the_tokens_row_stays() -> None:
    small = build(override(load_spec("lit_ti"), ["image=64"]))
    state = export_weights(small)
    built = other(small, "image=96")
    found = import_weights(built, state)
    assert [(one.old, one.new) for one in found.resized] == [
        ((side, side), (3 * side // 2, 3 * side // 2)) for side in (16, 8, 4, 2)
    ]
    table = built.state_dict()["stage4.position_embedding.table"]
    given = state["pos_embed4"]
    grid = given[:, 1:].reshape(1, 2, 2, -1).permute(0, 3, 1, 2)
    wanted = F.interpolate(grid, (3, 3), mode="bilinear").permute(0, 2, 3, 1).reshape(1, 9, -1)
    assert torch.equal(table, torch.cat([given[:, :1], wanted], dim=1))


def test_a_table_that_was_not_square_needs_its_image_size() -> None:
    state, built = published(other(model(), "image=[64, 96]")), model()
    with pytest.raises(WeightsError, match="say which image size its tables were made for") as error:
        import_weights(built, state)
    assert f"{TABLE}: the checkpoint has (345, 2), the model (225, 2)" in str(error.value)
    found = import_weights(built, state, image=(64, 96))
    assert found.resized[0].old == (15, 23)
    assert torch.equal(
        built.state_dict()["stage2.blocks.0.mixer.bias.table"], by_hand(state[TABLE], (15, 23), (15, 15))
    )
    with pytest.raises(WeightsError, match="another shape"):
        import_weights(built, state, image=128)
    with pytest.raises(SpecError, match="image"):
        import_weights(built, state, image=5)


def test_only_tables_are_resized() -> None:
    built = model()
    for name in ("patch_embed.proj.weight", "layers.0.blocks.0.norm2.weight", TABLE):
        state = published(built)
        state[name] = state[name][..., :1]
        before = copied(built)
        with pytest.raises(WeightsError, match=f"1 tensor has another shape.*\n{name}: the checkpoint has"):
            import_weights(built, state)
        assert same(built.state_dict(), before)


def test_a_table_of_half_precision_is_resized_in_single() -> None:
    state, built = published(model()), other(model(), "image=96")
    import_weights(built, {name: tensor.half() for name, tensor in state.items() if tensor.is_floating_point()})
    wanted = by_hand(state[TABLE].half().float(), (15, 15), (23, 23))
    assert torch.equal(built.state_dict()["stage2.blocks.0.mixer.bias.table"], wanted)


@pytest.mark.parametrize(
    "module",
    [RelativeBias(2, 3, 4, 0.02), SampledBias(2, 3, 4), PositionEmbedding(4, 2, 3, 0), PositionEmbedding(4, 2, 3, 1)],
)
def test_a_table_module_knows_its_own_kind(module: Any) -> None:
    assert isinstance(module, Table)
    assert not isinstance(nn.Linear(1, 1), Table)
    for shape in [(), (3,), (9, 5), (8, 4), (4, 4), (1, 3, 4), (1, 9, 5), (2, 9, 4), (1, 1, 4)]:
        size = module.size_of(torch.zeros(shape))
        assert size is None or module.resized(torch.zeros(shape), size).shape == module.table.shape
    assert torch.equal(module.resized(module.table, module.size), module.table)


# Another number of classes


def test_a_new_classifier_is_asked_for_and_starts_as_the_document_says() -> None:
    built = model()
    state = published(built)
    with pytest.raises(WeightsError, match="set classes=10 to keep its classifier"):
        import_file(override(built.spec, ["classes=7", "image=96"]), state)
    fresh, found = import_file(built.spec, state, classes=7)
    assert found.new == ("head.fc.weight", "head.fc.bias")
    assert (fresh.num_classes, fresh.spec.classes, found.tensors) == (7, 7, 83)
    weight, bias = fresh.state_dict()["head.fc.weight"], fresh.state_dict()["head.fc.bias"]
    assert weight.shape == (7, 32)
    assert 0.01 < weight.std() < 0.03
    assert torch.equal(bias, torch.zeros(7))
    assert torch.equal(fresh.state_dict()["head.norm.bias"], state["norm.bias"])


def test_a_new_classifier_is_that_of_its_seed_and_leaves_the_random_state_alone() -> None:
    built = model()
    state = published(built)
    random = torch.get_rng_state()
    weights = [import_file(built.spec, state, classes=10, seed=seed)[0].get_classifier().weight for seed in (3, 3, 4)]
    assert torch.equal(weights[0], weights[1])  # type: ignore[arg-type]
    assert not torch.equal(weights[0], weights[2])  # type: ignore[arg-type]
    assert not torch.equal(weights[0], state["head.weight"])  # type: ignore[arg-type]
    assert torch.equal(random, torch.get_rng_state())


def test_a_checkpoint_without_a_classifier_can_get_a_new_one() -> None:
    built = model()
    state = published(built)
    del state["head.weight"], state["head.bias"]
    assert import_file(built.spec, state, classes=3)[1].tensors == 83
    with pytest.raises(WeightsError, match="has no classifier; leave out classes or features_only"):
        import_file(built.spec, state, classes=3, features_only=True)


# Another dtype


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_numbers_of_another_dtype_are_cast_and_told(dtype: torch.dtype, tmp_path: Path) -> None:
    built = model()
    state = {name: value.to(dtype) for name, value in published(built).items() if value.is_floating_point()}
    save_file(state, tmp_path / "cast.safetensors")
    found = import_weights(built, tmp_path / "cast.safetensors")
    assert found.cast == {str(dtype).removeprefix("torch."): 85}
    assert {tensor.dtype for tensor in built.parameters()} == {torch.float32}
    assert torch.equal(built.state_dict()["head.fc.bias"], state["head.bias"].float())


def test_nan_and_infinities_are_told() -> None:
    built = model()
    state = published(built)
    state["norm.bias"][3], state["head.bias"][0] = float("nan"), float("inf")
    assert import_weights(built, state).not_finite == ("head.norm.bias", "head.fc.bias")


# A network in one file


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
    remedy = r"make one by: archdsl import SPEC FILE -o model\.safetensors"
    plain, checkpoint = tmp_path / "plain.safetensors", tmp_path / "checkpoint.pth"
    save_file(built.state_dict(), plain)
    torch.save(built.state_dict(), checkpoint)
    with pytest.raises(WeightsError, match=f"has no spec of archdsl in its header; {remedy}"):
        load_model(plain)
    with pytest.raises(WeightsError, match=f"is no safetensors file .*; {remedy}"):
        load_model(checkpoint)
    with pytest.raises(WeightsError, match=f"is no file; {remedy}"):
        load_model(tmp_path)
    with pytest.raises(WrongUse, match="no such file"):
        load_model(tmp_path / "none.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="is no safetensors file"):
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


# Published names back


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
        given, built = (build(spec, features_only) for _ in range(2))
    given, built = given.to_empty(device="cpu"), built.to_empty(device="cpu")
    for tensor in (*given.state_dict().values(), *built.state_dict().values()):
        tensor.zero_() if tensor.dtype == torch.int64 else tensor.uniform_()
    state = export_weights(given)
    found = import_weights(built, state)
    assert (found.names, found.tensors) == (spec.weights, len(state))
    assert same(built.state_dict(), given.state_dict())


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


@pytest.mark.slow
def test_a_published_checkpoint_gives_its_golden_logits_through_a_file(tmp_path: Path) -> None:
    found: Golden = read_golden("lit_s")
    torch.save({"model": found.checkpoint(), "epoch": 299}, tmp_path / "lit_s.pth")
    built, _ = import_file(found.spec(), tmp_path / "lit_s.pth")
    save_model(built, tmp_path / "lit_s.safetensors")
    with torch.no_grad():
        logits = load_model(tmp_path / "lit_s.safetensors")(found.images())
    assert (logits - torch.from_numpy(found.arrays["logits"])).abs().max() <= 3e-5
