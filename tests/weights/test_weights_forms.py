"""Weights between the forms of a network: a classifier, one of other or no classes, and the dense-prediction build."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from archdsl.compile import Backbone, build
from archdsl.errors import WeightsError
from archdsl.weights import export_weights, import_file, import_weights, load_model, save_model, write_published
from tests.support.small_networks import FAMILIES, images, shaken
from tests.support.weights import model, published

NEW = [f"stage{stage}.out_norm.pixels.{kind}" for stage in (2, 3) for kind in ("weight", "bias")]


def assert_shared(dense: Backbone, classifier: Backbone) -> None:
    """What both have is equal."""
    theirs = classifier.state_dict()
    for name, tensor in dense.state_dict().items():
        if name in theirs and not name.endswith("num_batches_tracked"):
            assert torch.equal(tensor, theirs[name]), name


def logits(built: Backbone) -> Tensor:
    """Of a frozen network: torch may take other kernels for one that learns."""
    found: Tensor = built.requires_grad_(False)(images())
    return found


# ------------------------------------------------------------------------------------------------- dense prediction


@pytest.mark.parametrize("name", FAMILIES)
def test_a_classifiers_checkpoint_serves_dense_prediction(name: str, tmp_path: Path) -> None:
    classifier, file = shaken(name), tmp_path / "model.safetensors"
    save_model(classifier, file)
    for source in (export_weights(classifier), classifier.state_dict(), file):
        dense, found = import_file(classifier.spec, source, features_only=True)
        assert_shared(dense, classifier)
        assert all(".out_norm." in fresh for fresh in found.new)
        norms = len({fresh.rpartition(".")[0] for fresh in found.new})
        assert norms == {"lit_ti": 0, "lit_s": 3, "litv2_s": 3, "dualvit_s": 0}.get(name, 4)
        assert found.left_out
        assert found.tensors + len(found.new) == sum("tracked" not in key for key in dense.state_dict())


def test_what_is_left_out_and_what_is_new_is_told() -> None:
    built = model()
    dense, found = import_file(built.spec, published(built), features_only=True)
    assert sorted(found.left_out) == ["head.bias", "head.weight", "norm.bias", "norm.weight"]
    assert sorted(found.new) == sorted(NEW)
    fresh = build(built.spec, features_only=True).state_dict()
    assert all(torch.equal(dense.state_dict()[name], fresh[name]) for name in NEW)
    wrapped = {f"module.{name}": tensor for name, tensor in published(built).items()}
    assert "module.head.bias" in import_file(built.spec, wrapped, features_only=True)[1].left_out


def test_a_norm_that_both_forms_publish_under_one_name_is_shared() -> None:
    """Dual-ViT's last norm: the head's in a classifier, the last stage's in a dense-prediction build."""
    classifier = shaken("dualvit_s")
    for source in (export_weights(classifier), classifier.state_dict()):
        dense, _ = import_file(classifier.spec, source, features_only=True)
        ours, theirs = dense.state_dict(), classifier.state_dict()
        assert torch.equal(ours["stage4.out_norm.pixels.weight"], theirs["head.norm.weight"])


def test_dense_prediction_stays_strict() -> None:
    spec = model().spec
    state, dense = published(model()), export_weights(build(spec, features_only=True))
    name = "layers.0.blocks.0.norm2.bias"
    for checkpoint in (state, dense):
        with pytest.raises(WeightsError, match=f"missing: {name}"):
            import_file(spec, {key: value for key, value in checkpoint.items() if key != name}, features_only=True)
        with pytest.raises(WeightsError, match=f"{name}: the checkpoint has"):
            import_file(spec, checkpoint | {name: torch.ones(3)}, features_only=True)
        with pytest.raises(WeightsError, match=r"unexpected: layers\.9\.bias"):
            import_file(spec, checkpoint | {"layers.9.bias": torch.ones(3)}, features_only=True)
    del dense["norm1.bias"]  # of a checkpoint that has the others
    with pytest.raises(WeightsError, match=r"1 of 85 tensors missing.*\nmissing: norm1\.bias"):
        import_file(spec, dense, features_only=True)


def test_a_dense_builds_checkpoint_is_told_as_that_where_a_classifier_is_wanted() -> None:
    spec = model().spec
    for state in (export_weights(dense := build(spec, features_only=True)), dense.state_dict()):
        for classes in (None, 3):
            with pytest.raises(
                WeightsError,
                match=r"the checkpoint is of a dense-prediction build; load it as one \(features_only=True",
            ):
                import_file(spec, {f"backbone.{name}": tensor for name, tensor in state.items()}, classes=classes)


def test_saving_and_importing_leave_the_random_state_alone(tmp_path: Path) -> None:
    built = model()
    dense = build(built.spec, features_only=True)
    random = torch.get_rng_state()
    save_model(built, tmp_path / "model.safetensors")
    import_weights(dense, built.state_dict())
    assert torch.equal(random, torch.get_rng_state())


def test_our_own_classifiers_file_loads_as_a_dense_build(tmp_path: Path) -> None:
    built, file = model().half(), tmp_path / "model.safetensors"
    save_model(built, file)
    with pytest.warns(UserWarning, match=r"new: stage2\.out_norm\.pixels, stage3\.out_norm\.pixels"):
        dense = load_model(file, features_only=True)
    assert (dense.features_only, dense.training, dense.spec) == (True, False, built.spec)
    assert {parameter.dtype for parameter in dense.parameters()} == {torch.float16}
    assert_shared(dense, built)
    assert not load_model(file, features_only=False).features_only
    save_model(dense, file)
    assert load_model(file).features_only
    assert load_model(file, features_only=True).features_only
    with pytest.raises(WeightsError, match="holds a dense-prediction build, which has no classifier"):
        load_model(file, features_only=False)


# ---------------------------------------------------------------------------------------------- another classifier


@pytest.mark.parametrize("name", FAMILIES)
def test_a_reset_classifier_goes_through_files(name: str, tmp_path: Path) -> None:
    built, file = shaken(name), tmp_path / "model.safetensors"
    built.reset_classifier(5)
    save_model(built, file)
    again = load_model(file)
    assert (again.spec.classes, again.num_classes) == (5, 5)
    assert torch.equal(logits(again), logits(built))
    write_published(again, tmp_path / "published.pth")
    published_again, _ = import_file(built.spec, tmp_path / "published.pth")
    assert torch.equal(logits(published_again.eval()), logits(built))


@pytest.mark.parametrize("pool", [None, ""])
def test_a_model_without_a_classifier_goes_through_files(pool: str | None, tmp_path: Path) -> None:
    built, file = model().eval(), tmp_path / "model.safetensors"
    built.reset_classifier(0, pool)
    save_model(built, file)
    again = load_model(file)
    assert (again.num_classes, again.spec) == (0, built.spec)
    assert torch.equal(logits(again), logits(built))
    again.reset_classifier(4)
    save_model(again, file)
    assert torch.equal(logits(load_model(file)), logits(again))


def test_a_model_without_a_classifier_leaves_one_out_and_one_with_asks_for_it() -> None:
    built = model()
    built.reset_classifier(0)
    assert sorted(import_weights(built, published(model())).left_out) == ["head.bias", "head.weight"]
    state = export_weights(built)
    assert not {"head.weight", "head.bias"} & state.keys()
    import_weights(built, state)
    said = r"the checkpoint has no classifier; ask for a new one \(new_head=True, archdsl import --classes N\)"
    with pytest.raises(WeightsError, match=said):
        import_weights(model(), state)
    assert import_file(model().spec, state, classes=3)[1].new == ("head.fc.weight", "head.fc.bias")


def test_a_class_count_from_import_stays(tmp_path: Path) -> None:
    built, _ = import_file(model().spec, published(model()), classes=7)
    built.reset_classifier(4)
    save_model(built, tmp_path / "model.safetensors")
    assert load_model(tmp_path / "model.safetensors").num_classes == 4


def test_a_model_that_is_not_its_spec_is_refused_when_it_is_saved(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    built = model()
    built.head.fc = nn.Linear(32, 5)
    with pytest.raises(
        WeightsError, match=r"head\.fc\.weight is \(5, 32\) here and \(10, 32\) in the spec; use reset_cl"
    ):
        save_model(built, file)
    built = model()
    built.add_module("extra", nn.Linear(2, 2))
    with pytest.raises(WeightsError, match=r"extra\.weight is \(2, 2\) here and absent in the spec"):
        save_model(built, file)
    assert not file.exists()
