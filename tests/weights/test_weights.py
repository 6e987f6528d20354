"""Checkpoints are loaded whole or not at all."""

from __future__ import annotations

import pytest
import torch

from archdsl.compile import Backbone
from archdsl.errors import SpecError, WeightsError
from archdsl.weights import import_weights, published_names
from tests.support.weights import State, copied, model, published, same


def test_published_names_are_those_of_the_authors_checkpoints() -> None:
    """ziplab/LITv2@7501c86: names of parts, of what is inside, and the doubled dwconv."""
    built = model()
    names = published_names(built, built.state_dict())
    assert names["stem.proj.weight"] == "patch_embed.proj.weight"
    assert names["stage1.blocks.1.mlp.dwconv.bias"] == "layers.0.blocks.1.mlp.dwconv.dwconv.bias"
    assert names["merge1.offset.weight"] == "layers.0.downsample.dconv.conv_offset.weight"
    assert names["merge1.conv.bias"] == "layers.0.downsample.dconv.bias"
    assert names["merge1.norm.running_var"] == "layers.0.downsample.norm_layer.running_var"
    assert names["stage2.blocks.0.mixer.qkv.bias"] == "layers.1.blocks.0.attn.qkv.bias"
    assert names["stage2.blocks.0.mixer.bias.table"] == "layers.1.blocks.0.attn.relative_position_bias_table"
    assert names["stage3.blocks.1.mixer.l_kv.weight"] == "layers.2.blocks.1.attn.l_kv.weight"
    assert names["stage3.blocks.2.norm2.weight"] == "layers.2.blocks.2.norm2.weight"
    assert names["head.norm.weight"] == "norm.weight"
    assert names["head.fc.bias"] == "head.bias"
    assert len(set(names.values())) == len(names)


def test_a_published_checkpoint_fills_every_tensor_and_skips_what_is_derived() -> None:
    built = model()
    state = published(built)
    import_weights(built, state)
    names = published_names(built, built.state_dict())
    for name, tensor in built.state_dict().items():
        if name.endswith("num_batches_tracked"):
            assert tensor == 0
        else:
            assert torch.equal(tensor, state[names[name]]), name


@pytest.mark.parametrize("weights", ["litv2", None])
def test_a_checkpoint_under_our_own_names_loads_with_and_without_a_scheme(weights: str | None) -> None:
    torch.manual_seed(1)
    source, built = model(weights=weights), model(weights=weights)
    import_weights(built, source.state_dict())
    assert same(built.state_dict(), source.state_dict())


def test_values_keep_the_dtype_of_the_model() -> None:
    built = model().double()
    import_weights(built, published(built))
    assert {tensor.dtype for tensor in built.parameters()} == {torch.float64}


def test_numbers_of_another_kind_are_refused() -> None:
    built = model()
    lines = refused(built, published(built) | {"norm.bias": torch.zeros(32, dtype=torch.int64)})
    assert lines == ["norm.bias: the checkpoint has int64 numbers, the model float32"]


def refused(built: Backbone, state: State) -> list[str]:
    """The lines of the refusal; the model is unchanged."""
    before = copied(built)
    with pytest.raises(WeightsError) as error:
        import_weights(built, state)
    assert same(built.state_dict(), before)
    return str(error.value).splitlines()


def test_a_misspelt_name_is_named_on_both_sides() -> None:
    built = model()
    state = published(built)
    state["layers.1.blocks.0.attn.qvk.weight"] = state.pop("layers.1.blocks.0.attn.qkv.weight")
    assert refused(built, state) == [
        "the checkpoint does not fit: 1 of 85 tensors missing, 1 unexpected",
        "missing: layers.1.blocks.0.attn.qkv.weight; did you mean 'layers.1.blocks.0.attn.qvk.weight'?",
        "unexpected: layers.1.blocks.0.attn.qvk.weight; did you mean 'layers.1.blocks.0.attn.qkv.weight'?",
    ]


def test_nothing_may_be_missing() -> None:
    built = model()
    state = published(built)
    del state["norm.bias"]
    assert refused(built, state) == [
        "the checkpoint does not fit: 1 of 85 tensors missing, 0 unexpected",
        "missing: norm.bias",
    ]


def test_running_statistics_may_not_be_missing() -> None:
    built = model()
    state = published(built)
    del state["layers.0.downsample.norm_layer.running_mean"]
    assert refused(built, state)[1].startswith("missing: layers.0.downsample.norm_layer.running_mean")


def test_nothing_may_be_left_over() -> None:
    built = model()
    state = published(built) | {"layers.7.blocks.0.norm2.weight": torch.zeros(3)}
    assert refused(built, state)[1].startswith("unexpected: layers.7.blocks.0.norm2.weight")


def test_shapes_must_be_equal() -> None:
    built = model()
    state = published(built) | {"head.weight": torch.zeros(5, 32), "head.bias": torch.zeros(5)}
    assert refused(built, state) == [
        "2 tensors have another shape; set classes=5 to keep its classifier, "
        "or ask for a new one (new_head=True, archdsl import --classes N)",
        "head.weight: the checkpoint has (5, 32), the model (10, 32)",
        "head.bias: the checkpoint has (5,), the model (10,)",
    ]


def test_a_scalar_is_not_spread_over_a_tensor() -> None:
    built = model()
    assert refused(built, published(built) | {"norm.bias": torch.tensor(1.0)}) == [
        "1 tensor has another shape",
        "norm.bias: the checkpoint has (), the model (32,)",
    ]


def test_of_many_names_the_first_ones_are_listed() -> None:
    lines = refused(model(), {"other": torch.zeros(3)})
    assert lines[0].endswith("85 of 85 tensors missing, 1 unexpected")
    assert lines[11:] == ["... and 75 more", "unexpected: other"]


def test_the_nearest_name_is_one_of_the_same_shape() -> None:
    """Between numbered blocks the nearest spelling alone would point at another tensor."""
    built = model()
    state = published(built)
    state["layers.0.blocks.0.mlp.fcl.weight"] = state.pop("layers.0.blocks.0.mlp.fc1.weight")  # (64, 16)
    state["layers.0.blocks.0.mlp.fc2.wight"] = state.pop("layers.0.blocks.0.mlp.fc2.weight")  # (16, 64)
    assert refused(built, state)[1:3] == [
        "missing: layers.0.blocks.0.mlp.fc1.weight; did you mean 'layers.0.blocks.0.mlp.fcl.weight'?",
        "missing: layers.0.blocks.0.mlp.fc2.weight; did you mean 'layers.0.blocks.0.mlp.fc2.wight'?",
    ]


@pytest.mark.parametrize("weights", [None, "litti"])
def test_names_of_another_scheme_are_told(weights: str | None) -> None:
    lines = refused(model(weights=weights), published(model()))
    assert lines[0].endswith("unexpected; its names are those of 'lit'; set weights=lit")


def test_published_names_need_a_scheme_in_the_spec() -> None:
    built = model(weights=None)
    with pytest.raises(WeightsError, match='the spec names no published weights; add "weights"'):
        published_names(built, built.state_dict())
    with pytest.raises(WeightsError, match="the checkpoint does not fit"):
        import_weights(built, published(model()))


def test_an_unknown_scheme_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(
        SpecError, match=r"""no such scheme of published weights; got "litv3"; did you mean 'litv2'\?"""
    ):
        model(weights="litv3")
    built = model()
    built.spec = built.spec.model_copy(update={"weights": "litv3"})
    with pytest.raises(WeightsError, match=r"no such scheme of published weights: 'litv3'; did you mean 'litv2'\?"):
        import_weights(built, built.state_dict())
