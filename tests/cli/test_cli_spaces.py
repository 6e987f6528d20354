"""`archdsl show SPACE` and `archdsl new SPACE --sample N`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archdsl import load_spec
from archdsl.language.canonical import canonical_hash
from archdsl.load.spaces import choices_of, space_of
from tests.support.commands import Run, command_line

run = pytest.fixture(command_line)

SPACE: dict[str, Any] = {
    "kind": "space",
    "version": 1,
    "name": "two-ways",
    "image": 32,
    "classes": 4,
    "nodes": [
        {"id": "stem", "type": "patch_stem", "width": {"$one_of": [16, 32], "$name": "w"}},
        {"id": "left", "type": "mlp", "depth": {"$int": [1, 3]}},
        {
            "id": "right",
            "from": "stem",
            "$one_of": [
                {"type": "attention", "depth": 1, "heads": {"$expr": "w // 16"}},
                {"$label": "plain", "type": "mlp", "depth": 1},
            ],
        },
        {"id": "both", "type": "add_join", "from": ["left", "right"]},
        {"id": "head", "type": "mean_head"},
    ],
    "constraints": ["left.depth < 3 or w == 16"],
    "budgets": [{"metric": "latency", "max": 5, "unit": "ms", "batch": 2}],
}
POINTS = 2 * 3 * 2 - 2


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "space.json"
    path.write_text(json.dumps(SPACE), encoding="utf-8")
    return path


def test_a_space_is_drawn_with_its_alternatives_and_what_it_asks_for(run: Run, written: Path) -> None:
    ended = run("show", written)
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[:2] == [
        "two-ways: search space, 3x32x32 -> 4 classes, 5 nodes, 3 variables",
        f"12 combinations, {POINTS} of them valid, {POINTS} distinct networks",
    ]
    for line in (
        "●   stem   patch_stem  width={16, 32} (w)",
        "├─╮",
        "● │ left   mlp  depth={1..3}",
        "│ ● right  one of 2",
        "│ │   ◆ attention  depth=1  heads=(w // 16)",
        "│ │   ◆ plain: mlp  depth=1",
        "├─╯",
        "  left.depth < 3 or w == 16",
        "  latency <= 5 ms, batch 2",
    ):
        assert line in lines
    assert any(line.split() == ["w", "2", "16,", "32"] for line in lines)
    assert "seeds" not in lines


def test_a_space_is_shown_for_programs(run: Run, written: Path) -> None:
    shown = json.loads(run("show", written, "--json").out)
    assert (shown["points"], shown["networks"], shown["points_error"]) == (POINTS, POINTS, 0)
    assert shown["variables"] == [
        {"name": "w", "values": [16, 32]},
        {"name": "left.depth", "values": [1, 2, 3]},
        {"name": "right", "values": ["attention", "plain"]},
    ]
    assert [node["from"] for node in shown["nodes"]] == [[], ["stem"], ["stem"], ["left", "right"], ["both"]]


@pytest.mark.parametrize("columns", [20, 60])
def test_a_space_is_drawn_where_it_is_narrow(
    run: Run, written: Path, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    ended = run("show", written)
    assert ended.code == 0
    assert {"attention", "heads=(w", "right"} <= set(ended.out.split())


def test_a_sample_holds_different_points_and_one_seed_draws_the_same(run: Run, written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "drawn"
    ended = run("new", written, "--sample", POINTS, "-o", folder)
    assert (ended.code, ended.err) == (0, "")
    paths = [Path(line) for line in ended.out.splitlines()]
    specs = [load_spec(path) for path in paths]
    assert [path.name for path in paths] == [f"{spec.name}.json" for spec in specs]
    assert len({spec.name for spec in specs}) == len({canonical_hash(spec) for spec in specs}) == POINTS
    space = space_of(SPACE)
    assert all(choices_of(space, spec) for spec in specs)

    printed = run("new", written, "--sample", POINTS, "--seed", 0).out
    assert [load_spec(json.loads(line)) for line in printed.splitlines()] == specs
    assert run("new", written, "--sample", 5, "--seed", 1).out != "".join(printed.splitlines(keepends=True)[:5])


def test_a_sample_takes_a_name(run: Run, written: Path) -> None:
    drawn = json.loads(run("new", written, "--sample", 1, "--name", "mine").out)
    assert drawn["name"].startswith("mine-")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--sample", "11"], 1, "two-ways: only 10 different valid networks were found; ask for no more"),
        (["--sample", "0"], 2, "'0' is not a whole number from 1 to 10000"),
        (["-o", "folder"], 2, "only a sample is written to a folder; add --sample N"),
        (["--sample", "1", "--set", "image=64"], 2, "only a backbone has fields to set; this is a search space"),
    ],
)
def test_what_cannot_be_sampled_says_so(run: Run, written: Path, arguments: list[str], code: int, message: str) -> None:
    ended = run("new", written, *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert message in " ".join(ended.err.split())


def test_a_backbone_is_not_sampled_and_a_space_not_drawn_by_mermaid(run: Run, written: Path) -> None:
    refused = run("new", "litv2_s", "--sample", 2)
    assert (refused.code, refused.out) == (2, "")
    assert "only a search space is sampled" in refused.err
    refused = run("show", written, "--format", "mermaid")
    assert (refused.code, refused.out) == (2, "")
    assert "a search space is drawn as text alone" in refused.err
