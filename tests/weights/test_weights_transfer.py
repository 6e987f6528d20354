"""Weights between image sizes, class counts and dtypes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

import archdsl
from archdsl.compile import Backbone, build
from archdsl.errors import SpecError, WeightsError
from archdsl.families.common.stage_modules import PositionEmbedding
from archdsl.families.common.tables import RelativeBias, Table
from archdsl.families.dat.modules import SampledBias
from archdsl.load.specs import load_spec, override
from archdsl.weights import export_weights, import_file, import_weights
from tests.support.weights import copied, model, published, same

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
    assert [(resized.name, resized.old, resized.new) for resized in found.resized] == [
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
    assert [(resized.old, resized.new) for resized in found.resized] == [
        ((side, side), (3 * side // 2, 3 * side // 2)) for side in (16, 8, 4, 2)
    ]
    table = built.state_dict()["stage4.position_embedding.table"]
    published_table = state["pos_embed4"]
    grid = published_table[:, 1:].reshape(1, 2, 2, -1).permute(0, 3, 1, 2)
    wanted = F.interpolate(grid, (3, 3), mode="bilinear").permute(0, 2, 3, 1).reshape(1, 9, -1)
    assert torch.equal(table, torch.cat([published_table[:, :1], wanted], dim=1))


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
