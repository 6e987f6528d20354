"""How the winner differs from its parent, else from the nearest seed, in a run's report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archdsl.render.page.page import html
from archdsl.search.report import read_report
from tests.support.reported import copied_run, edit, recorded, terminal

run = pytest.fixture(copied_run)


def test_without_a_parent_the_seed_with_the_fewest_other_nodes_is_compared() -> None:
    changes = recorded().changes
    assert changes is not None
    assert (changes.origin, changes.diff.before.name) == ("seed", "lit_s")
    stage = next(node for node in changes.diff.nodes if node.id == "stage3")
    assert [(change.path, change.before, change.after) for change in stage.fields] == [("heads", 8, 4), ("depth", 6, 2)]
    shown = terminal(recorded())
    assert "How the winner differs from the nearest seed" in shown
    assert "    depth: 6 -> 2" in shown
    page = html(recorded())
    assert "<summary>How the winner differs from the nearest seed</summary>" in page
    assert "MACs: 19.27 M -&gt; 1.638 M" in page
    facts = recorded().as_json()["changes"]
    assert isinstance(facts, dict)
    assert facts["origin"] == "seed"


def test_a_parent_goes_before_every_seed_unless_it_cannot_be_read(run: Path) -> None:
    winner = json.loads((run / "winner.json").read_text())
    deeper = [node | {"depth": 3} if node["id"] == "stage3" else node for node in winner["nodes"]]
    (run / "parent.json").write_text(json.dumps({"spec": winner | {"name": "old", "nodes": deeper}}))
    changes = read_report(run).changes
    assert changes is not None
    assert (changes.origin, changes.diff.before.name, len(changes.diff.nodes)) == ("parent", "old", 1)
    assert "How the winner differs from its parent" in terminal(read_report(run))
    (run / "parent.json").write_text('{"spec": {"kind": "arch"}}')
    after = read_report(run).changes
    assert after is not None
    assert after.origin == "seed"


def test_without_a_winner_or_a_seed_there_is_nothing_to_compare(run: Path) -> None:
    edit(run, "run.json", lambda settings: settings | {"space": settings["space"] | {"seeds": []}})
    assert read_report(run).changes is None
    (run / "winner.json").unlink()
    assert "differs from" not in terminal(read_report(run))
