"""A backbone is used as timm's models are: classifier, features, checkpointing, decay; and it starts as published."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from archdsl.compile import build
from archdsl.errors import WrongUse
from archdsl.load.specs import load_spec, override
from tests.support.two_stages import NODES, WITH_TOKEN, Raw, images, model

# -------------------------------------------------------------------------------------------- classifier and features


@pytest.mark.parametrize("nodes", [NODES, WITH_TOKEN])
def test_features_then_head_is_the_forward_pass(nodes: list[Raw]) -> None:
    built = model(nodes).eval()
    features = built.forward_features(images())
    assert tuple(features.shape) == ((2, 1, 64) if nodes is WITH_TOKEN else (2, 64, 4, 4))
    pooled = built.forward_head(features, pre_logits=True)
    assert tuple(pooled.shape) == (2, built.num_features) == (2, 64)
    logits = built(images())
    assert torch.equal(built.forward_head(features), logits)
    assert torch.equal(built.get_classifier()(pooled), logits)


def test_the_classifier_is_the_last_linear_and_can_be_replaced_or_removed() -> None:
    built = model().eval()
    assert built.num_classes == 10
    classifier = built.get_classifier()
    assert isinstance(classifier, nn.Linear)
    assert classifier.out_features == 10
    built.reset_classifier(7)
    assert built.num_classes == 7
    assert tuple(built(images()).shape) == (2, 7)
    built.reset_classifier(0)
    assert built.num_classes == 0
    assert isinstance(built.get_classifier(), nn.Identity)
    pooled = built.forward_head(built.forward_features(images()), pre_logits=True)
    assert torch.equal(built(images()), pooled)
    built.double().reset_classifier(5)
    assert {tensor.dtype for tensor in built.parameters()} == {torch.float64}


def test_a_dense_build_gives_maps_and_has_no_head() -> None:
    built = model(features_only=True).eval()
    maps = built(images())
    assert [tuple(level.shape) for level in maps] == [(2, 32, 8, 8), (2, 64, 4, 4)]
    assert built.feature_info == [
        {"num_chs": 32, "reduction": 4, "module": "stage1"},
        {"num_chs": 64, "reduction": 8, "module": "stage2"},
    ]
    assert (built.num_features, built.num_classes) == (64, 0)
    assert not hasattr(built, "head")
    again = built.forward_features(images())
    assert all(torch.equal(left, right) for left, right in zip(maps, again, strict=True))


def test_feature_info_answers_timms_questions() -> None:
    for built in (model(features_only=True), model()):
        info = built.feature_info
        assert (info.channels(), info.reduction(), info.module_name()) == ([32, 64], [4, 8], ["stage1", "stage2"])
        assert (info.channels(-1), info.reduction([0]), info.module_name((1, 0))) == (64, [4], ["stage2", "stage1"])
        assert info.get_dicts(["num_chs"]) == [{"num_chs": 32}, {"num_chs": 64}]
        assert info.get_dicts(idx=0) == {"num_chs": 32, "reduction": 4, "module": "stage1"}
        assert info.get_dicts() == list(info) == [info[0], info[1]]
        assert (len(info), info.out_indices, [level["num_chs"] for level in info]) == (2, (0, 1), [32, 64])
        assert copy.deepcopy(built).feature_info.channels() == [32, 64]


def test_a_classifiers_feature_info_is_that_of_its_dense_build() -> None:
    for name in ("lit_ti", "dat_t", "datpp_t", "dualvit_s", "fcvit_tiny"):
        with torch.device("meta"):
            spec = load_spec(name)
            assert build(spec).feature_info == build(spec, features_only=True).feature_info


def test_intermediate_maps_are_those_that_pass_through() -> None:
    built, dense = model().eval(), model(features_only=True).eval()
    seen: dict[str, Tensor] = {}
    for name in ("stage1", "stage2"):
        built.get_submodule(name).register_forward_hook(lambda _, __, out, name=name: seen.__setitem__(name, out))
    features, maps = built.forward_intermediates(images())
    assert torch.equal(features, built.forward_features(images()))
    assert all(torch.equal(left, right) for left, right in zip(maps, seen.values(), strict=True))
    for indices, wanted in ((1, [1]), ([0], [0]), ([-1, 0], [0, 1]), (2, [0, 1]), ([], [])):
        found = built.forward_intermediates(images(), indices, intermediates_only=True)
        assert [tuple(level.shape) for level in found] == [tuple(maps[index].shape) for index in wanted]
    seen.clear()
    (first,) = built.forward_intermediates(images(), [0], stop_early=True, intermediates_only=True)
    assert torch.equal(first, maps[0])
    assert list(seen) == ["stage1"]
    last, levels = dense.forward_intermediates(images())
    assert all(torch.equal(left, right) for left, right in zip(levels, dense(images()), strict=True))
    assert last is levels[-1]


def test_intermediate_maps_that_there_are_not_are_refused() -> None:
    built = model()
    for arguments in ({"indices": [2]}, {"indices": 3}, {"indices": -1}, {"indices": 0}, {"indices": [-3]}):
        with pytest.raises(WrongUse, match="there are 2 maps; got indices"):
            built.forward_intermediates(images(), **arguments)
    for options in ({"norm": True}, {"output_fmt": "NLC"}):
        with pytest.raises(WrongUse, match="leave out norm and output_fmt"):
            built.forward_intermediates(images(), **options)


def test_a_reset_classifier_pools_as_its_head_can() -> None:
    built = model().eval()
    built.reset_classifier(7, "avg")
    assert built(images()).shape == (2, 7)
    pooled = built.forward_head(built.forward_features(images()), pre_logits=True)
    built.reset_classifier(0, "")
    assert built(images()).shape == (2, 64, 4, 4)
    assert torch.allclose(built(images()).mean(dim=(2, 3)), pooled, atol=1e-6)
    built.reset_classifier(0)
    assert torch.equal(built(images()), pooled)
    built.reset_classifier(3, None)
    assert (built(images()).shape, built.num_features) == ((2, 3), 64)


@pytest.mark.parametrize(
    ("nodes", "classes", "pool", "message"),
    [
        (NODES, 7, "", r'cannot pool so with 7 classes; got global_pool ""; use "avg", or leave it out'),
        (NODES, 0, "max", r'got global_pool "max"; use "avg" or "", or leave it out'),
        (WITH_TOKEN, 7, "avg", r'got global_pool "avg"; use "token", or leave it out'),
        (NODES, -1, None, "num_classes must be a whole number from 0 to 100000; got -1"),
        (NODES, 100_001, None, "num_classes must be a whole number from 0 to 100000; got 100001"),
        (NODES, True, None, "num_classes must be a whole number from 0 to 100000; got true"),
    ],
)
def test_what_a_head_cannot_do_is_refused_and_changes_nothing(
    nodes: list[Raw], classes: int, pool: str | None, message: str
) -> None:
    built = model(nodes).eval()
    before = built(images())
    with pytest.raises(WrongUse, match=message):
        built.reset_classifier(classes, pool)
    assert torch.equal(built(images()), before)
    assert (built.num_classes, built.spec.classes) == (10, 10)


def test_the_spec_follows_the_classifier() -> None:
    built = model()
    before = built.spec
    built.reset_classifier(5)
    assert (built.spec.classes, before.classes) == (5, 10)
    assert built.spec == override(before, ["classes=5"])
    assert copy.deepcopy(built).spec.classes == 5


def test_features_that_are_listed_may_be_any_nodes() -> None:
    built = model(features_only=True, features=["stem", "merge1"]).eval()
    assert [tuple(level.shape) for level in built(images())] == [(2, 32, 8, 8), (2, 64, 4, 4)]
    assert [info["module"] for info in built.feature_info] == ["stem", "merge1"]
    assert "stage2" not in dict(built.named_children())


def test_out_norm_says_who_reads_the_normed_map() -> None:
    def maps(out_norm: str) -> tuple[Tensor, Tensor]:
        """What a dense build hands out of stage1, and what the head of the whole network gives."""
        nodes = [NODES[0], {**NODES[1], "out_norm": out_norm}, *NODES[2:]]
        return model(nodes, features_only=True).eval()(images())[0], model(nodes).eval()(images())

    raw, raw_logits = maps("never")
    normed, logits = maps("features")
    assert torch.allclose(
        nn.functional.layer_norm(raw.permute(0, 2, 3, 1), [32]).permute(0, 3, 1, 2), normed, atol=1e-6
    )
    assert torch.equal(logits, raw_logits)
    always, other_logits = maps("always")
    assert torch.allclose(always, normed, atol=1e-6)
    assert not torch.allclose(other_logits, logits, atol=1e-4)


# --------------------------------------------------------------------------------------------------------- names


def test_node_ids_may_be_names_of_attributes_and_methods() -> None:
    names = [
        "training",
        "forward",
        "keys",
        "spec",
        "features_only",
        "parameters",
        "num_classes",
        "feature_info",
        "head",
    ]
    middle = [{"id": name, "type": "mlp", "depth": 1} for name in names]
    built = model([NODES[0], *middle, {"id": "end", "type": "mean_head"}])
    plain = model([NODES[0], *({**node, "id": f"n{node['id']}"} for node in middle), NODES[-1]])
    assert torch.equal(built.eval()(images()), plain.eval()(images()))
    assert not built.training
    assert built.train().training
    built.reset_classifier(3)
    assert built.num_classes == 3
    assert tuple(copy.deepcopy(built)(images()).shape) == (2, 3)
    assert {name.split(".")[0] for name in built.state_dict()} == {"stem", *names, "end"}
    built.load_state_dict(built.state_dict())


def test_a_number_of_classes_is_whole_and_a_dense_build_has_none() -> None:
    spec = load_spec("fcvit_tiny")
    model = build(spec)
    for wrong in (2.5, "3", None, True, -1):
        with pytest.raises(WrongUse, match="num_classes must be a whole number from 0"):
            model.reset_classifier(wrong)  # type: ignore[arg-type]
    with pytest.raises(WrongUse, match="a dense-prediction build has no classifier"):
        build(spec, features_only=True).reset_classifier(5)
