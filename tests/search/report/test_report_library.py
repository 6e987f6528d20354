"""The report of a search with a library: which blocks it replaced in the winner, and its front."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from archdsl.deriving.library.covering import DerivedBlock
from archdsl.deriving.library.folder import read_library
from archdsl.deriving.library.solutions import Derived, Solver
from archdsl.language.canonical import canonical_hash
from archdsl.render.library_texts import FRONT, REPLACED, kl_text
from archdsl.render.page.page import html
from archdsl.search.report import Report, read_report
from archdsl.search.report.library import LibraryLines, front_of_run
from tests.support.browser import NEEDS_CHROMIUM, widths
from tests.support.library_runs import SHARE, library_run, solver_of
from tests.support.reported import Page, edit, edit_records, terminal
from tests.support.screens import too_wide


class Recorded(NamedTuple):
    """The recorded run with a library, read once: nothing in its folder is changed."""

    folder: Path
    solver: Solver
    derived: Derived
    report: Report

    @property
    def lines(self) -> LibraryLines:
        assert self.report.library is not None
        return self.report.library


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("library")
    solver = solver_of(folder)
    derived = library_run(folder, solver)
    return Recorded(folder, solver, derived, read_report(folder / "run"))


def changed(recorded: Recorded, folder: Path) -> Path:
    """A copy of the run, to be changed; its library is not there."""
    return Path(shutil.copytree(recorded.folder / "run", folder / "run"))


def section_of(text: str, title: str, following: str) -> str:
    return text[text.index(title) : text.index(following)]


def test_the_winners_blocks_are_told_with_what_they_replace(recorded: Recorded) -> None:
    lines, derived, solver = recorded.lines, recorded.derived, recorded.solver
    assert [(block.stage, block.first, block.span) for block in lines.blocks] == [each[:3] for each in derived.blocks]
    assert len(lines.exchanged) == len(derived.exchanged) > 0
    assert lines.kl == pytest.approx(derived.kl)
    assert lines.saved_ms == pytest.approx(solver.whole["latency"] - derived.costs["latency"])
    for block in lines.blocks:
        assert len(block.replaced) == (block.span if block.is_exchanged else 0)
    entries = {entry.key: entry for entry in solver.entries}
    for block, each in zip(lines.exchanged, derived.exchanged, strict=True):
        assert each.key is not None
        assert block.block["type"] == entries[each.key].block["type"]
        assert block.kl == entries[each.key].kl
        assert block.saved_ms == pytest.approx(solver.saved(each.key)["latency"])


def test_the_front_tells_measured_networks_from_those_of_which_only_the_kl_is_known(recorded: Recorded) -> None:
    lines, derived = recorded.lines, recorded.derived
    (trained,) = [line for line in lines.front if line.accuracy is not None]
    assert trained.is_winner
    assert trained.accuracy == 0.059
    assert trained.cost == pytest.approx(derived.costs["latency"])
    assert trained.limit is not None
    assert trained.cost <= trained.limit <= SHARE * lines.parent_cost
    assert trained.kl == pytest.approx(derived.kl)
    assert len(lines.front) > 3
    section = section_of(terminal(recorded.report), FRONT, "Where candidates ended")
    assert re.findall(r"^◆ .* 5\.9 % ", section, re.MULTILINE)
    assert len(re.findall(r"^○ ", section, re.MULTILINE)) == len(lines.front) - 1
    assert f"measured on validation images in this run: 1 of {len(lines.front)}." in " ".join(section.split())


def test_a_trained_network_beside_the_front_has_no_budget(recorded: Recorded, tmp_path: Path) -> None:
    run, solver = changed(recorded, tmp_path), recorded.solver
    on_it = {line.hash for line in recorded.lines.front}
    alone = [solver.named([DerivedBlock(each.stage, each.first, each.span, each.key)]) for each in solver.entries]
    other = next(spec for spec in alone if canonical_hash(spec) not in on_it)
    blocks = solver.blocks_of(other)
    assert blocks is not None
    expected = solver.of_blocks(blocks)
    trained = "5f0fc5ad137d5fe9"

    def renamed(record: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(record | {"spec": other.to_json()}).replace(trained, canonical_hash(other))
        inherited = text.replace('"proxy": {', '"proxy": {"inherited_blocks": [["stem", "<- stem", "2 copied"]], ')
        return record if record["hash"] != trained else json.loads(inherited)

    edit_records(run, renamed)
    library = read_report(run).library
    assert library is not None
    (line,) = [line for line in library.front if line.limit is None]
    assert (line.hash, line.accuracy, line.is_winner) == (canonical_hash(other), 0.052, False)
    assert (line.kl, line.cost) == pytest.approx((expected.kl, expected.costs["latency"]))
    assert "Rows without a budget are other networks" in " ".join(terminal(read_report(run)).split())


def test_the_parents_own_accuracy_stands_on_the_front(recorded: Recorded, tmp_path: Path) -> None:
    run = changed(recorded, tmp_path)
    accuracy = {"accuracy": 0.9, "error": 0.01, "images": 100}
    parent = {"name": "theirs", "sha256": "a" * 64, "validation": accuracy, "latency_ms": 7.5}
    edit(run, "verdict.json", lambda verdict: verdict | {"parent": parent})
    library = read_report(run).library
    assert library is not None
    assert (library.front[0].name, library.front[0].accuracy, library.front[0].latency) == ("theirs", 0.9, 7.5)
    whole, too_slow = library.front[0].hash, "f00f912d380fe303"  # the parent is tried too, and not trained

    def tried(record: dict[str, Any]) -> dict[str, Any]:
        return record | ({"hash": whole} if record["hash"] == too_slow else {})

    edit_records(run, tried)
    again = read_report(run).library
    assert again is not None
    assert (again.front[0].accuracy, again.front[0].latency) == (0.9, 7.5)


@pytest.mark.parametrize("width", [40, 60, 100])
def test_the_terminal_draws_the_replacements_on_the_graph(width: int, recorded: Recorded) -> None:
    text = terminal(recorded.report, width)
    front = section_of(text, FRONT, "Where candidates ended")
    section = section_of(text, REPLACED, "How the winner differs")
    assert not too_wide(front + section, width)
    for node in recorded.derived.spec.nodes:
        assert f"● {node.id}" in section
    for block in recorded.lines.exchanged:
        assert kl_text(block.kl) in section
        assert f"{block.saved_ms:.2f}" in section
    assert "how much the parent's output changes" in " ".join(section.split())


def test_the_page_draws_them_too(recorded: Recorded) -> None:
    page, others = html(recorded.report), len(recorded.lines.front) - 1
    parsed = Page(page)
    blocks = [attributes for attributes in parsed.all("rect") if attributes.get("class") in ("new", "own")]
    assert [each["class"] == "new" for each in blocks] == [each.key is not None for each in recorded.derived.blocks]
    marks = [attributes.get("class") for attributes in parsed.all("g")]
    assert marks.count("point untrained") == others
    assert page.count("only KL</td>") == others


def test_the_report_needs_no_library(recorded: Recorded, tmp_path: Path) -> None:
    """Which may be moved or deleted."""
    run = changed(recorded, tmp_path)
    edit(run, "library.json", lambda kept: kept | {"library": str(tmp_path / "gone")})
    library = read_report(run).library
    assert library == replace(recorded.lines, folder=str(tmp_path / "gone"))


def test_the_front_of_a_library_in_the_folder_of_a_run_is_by_latency(recorded: Recorded, tmp_path: Path) -> None:
    run = changed(recorded, tmp_path)
    shutil.copytree(recorded.folder / "library", run / "library")
    front = front_of_run(read_library(run / "library"))
    assert front is not None
    assert (front.metric, front.parent) == ("latency", recorded.lines.parent_cost)
    assert front_of_run(read_library(recorded.folder / "library")) is None
    edit(run, "library.json", lambda kept: json.loads(json.dumps(kept).replace('"kl": 0.07', '"kl": 0.08')))
    assert front_of_run(read_library(run / "library")) is None


def test_without_a_latency_the_front_is_by_macs(tmp_path: Path) -> None:
    library_run(tmp_path, solver_of(tmp_path, has_latency=False))
    report = read_report(tmp_path / "run")
    assert report.library is not None
    assert (report.library.metric, report.library.saved_ms) == ("macs", None)
    text = " ".join(terminal(report).split())
    assert "saves MACs" in text
    assert "a share of the parent's MACs, since no latency is known" in text


def test_a_winner_that_did_not_inherit_is_not_called_one_of_replacements(recorded: Recorded, tmp_path: Path) -> None:
    run = changed(recorded, tmp_path)
    edit_records(run, lambda record: json.loads(json.dumps(record).replace("inherited_blocks", "other")))
    text = terminal(read_report(run))
    assert REPLACED not in text
    assert FRONT in text


def test_a_run_of_an_earlier_version_has_no_such_sections(recorded: Recorded, tmp_path: Path) -> None:
    run = changed(recorded, tmp_path)
    edit(run, "library.json", lambda kept: {key: kept[key] for key in ("library", "networks")})
    report = read_report(run)
    assert (report.library, report.problems) == (None, [])
    assert FRONT not in html(report)


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: kept | {"library": 3},
        lambda kept: json.loads(json.dumps(kept).replace('"stage2"', '"stage9"')),
        lambda kept: json.loads(json.dumps(kept).replace('"type": "mlp"', '"type": "of_a_plugin"')),
    ],
)
def test_a_damaged_file_is_named(damage: Callable[[Any], Any], recorded: Recorded, tmp_path: Path) -> None:
    run = changed(recorded, tmp_path)
    edit(run, "library.json", damage)
    report = read_report(run)
    assert report.library is None
    assert [problem.startswith("library.json cannot be read: ") for problem in report.problems] == [True]


def test_the_json_has_the_same_facts(recorded: Recorded) -> None:
    facts = json.loads(json.dumps(recorded.report.as_json(), allow_nan=False))["library"]
    assert facts["metric"] == "latency"
    assert sum(bool(block["replaced"]) for block in facts["blocks"]) == len(recorded.derived.exchanged)
    assert [point["is_winner"] for point in facts["front"]].count(True) == 1


@NEEDS_CHROMIUM
def test_the_page_fits_a_telephone(recorded: Recorded, tmp_path: Path) -> None:
    assert widths(html(recorded.report), 390, tmp_path) == (390, 390, [])
