"""Weights of a trained network in a changed one: the function stays where it can, and the report says what was done."""

from __future__ import annotations

import copy
import json
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from _pytest.mark import ParameterSet

import archdsl
from archdsl.compile import Backbone, build
from archdsl.deriving.counterparts import block_pairs
from archdsl.load.specs import override
from archdsl.weights import save_model
from archdsl.weights.facts import ModelFacts
from tests.support.heirs import apart, doubled, fresh, pictures, tiny, trained, with_node
from tests.support.narrow_networks import SMALL, small

EXACT = 1e-10


@cache
def few(name: str) -> archdsl.Spec:
    return override(small(name), ["classes=10"])


@cache
def parent_of(name: str) -> Backbone:
    """A trained network of the family, which no test changes."""
    return trained(few(name))


@pytest.mark.parametrize("name", SMALL)
def test_a_network_inherits_its_own_function_whole(name: str) -> None:
    parent, child = parent_of(name), fresh(few(name))
    report = archdsl.inherit(child, parent)
    assert apart(child, parent, pictures()) == 0
    assert {tensor.state for tensor in report.tensors} == {"copied"}
    assert not report.dropped


def quickly(*names: str) -> list[ParameterSet]:
    """All families, those that are not named among the slow tests."""
    return [pytest.param(name, marks=() if name in names else pytest.mark.slow) for name in SMALL]


def keeps_at_twice_the_width(name: str, heads: bool) -> None:
    parent, child = parent_of(name), fresh(doubled(name, few(name), heads))
    report = archdsl.inherit(child, parent)
    assert apart(child, parent, pictures()) < (1e-6 if name == "fcvit_tiny" else EXACT)
    assert report.sums["widened"].share > 0.9


@pytest.mark.parametrize("name", quickly("litv2_s", "dat_t"))
def test_twice_the_width_keeps_the_function_with_wider_heads(name: str) -> None:
    """FCViT's to what it adds to a deviation, 1e-5, of scores that are larger then."""
    keeps_at_twice_the_width(name, heads=False)


def test_copies_of_a_channel_are_read_unequally_so_that_they_learn_apart() -> None:
    parent, child = trained(tiny()), fresh(tiny("stem.width=32", "merge1.width=64"))
    archdsl.inherit(child, parent)
    path = "stage1.blocks.0.mlp.fc1.weight"
    ours, theirs = child.state_dict()[path][:32].view(32, 16, 2), parent.state_dict()[path]
    torch.testing.assert_close(ours.sum(2), theirs)
    assert torch.isclose(ours[..., 0], ours[..., 1]).double().mean() < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lit_ti", "dat_t", "datpp_t", "dualvit_s"])
def test_twice_the_width_keeps_the_function_with_more_heads(name: str) -> None:
    """LITv2's share of heads is rounded and FCViT's heads are channels of the stream, so that theirs is not kept."""
    keeps_at_twice_the_width(name, heads=True)


@pytest.mark.parametrize("name", quickly("datpp_t", "dualvit_s"))
def test_more_blocks_start_as_the_identity(name: str) -> None:
    parent, child = parent_of(name), fresh(override(few(name), ["stage2.depth=4", "stage3.depth=3"]))
    report = archdsl.inherit(child, parent)
    assert apart(child, parent, pictures()) < EXACT
    assert sum(str(source).endswith("(identity)") for _, source in report.blocks) == 3


@pytest.mark.parametrize("name", ["litv2_s", "dat_t"])
def test_half_the_width_takes_the_same_channels_everywhere(name: str) -> None:
    """Every second one, in whatever reads or writes the stream."""
    parent, child = fresh(doubled(name, few(name), heads=False)), fresh(few(name))
    report = archdsl.inherit(child, parent)
    assert {tensor.state for tensor in report.tensors} <= {"copied", "cropped"}
    ours, theirs = child.state_dict(), parent.state_dict()
    for key in ("stem.proj.weight", "stage1.blocks.0.norm2.weight", "stage1.blocks.0.mlp.fc2.weight"):
        assert torch.equal(ours[key], theirs[key][::2, ::2] if key.endswith("fc2.weight") else theirs[key][::2])
    assert torch.equal(ours["stage2.blocks.0.mlp.fc1.weight"], theirs["stage2.blocks.0.mlp.fc1.weight"][::2, ::2])
    assert torch.equal(ours["head.fc.weight"], theirs["head.fc.weight"][:, ::2])


def test_a_cut_keeps_the_first_and_the_last_block_and_those_between_evenly() -> None:
    parent, child = trained(tiny("stage2.depth=6")), fresh(tiny("stage2.depth=4"))
    report = archdsl.inherit(child, parent)
    chosen = [source for name, source in report.blocks if name.startswith("stage2")]
    assert chosen == [f"stage2.blocks.{place}" for place in (0, 2, 3, 5)]
    for place, source in enumerate((0, 2, 3, 5)):
        ours, theirs = child.state_dict(), parent.state_dict()
        path = "mlp.fc1.weight"
        assert torch.equal(ours[f"stage2.blocks.{place}.{path}"], theirs[f"stage2.blocks.{source}.{path}"])
    assert {".".join(tensor.name.split(".")[:3]) for tensor in report.dropped} == {"stage2.blocks.1", "stage2.blocks.4"}


def test_blocks_of_two_types_come_from_blocks_of_their_type() -> None:
    parent, child = (
        build(override(small("dat_t"), ["stage3.depth=6"])),
        build(override(small("dat_t"), ["stage3.depth=4"])),
    )
    pairs, _ = block_pairs(child.stage3.blocks, parent.stage3.blocks)  # type: ignore[union-attr, arg-type]
    assert [place % 2 for place in pairs if place is not None] == [0, 1, 0, 1]
    assert (pairs[0], pairs[-1]) == (0, 5)


def test_merges_are_matched_by_what_they_hold() -> None:
    """A deformable merge with offsets of 0 is a GELU of the convolution merge; and back, its kernel is the same."""
    spec = tiny()
    conv = with_node(spec, "merge1", type="conv_merge", kernel=2, bias=False, width=32, norm={"type": "batch"})
    parent, child = trained(conv), fresh(spec)
    torch.nn.init.normal_(child.merge1.offset.weight)  # type: ignore[union-attr, arg-type]
    report = archdsl.inherit(child, parent)
    x = torch.randn(2, 16, 8, 8).double()
    with torch.no_grad():
        torch.testing.assert_close(child.merge1(x), F.gelu(parent.merge1(x)), rtol=EXACT, atol=EXACT)  # type: ignore[operator]
    notes = {tensor.name: (tensor.state, tensor.note) for tensor in report.tensors}
    assert notes["merge1.offset.weight"] == notes["merge1.conv.bias"] == ("new", "starts at 0")
    assert notes["merge1.conv.weight"] == ("copied", "")
    back = fresh(conv)
    archdsl.inherit(back, child)
    assert torch.equal(back.merge1.proj.weight, parent.merge1.proj.weight)  # type: ignore[union-attr, arg-type]


def test_a_larger_kernel_has_zeros_around_the_old_one() -> None:
    spec = with_node(tiny(), "merge1", type="conv_merge", kernel=2, width=32)
    parent, child = trained(spec), fresh(with_node(tiny(), "merge1", type="conv_merge", kernel=3, width=32))
    archdsl.inherit(child, parent)
    assert apart(child, parent, pictures(side=32)) < EXACT


@pytest.mark.parametrize(
    "change",
    [
        ["stage1.mlp.ratio=4", "stage2.mlp.ratio=3"],
        ["stage1.mlp.kernel=5"],
        ['stage2.mlp={"type": "dwconv_residual", "ratio": 2}'],
        ["stage1.local_perception=true", "stage1.position_embedding=true"],
        ["stage2.layer_scale=0.01"],
    ],
    ids=["mlp ratio", "kernel", "residual convolution", "added parts", "layer scale"],
)
def test_what_can_start_without_effect_does(change: list[str]) -> None:
    parent, child = trained(tiny()), fresh(tiny(*change))
    archdsl.inherit(child, parent)
    assert apart(child, parent, pictures(side=32)) < EXACT


def test_a_plain_mlp_is_one_whose_convolution_is_the_identity() -> None:
    plain = ['stage1.mlp={"type": "plain", "ratio": 2}', 'stage2.mlp={"type": "plain", "ratio": 2}']
    parent, child = trained(tiny(*plain)), fresh(tiny())
    archdsl.inherit(child, parent)
    assert apart(child, parent, pictures(side=32)) < EXACT


def test_another_mixer_is_new_and_the_rest_of_its_block_is_copied() -> None:
    spec = with_node(tiny(), "stage2", type="attention", depth=4, heads=4, mlp={"type": "dwconv", "ratio": 2})
    parent, child = trained(tiny()), fresh(spec)
    before = {name: value.clone() for name, value in child.state_dict().items()}
    report = archdsl.inherit(child, parent)
    new = {tensor.name for tensor in report.tensors if tensor.state == "new"}
    assert new == {name for name in child.state_dict() if ".mixer." in name}
    assert all(torch.equal(child.state_dict()[name], before[name]) for name in new)


def test_fewer_heads_are_whole_heads_in_rows_and_columns() -> None:
    attention = {"type": "attention", "depth": 1, "mlp": {"type": "plain"}}
    wide = with_node(override(tiny(), ["merge1.width=64"]), "stage2", heads=8, **attention)
    narrow = with_node(tiny(), "stage2", heads=4, **attention)
    parent, child = trained(wide), fresh(narrow)
    report = archdsl.inherit(child, parent)
    old, new = (net.stage2.blocks[0].mixer for net in (parent, child))  # type: ignore[union-attr, index]
    heads = old.qkv.weight.view(3, 8, 8, 64)[:, ::2, :, ::2]
    assert torch.equal(new.qkv.weight.view(3, 4, 8, 32), heads)
    assert torch.equal(new.proj.weight.view(32, 4, 8), old.proj.weight.view(64, 8, 8)[::2, ::2])
    assert "heads 0, 2, 4, 6" in {tensor.note for tensor in report.tensors}


def test_tables_are_resized_to_the_image() -> None:
    parent, child = parent_of("lit_ti"), fresh(override(few("lit_ti"), ["image=96"]))
    report = archdsl.inherit(child, parent)
    resized = {tensor.name: tensor.note for tensor in report.tensors if tensor.state == "resized"}
    assert resized["stage1.position_embedding.table"] == "16x16 -> 24x24"
    assert len(resized) == 4
    other = copy.deepcopy(parent)
    other.set_input_size(96)
    torch.testing.assert_close(dict(child.named_parameters()), dict(other.named_parameters()))


def test_a_classifier_and_a_dense_prediction_build_share_all_but_their_ends() -> None:
    classifier, dense = parent_of("litv2_s"), fresh(few("litv2_s"), features_only=True)
    report = archdsl.inherit(dense, classifier)
    assert {tensor.name.split(".")[1] for tensor in report.tensors if tensor.state == "new"} == {"out_norm"}
    assert {tensor.name.split(".")[0] for tensor in report.dropped} == {"head"}
    again = fresh(few("litv2_s"))
    report = archdsl.inherit(again, dense)
    assert {tensor.name.split(".")[0] for tensor in report.tensors if tensor.state == "new"} == {"head"}
    assert torch.equal(again.stage4.blocks[0].mlp.fc1.weight, classifier.stage4.blocks[0].mlp.fc1.weight)  # type: ignore[union-attr, index]


def test_classes_are_matched_by_name_where_both_are_named() -> None:
    parent, child = trained(tiny()), fresh(tiny("classes=3"))
    new = child.head.fc.weight[2].clone()  # type: ignore[union-attr, index]
    names = {"classes": ["cat", "owl", "emu"], "parent_classes": ["dog", "owl", "cat", "ant"]}
    report = archdsl.inherit(child, parent, **names)  # type: ignore[arg-type]
    rows, old = child.head.fc.weight, parent.head.fc.weight  # type: ignore[union-attr]
    assert torch.equal(rows[0], old[2])  # type: ignore[index]
    assert torch.equal(rows[1], old[1])  # type: ignore[index]
    assert torch.equal(rows[2], new)  # type: ignore[index]
    assert report.notes == ("classifier: 2 of 3 classes matched by name",)


def test_another_number_of_classes_without_names_is_a_new_classifier() -> None:
    parent, child = trained(tiny()), fresh(tiny("classes=7"))
    report = archdsl.inherit(child, parent)
    assert [tensor.name for tensor in report.tensors if tensor.state == "new"] == ["head.fc.weight", "head.fc.bias"]
    assert report.notes == ("classifier: new, for 7 classes instead of 4",)


def test_nodes_with_other_names_are_matched_by_their_kind_and_order() -> None:
    document = json.loads(json.dumps(tiny().to_json()).replace("stage", "part_").replace("merge1", "halve"))
    parent, child = trained(tiny()), fresh(archdsl.load_spec(document))
    archdsl.inherit(child, parent)
    assert apart(child, parent, pictures(side=32)) == 0


@pytest.mark.parametrize("change", [["stage2.depth=2"], ["merge1.width=24", "stem.width=8"], ["stage2.mlp.ratio=3"]])
def test_the_report_adds_up_to_all_parameters(change: list[str]) -> None:
    parent, child = trained(tiny()), fresh(tiny(*change))
    report = archdsl.inherit(child, parent)
    count = sum(parameter.numel() for parameter in child.parameters())
    kept = [each for state, each in report.sums.items() if state != "dropped"]
    assert sum(each.parameters for each in kept) == report.parameters == count
    assert sum(each.share for each in kept) == pytest.approx(1)
    assert [tensor.name for tensor in report.tensors] == [n for n in child.state_dict() if not n.endswith("tracked")]
    told = report.as_json()
    assert json.loads(json.dumps(told)) == told
    assert str(report).splitlines()[0].startswith("tiny from tiny: ")


def test_a_parent_may_train_or_be_of_another_dtype_and_stays_as_it_is() -> None:
    parent, child = trained(tiny()).float().train(), fresh(tiny())
    before = {name: value.clone() for name, value in parent.state_dict().items()}
    report = archdsl.inherit(child, parent)
    assert parent.training
    assert not child.training
    assert all(torch.equal(value, before[name]) for name, value in parent.state_dict().items())
    assert next(child.parameters()).dtype == torch.float64
    assert report.notes == ("cast from torch.float32 to torch.float64",)


def test_a_file_of_ours_is_a_parent_and_brings_the_names_of_its_classes(tmp_path: object) -> None:
    file = f"{tmp_path}/parent.safetensors"
    parent, child = trained(tiny()).float(), fresh(tiny("classes=2")).float()
    save_model(parent, file, facts=ModelFacts(classes=("a", "b", "c", "d")))
    report = archdsl.inherit(child, file, classes=["d", "a"])
    assert torch.equal(child.head.fc.bias, parent.head.fc.bias[[3, 0]])  # type: ignore[union-attr, index, arg-type]
    assert report.parent == "parent.safetensors"


def test_nothing_in_common_is_reported_and_no_error() -> None:
    other = archdsl.load_spec(
        {"kind": "arch", "version": 1, "name": "other", "image": 32, "classes": 3, "nodes": [
            {"id": "start", "type": "conv_stem", "width": 12},
            {"id": "middle", "type": "sequence", "depth": 1, "blocks": [{"type": "fcvit_conv", "heads": 2}]},
            {"id": "end", "type": "class_attention_head", "heads": 2}]}
    )  # fmt: skip
    headless = fresh(tiny(), features_only=True)
    report = archdsl.inherit(fresh(other), headless)
    assert report.is_empty
    assert report.notes == ("nothing could be inherited: the two networks have no tensor in common",)
