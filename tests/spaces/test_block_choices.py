"""The space around a network: each block a choice, at the width and stride that its stage has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from archdsl import build, load_spec, override, zoo
from archdsl.families.common.base import Part
from archdsl.families.common.fields import type_name
from archdsl.json_types import objects_in
from archdsl.language.document import Spec
from archdsl.load.alternatives import alternatives
from archdsl.load.spaces import choices_of, load_space, sample
from archdsl.load.specs import spec_of
from archdsl.spaces.block_choices import block_choices
from archdsl.spaces.space import Space
from tests.support.commands import Run, command_line
from tests.support.small_networks import MIXED

run = pytest.fixture(command_line)
QUICK = ("litv2_s", "dat_t", "dualvit_s", "fcvit_tiny")


def around(spec: Spec) -> Space:
    return load_space(block_choices(spec).document)


def small(name: str) -> Spec:
    """A published network at 64 pixels."""
    return override(load_spec(name), ["image=64", "classes=10"])


def labels(space: Space, stage: str, position: int) -> list[str]:
    node = next(node for node in space.nodes if node["id"] == stage)
    return [alternative["$label"] for alternative in node["blocks"][position]["$one_of"]]


def holds(spec: Spec, points: int) -> None:
    """The network is the point at which everything is its own, and points that are drawn are built."""
    space = around(spec)
    choices = choices_of(space, spec)
    assert choices is not None
    assert set(choices.values()) == {"own"}
    drawn = sample(space, points)
    assert len(drawn) == points
    for each in drawn:
        with torch.device("meta"):
            assert build(each) is not None
        assert choices_of(space, each) is not None


@pytest.mark.parametrize("name", QUICK)
def test_a_network_is_a_point_of_the_space_around_it(name: str) -> None:
    holds(small(name), 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.names())
def test_every_published_network_is_a_point_of_a_space_around_it_whose_points_are_built(name: str) -> None:
    holds(small(name), 20)
    assert choices_of(around(load_spec(name)), load_spec(name)) is not None


def test_at_each_position_stand_few_blocks_of_every_kind_and_spans_to_the_end_of_the_stage() -> None:
    space = around(load_spec("litv2_s"))
    assert labels(space, "stage3", 4) == [
        "own", "attention", "window", "neighborhood", "deformable", "deformable_plus", "fcvit_conv", "alpha_0.5",
        "window_4", "none", "plain", "ratio_2", "ratio_1", "span2_own", "span2_narrow", "span2_none",
        "span2_none_narrow"]  # fmt: skip
    spans = [label for label in labels(space, "stage3", 0) if label.startswith("span")]
    assert {label.partition("_")[0] for label in spans} == {f"span{length}" for length in range(2, 7)}
    assert len(spans) == 5 * 4


def test_every_mixer_of_a_map_alone_is_offered_where_it_fits() -> None:
    offered = {type_name(type(each.block)) for each in alternatives(around(load_spec("dat_t")), load_spec("dat_t"))}
    ours = {name: part for name, part in Part.kinds["block"].items() if part.__module__.startswith("archdsl.")}
    assert offered == {name for name, part in ours.items() if part.reads == ("pixels",)}


def test_blocks_keep_the_size_and_width_of_their_stage_and_what_it_reads() -> None:
    for name in ("dualvit_s", "litv2_s"):
        parent = small(name)
        shapes = {step.node.id: step.outputs for step in parent.plan()}
        for each in sample(around(parent), 3):
            assert {step.node.id: step.outputs for step in each.plan()} == shapes


def test_an_odd_image_that_is_not_square_has_merges_of_the_same_rounding_alone() -> None:
    odd = override(load_spec("dat_t"), ["image=[72,104]"])  # 18x26, 9x13, 4x6, 2x3
    holds(odd, 2)
    merges = {node["id"]: node["$one_of"] for node in around(odd).nodes if "$one_of" in node}
    assert [each["$label"] for each in merges["merge1"]] == ["own", "deformable_merge", "conv_merge_3"]
    assert [each["$label"] for each in merges["merge2"]] == ["own", "deformable_merge"]


def test_stages_that_mix_blocks_of_two_pathways_keep_both() -> None:
    holds(spec_of(MIXED), 3)


def test_a_stage_with_a_class_token_stays_as_it_is() -> None:
    found = block_choices(load_spec("lit_ti"))
    assert found.kept == {"stage4": ["class_token"]}
    stages = [node for node in objects_in(found.document["nodes"]) if node["id"] == "stage4"]
    assert [node["type"] for node in stages] == ["attention"]


def test_the_command_prints_a_space_that_can_be_edited_and_says_what_stays(run: Run, tmp_path: Path) -> None:
    code, out, err = run("new", "lit_ti", "--set", "image=64", "--space", "--name", "mine")
    assert (code, err) == (0, "stage4 stays as in lit_ti: a sequence has no class_token\n")
    document: dict[str, Any] = json.loads(out)
    assert (document["kind"], document["name"], document["image"]) == ("space", "mine", 64)
    assert max(map(len, out.splitlines())) <= 120
    file = tmp_path / "mine.json"
    file.write_text(out)
    code, out, err = run("new", str(file), "--sample", "2")
    assert (code, len(out.splitlines())) == (0, 2)
    assert run("new", str(file), "--space")[0] == 2
