"""How two backbones differ: in the nodes, field by field, and in what they cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import archdsl
from archdsl.cost import count
from archdsl.inspecting.diff import FieldChange, diff
from archdsl.load.specs import override, spec_of
from tests.support.commands import TINY, Run, command_line

run = pytest.fixture(command_line)
BASE = archdsl.load_spec("litv2_s")


def changed(**nodes: dict[str, Any] | None) -> archdsl.Spec:
    """litv2_s with fields of nodes replaced, or without a node."""
    document = BASE.to_json()
    kept = [node for node in document["nodes"] if nodes.get(node["id"], {}) is not None]
    return spec_of({**document, "nodes": [{**node, **(nodes.get(node["id"]) or {})} for node in kept]})


def test_a_network_does_not_differ_from_itself_nor_from_its_defaults_written_out() -> None:
    assert diff(BASE, BASE).is_empty
    assert diff(BASE, changed(stage1={"norm": {"type": "layer", "eps": 1e-5}})).is_empty
    assert diff(BASE, changed(stage1={"from": "stem"})).is_empty
    assert diff(BASE, override(BASE, ["name=other"])).is_empty


def test_a_changed_field_is_told_by_its_path_and_what_it_costs() -> None:
    difference = diff(BASE, override(BASE, ["stage3.depth=4", "stage1.mlp.ratio=2"]))
    first, second = difference.nodes
    assert (first.id, first.state, first.fields) == ("stage1", "changed", (FieldChange("mlp.ratio", 4.0, 2.0),))
    assert (second.id, second.fields) == ("stage3", (FieldChange("depth", 6, 4),))
    assert second.before is not None
    assert second.after is not None
    assert second.after.params < second.before.params
    assert difference.after_count == count(difference.after)


def test_a_removed_and_an_added_node_stand_in_order_and_readers_say_what_they_read_now() -> None:
    shorter = changed(stage2=None)
    difference = diff(BASE, shorter)
    assert [(node.id, node.state) for node in difference.nodes] == [("stage2", "removed"), ("merge2", "changed")]
    assert difference.nodes[1].fields == (FieldChange("from", "stage2", "merge1"),)
    back = diff(shorter, BASE)
    assert [(node.id, node.state) for node in back.nodes] == [("stage2", "added"), ("merge2", "changed")]
    assert back.nodes[0].before is None


def test_a_change_of_the_image_shows_in_the_shapes_of_all_nodes() -> None:
    difference = diff(BASE, override(BASE, ["image=256"]))
    assert difference.header == (FieldChange("image", 224, 256),)
    assert [node.id for node in difference.nodes] == [node.id for node in BASE.nodes]
    assert all(not node.fields for node in difference.nodes)


def test_ports_are_named() -> None:
    spec = archdsl.load_spec("dualvit_s")
    difference = diff(spec, archdsl.load_spec("litv2_s"))
    reads = {node.id: {change.path: change.before for change in node.fields} for node in difference.nodes}
    assert reads["stage2"]["from"] == "merge1, semantic_merge1.semantics"


@pytest.mark.parametrize("other", [archdsl.load_spec("dat_t"), archdsl.load_spec("dualvit_s")])
def test_every_node_is_added_removed_changed_or_equal(other: archdsl.Spec) -> None:
    difference = diff(BASE, other)
    ours, theirs = {node.id for node in BASE.nodes}, {node.id for node in other.nodes}
    assert {node.id for node in difference.of_state("added")} == theirs - ours
    assert {node.id for node in difference.of_state("removed")} == ours - theirs
    assert {node.id for node in difference.of_state("changed")} <= ours & theirs
    assert json.loads(json.dumps(difference.as_json())) == difference.as_json()


def test_what_is_no_spec_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="diff"):
        diff("litv2_s", BASE)  # type: ignore[arg-type]


def test_the_command_prints_the_changes_and_the_costs(run: Run) -> None:
    code, out, _ = run("diff", "litv2_s", "litv2_s", "--set", "stage3.depth=4")
    assert code == 0
    assert out.startswith("litv2_s -> litv2_s: nodes: 1 changed, 8 equal\n~ stage3  hilo\n    depth: 6 -> 4\n")
    assert "-12.6 %" in out
    code, out, _ = run("diff", "litv2_s", "litv2_s")
    assert out.startswith("litv2_s -> litv2_s: the same network\n")


def test_every_changed_node_says_what_changed(run: Run) -> None:
    """Also the head, of which another image changes the activations alone."""
    lines = run("diff", "litv2_s", "litv2_s", "--set", "image=256").out.splitlines()
    places = [place for place, line in enumerate(lines) if line.startswith("~ ") and ":" not in line]
    assert len(places) == len(BASE.nodes)
    assert all(lines[place + 1].startswith("    ") for place in places)


def test_of_another_type_only_what_both_types_have_is_printed(run: Run) -> None:
    _, out, _ = run("diff", "litv2_s", "dat_t")
    assert "    type: hilo -> sequence\n    blocks: none -> window, deformable\n" in out
    assert "blocks[" not in out


def test_the_command_as_json(run: Run) -> None:
    code, out, _ = run("diff", "litv2_s", "lit_s", "--json")
    assert code == 0
    assert json.loads(out) == diff(BASE, archdsl.load_spec("lit_s")).as_json()


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["litv2_s"], 2, "Missing argument"),
        (["litv2_s", "litv2_x"], 2, "litv2_x"),
        (["litv2_s", "lit-dat-64"], 1, "search space"),
        (["litv2_s", "lit_s", "--threads", "1"], 2, "--measure"),
        (["litv2_s", "lit_s", "--set", "stage9.depth=1"], 1, "stage9"),
    ],
)
def test_wrong_use_is_told(run: Run, arguments: list[str], code: int, text: str) -> None:
    difference = run("diff", *arguments)
    assert (difference[0], difference[1]) == (code, "")
    assert text in difference[2]


def test_both_are_measured_side_by_side(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "tiny.json"
    file.write_text(json.dumps(TINY))
    more = ["--set", "stage.depth=2", "--measure", "--runtime", "eager", "--device", "cpu", "--threads", "1"]
    code, out, _ = run("diff", str(file), str(file), *more, "--json")
    assert code == 0
    latencies = json.loads(out)["latency"]["items"]
    assert len(latencies) == 2


def test_a_stage_whose_blocks_differ_is_compared_block_by_block_with_one_of_equal_blocks(
    run: Run, tmp_path: Path
) -> None:
    own = {"type": "hilo", "heads": 12, "window": 2}
    blocks = [own, {**own, "alpha": 0.5}, {"type": "mlp", "mlp": {"type": "dwconv"}}, own, own]
    listed = {"id": "stage3", "type": "sequence", "depth": 5, "blocks": blocks}
    nodes = [listed if node["id"] == "stage3" else node for node in BASE.to_json()["nodes"]]
    file = tmp_path / "listed.json"
    file.write_text(json.dumps({**BASE.to_json(), "nodes": nodes}))
    _, out, _ = run("diff", "litv2_s", str(file))
    lines = out.partition("stage3")[2].splitlines()[1:]
    assert lines[:2] == ["    blocks[1].alpha: 0.9 -> 0.5", "    blocks[2].type: hilo -> mlp"]
    assert lines[2:4] == ["    blocks[5].type: hilo -> none", "    depth: 6 -> 5"]


def test_a_repeated_sequence_is_compared_block_by_block_with_one_that_lists_all(run: Run, tmp_path: Path) -> None:
    window, deformable = {"type": "window", "heads": 12}, {"type": "deformable", "heads": 12, "groups": 3, "kernel": 5}
    whole = archdsl.load_spec("dat_t")
    listed = {"id": "stage3", "type": "sequence", "depth": 4, "blocks": [window, deformable, window, window]}
    nodes = [listed if node["id"] == "stage3" else node for node in whole.to_json()["nodes"]]
    file = tmp_path / "listed.json"
    file.write_text(json.dumps({**whole.to_json(), "nodes": nodes}))
    _, out, _ = run("diff", "dat_t", str(file))
    lines = [line.strip() for line in out.partition("stage3")[2].splitlines()[1:]]
    assert "blocks[3].type: deformable -> window" in lines
    assert "blocks[5].type: deformable -> none" in lines
    assert "depth: 6 -> 4" in lines
    assert not any("none ->" in line and ".type" in line for line in lines)
