"""The report of a run: in the terminal, as a page, as CSV and JSON; also of runs that were cut off or damaged."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import optuna
import pytest
from conftest import FOLDER, Golden
from optuna.storages import RDBStorage
from rich.console import Console
from searching import Machine, quicken, search

from archdsl.cli import main
from archdsl.render.report import report_text
from archdsl.search import runner
from archdsl.search.api import settings_of
from archdsl.search.report import Report, html, read_report
from archdsl.search.report.agreement import agreement
from archdsl.search.report.reproduce import search_command
from archdsl.search.report.sheet import COLUMNS, csv_text
from archdsl.search.settings import Settings
from archdsl.search.study import local as study
from archdsl.spaces import load_space

RECORDED = FOLDER / "run"
"""A real search on a busy machine: 18 networks, 7 of them trained, two trained longer, one measured again."""
VOID = {"meta"}
NASTY = "</title></script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A copy of the recorded run, to be damaged."""
    return Path(shutil.copytree(RECORDED, tmp_path / "run"))


@cache
def recorded() -> Report:
    return read_report(RECORDED)


def terminal(report: Report, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(report_text(report), soft_wrap=True)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]  # of a StringIO


def every_form(report: Report) -> str:
    """The report in all its forms, one after the other; the page is checked."""
    page = html(report)
    Page(page)
    return "\n".join([terminal(report), page, csv_text(report), json.dumps(report.as_json(), allow_nan=False)])


class Page(HTMLParser):
    """A page whose tags must nest; what is in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def edit(folder: Path, name: str, change: Callable[[Any], Any]) -> None:
    """One JSON file of a run, changed."""
    path = folder / name
    path.write_text(json.dumps(change(json.loads(path.read_text()))), encoding="utf-8")


def edit_records(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    lines = (folder / "trials.jsonl").read_text().splitlines()
    (folder / "trials.jsonl").write_text("".join(json.dumps(change(json.loads(line))) + "\n" for line in lines))


# ------------------------------------------------------------------------------------------------------- its forms


def test_the_terminal_shows_every_section_at_a_fixed_width(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER.parent.parent)
    golden("report", terminal(read_report("tests/golden/run")))


def test_prose_and_tables_keep_to_the_width(run: Path) -> None:
    lines = terminal(read_report(run), 60).splitlines()
    shown = lines[lines.index("Front") : lines.index("How to reproduce")]
    plot = re.compile(r".*[│└].*| +0 +[\d.]+ ms")
    assert max(len(line) for line in shown if not plot.fullmatch(line)) <= 60


def test_reading_a_run_changes_nothing_in_its_folder(run: Path) -> None:
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in run.iterdir()}
    read_report(run)
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in run.iterdir()} == before


def test_the_page_loads_nothing_and_runs_no_script_but_its_own() -> None:
    text = html(recorded())
    page = Page(text)
    assert not {"link", "img", "iframe", "object", "base", "form"} & {tag for tag, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name in ("src", "href", "action")]
    assert not re.search(r"url\(|@import|https?://", text)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = str(page.all("meta")[1]["content"])
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_the_page_is_in_a_language_has_headings_in_order_and_suits_light_and_dark() -> None:
    page = Page(html(recorded()))
    assert page.all("html") == [{"lang": "en"}]
    headings = [tag for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == "h1"
    assert set(headings[1:]) == {"h2"}
    assert all("scope" in attributes for attributes in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table"))
    style = "".join(page.texts)
    assert "color-scheme: light dark" in style
    assert "prefers-color-scheme: dark" in style


def test_a_point_of_the_front_tells_its_overrides_and_numbers_to_eye_and_ear_and_keyboard() -> None:
    report = recorded()
    points = [attributes for attributes in Page(html(report)).all("g") if attributes.get("tabindex") == "0"]
    assert len(points) == len(report.front)
    for trial in report.front:
        (label,) = [str(point["aria-label"]) for point in points if trial.name in str(point["aria-label"])]
        assert f"p10 ~{trial.latency:.2f}" in label
        assert f"{trial.accuracy:.1%} +-{trial.error:.1%}" in label
        assert "w=16" in label
        assert trial.overrides in label


def test_the_page_shows_the_winner_as_archdsl_show_does_and_its_document(capsys: pytest.CaptureFixture[str]) -> None:
    text = "".join(Page(html(recorded())).texts)
    assert main(["show", str(RECORDED / "winner.json")]) == 0
    rows = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines() if line.startswith("●")]
    assert len(rows) > 5
    assert all(row in text for row in rows)
    winner = json.loads((RECORDED / "winner.json").read_text())
    assert f'"name": "{winner["name"]}"' in text


def test_what_stands_in_the_files_is_escaped(run: Path) -> None:
    def nasty(record: dict[str, Any]) -> dict[str, Any]:
        record["spec"]["name"] = record["reason"] = NASTY
        for facts in record["provenance"].values():
            if isinstance(facts, dict):
                facts |= {"data": NASTY, "fidelity": NASTY, "provenance": {"device_name": NASTY, NASTY: NASTY}}
        return record

    edit_records(run, nasty)
    edit(run, "run.json", lambda settings: settings | {"data": NASTY, "stat": NASTY})
    edit(run, "run.json", lambda settings: settings | {"space": settings["space"] | {"name": NASTY}})
    edit(run, "verdict.json", lambda verdict: verdict | {"name": NASTY, "reason": NASTY, "device": {"os": NASTY}})
    page = Page(html(read_report(run)))
    assert len(page.all("script")) == 1
    assert not page.all("img")
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert NASTY in "".join(page.texts)


def test_control_characters_are_shown_not_obeyed(run: Path) -> None:
    edit_records(run, lambda record: record | {"reason": "\x1b[31mred\x07", "outcome": "failed"})
    report = read_report(run)
    assert "\x1b" not in terminal(report) + html(report)
    assert "\\x1b[31mred\\x07" in terminal(report)


def test_the_csv_has_a_row_for_every_measurement_with_its_provenance() -> None:
    report = recorded()
    rows = list(csv.DictReader(io.StringIO(csv_text(report))))
    lines = [json.loads(line) for line in (RECORDED / "trials.jsonl").read_text().splitlines()]
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == len(lines) + len(report.verdict.attempts)
    assert [row["rung"] for row in rows[-3:]] == ["train_longer", "train_longer", "measured_again"]
    for row, line in zip(rows, lines, strict=False):
        timing, proxy = line["provenance"]["latency"], line["provenance"].get("proxy", {})
        assert (row["hash"], int(row["params"]), float(row["latency_ms"])) == (
            line["hash"],
            line["params"],
            line["latency"],
        )
        assert row["inside_budget"] == str(line["inside_budget"]).lower()
        assert float(row["p50_ms"]) == timing["p50_ms"]
        assert [float(value) for value in row["readings_ms"].split()] == timing["readings"]
        assert (row["device_name"], row["torch"], row["date"]) == tuple(
            timing["provenance"][name] for name in ("device_name", "torch", "date")
        )
        assert row["accuracy"] == ("" if line["accuracy"] is None else str(line["accuracy"]))
        assert row["proxy_fidelity"] == proxy.get("fidelity", "")


# --------------------------------------------------------------------------------------------------- what it tells


def test_the_ladder_counts_every_candidate_once_and_tells_why() -> None:
    report = recorded()
    ended = {rung.name: rung.ended for rung in report.rungs}
    assert sum(ended.values()) == len(report.trials) + ended["static"] + ended["duplicate"] + ended["predicted"]
    assert ended["static"] == 1
    static = next(rung for rung in report.rungs if rung.name == "static")
    assert static.reasons == [("constraints[0]: the constraint stem.patch == 4 or w <= 32 does not hold", 1)]


def test_a_rank_correlation_comes_with_how_easily_chance_gives_it() -> None:
    assert agreement("x", [(1, 1), (2, 2)]).rho is None
    three = agreement("x", [(1, 1), (2, 2), (3, 3)])
    assert three.n == 3
    assert three.rho == pytest.approx(1.0)
    assert three.chance == pytest.approx(2 / 6)
    many = agreement("x", [(value, -value) for value in range(20)])
    assert many.rho == pytest.approx(-1.0)
    assert many.chance is not None
    assert many.chance < 0.01
    assert agreement("x", [(1, 1), (1, 2), (1, 3)]).chance == 1.0


def test_finalists_are_told_before_and_after_longer_training() -> None:
    pairs = recorded().finals.pairs
    assert [(before.fidelity, after.fidelity) for before, after in pairs] == [
        ("1 epoch of 300 images", "3 epochs of 300 images")
    ] * 2
    assert all(before.hash == after.hash for before, after in pairs)


def test_every_measured_network_is_predicted_from_the_others() -> None:
    report = recorded()
    assert [ms for _, _, ms in report.prediction.points] == [trial.latency for trial in report.trials]
    errors = sorted(abs(guess / ms - 1) for _, guess, ms in report.prediction.points)
    assert report.prediction.largest_error == errors[-1]
    assert report.prediction.agreement is not None
    assert report.prediction.agreement.n == len(errors)


def test_importance_is_told_beside_what_chance_gives_and_left_out_where_there_is_too_little() -> None:
    accuracy, latency = recorded().importance
    assert (accuracy.trials, accuracy.shares) == (7, {})
    assert accuracy.reason == "7 networks have one; below 10 the shares would be chance"
    assert sum(latency.shares.values()) == pytest.approx(1.0)
    assert latency.by_chance is not None
    assert 0 < latency.by_chance < 1
    assert {"w", "d3", "stage3"} <= set(latency.shares)


def test_the_commands_to_reproduce_ask_for_the_same_search(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: dict[str, Any] = {}

    def remember(space: str, **given: Any) -> None:
        asked.update(given, space=space)
        raise KeyboardInterrupt

    monkeypatch.setattr("archdsl.search.api.run", remember)
    monkeypatch.chdir(write_space(recorded(), tmp_path))
    command = dict(recorded().reproduce)["the search"]
    assert main(shlex.split(command)[1:]) == 130
    space = asked.pop("space")
    given = {name: value for name, value in asked.items() if name not in ("out", "resume", "earlier", "watcher")}
    assert settings_of(space, **given) == Settings(**json.loads((RECORDED / "run.json").read_text()))


def write_space(report: Report, folder: Path) -> Path:
    """The folder, with the searched space in it, as the report's first command writes it."""
    first = shlex.split(dict(report.reproduce)["the space, as it was searched"])
    code, file = first[: first.index(">")], first[first.index(">") + 1]
    done = subprocess.run([sys.executable, *code[1:]], capture_output=True, text=True, check=True)
    (folder / file).write_text(done.stdout)
    return folder


def test_a_shipped_space_is_named_and_not_written_out(run: Path) -> None:
    shipped = load_space("lit-dat-64").model_dump(mode="json", by_alias=True, exclude_unset=True)
    edit(run, "run.json", lambda settings: settings | {"space": shipped})
    (what, command), *_ = read_report(run).reproduce
    assert what == "the search"
    assert command.startswith("archdsl search lit-dat-64 ")


def test_a_run_under_a_throughput_budget_is_reproduced_under_it() -> None:
    command = search_command({"latency_budget_ms": 40.0, "throughput_budget": 200.0, "batch": 8}, "x")
    assert command == "archdsl search x --throughput-budget 200/s --batch 8"


@pytest.mark.parametrize("budget", [0.1 + 0.2, 5.0, 1e-3, 1234567.891])
def test_a_budget_keeps_all_its_digits(budget: float) -> None:
    words = shlex.split(search_command({"latency_budget_ms": budget}, "x"))
    assert float(words[words.index("--latency-budget") + 1].removesuffix("ms")) == budget


def test_a_space_of_ones_own_is_written_out_first(run: Path, tmp_path: Path) -> None:
    edit(run, "run.json", lambda settings: settings | {"space": settings["space"] | {"name": "my own; rm -rf"}})
    report = read_report(run)
    name = "my own; rm -rf.json"
    space = json.loads((write_space(report, tmp_path) / name).read_text())
    assert space == json.loads((run / "run.json").read_text())["space"]
    assert shlex.split(dict(report.reproduce)["the search"])[2] == f"./{name}"


# --------------------------------------------------------------------------------------------- damaged and unended


def cut_last_line(run: Path) -> None:
    path = run / "trials.jsonl"
    path.write_bytes(path.read_bytes()[:-40])


def spoil_a_line(run: Path) -> None:
    path = run / "trials.jsonl"
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], b"\xff{not json", b"[1]", *lines[1:]]))


def from_the_future(run: Path) -> None:
    edit_records(
        run, lambda record: record | {"rung": "hologram", "outcome": "fell", "new": {"a": [1]}, "provenance": {"x": 1}}
    )
    edit(
        run,
        "run.json",
        lambda settings: settings | {"storage": "postgresql://x", "space": {"kind": "space", "version": 9}},
    )
    edit(run, "verdict.json", lambda verdict: verdict | {"attempts": [{"how": "laser"}], "more": None})


def without(*names: str) -> Callable[[Path], None]:
    def remove(run: Path) -> None:
        for name in names:
            (run / name).unlink()

    return remove


def garbage(name: str) -> Callable[[Path], None]:
    def spoil(run: Path) -> None:
        (run / name).write_bytes(b"\x00\xffgarbage" * 300)

    return spoil


def no_numbers(run: Path) -> None:
    path = run / "trials.jsonl"
    text = re.sub(r'"(accuracy|latency|p10_ms|params)": [\d.]+', r'"\1": NaN', path.read_text())
    path.write_text(text.replace('"seconds": ', '"seconds": -Infinity, "was": '))


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a last line cut off": (cut_last_line, "trials.jsonl:20: the last line was cut off"),
    "lines that are no records": (spoil_a_line, "trials.jsonl:2: no record"),
    "a later version": (from_the_future, "hologram"),
    "killed before the end": (without("verdict.json", "winner.json", "front.json"), "it has not ended"),
    "no winner": (without("winner.json"), "There is no winner"),
    "no trial": (without("trials.jsonl", "verdict.json", "front.json", "winner.json", "study.db"), "0 trials"),
    "no study": (without("study.db"), "there is no study.db"),
    "no settings": (without("run.json"), "run.json is missing"),
    "no clock": (without("clock.json", "noise.json"), "PASS"),
    "numbers that are none": (no_numbers, "18 trials"),
    **{f"{name} is garbage": (garbage(name), f"{name} cannot be read") for name in ("run.json", "verdict.json")},
    **{f"{name} is garbage": (garbage(name), f"{name} cannot be read") for name in ("front.json", "winner.json")},
    "study.db is garbage": (garbage("study.db"), "study.db cannot be read"),
    "trials.jsonl is garbage": (garbage("trials.jsonl"), "trials.jsonl:1"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_run_is_reported_as_far_as_it_can_be_read(name: str, run: Path) -> None:
    damage, told = DAMAGES[name]
    damage(run)
    assert told in every_form(read_report(run))


@pytest.mark.parametrize("odd", [None, "x", -1, 1e300, [], [{}], {}, {"a": None}, True, "\ud800"], ids=repr)
def test_any_value_in_any_field_gives_a_report(odd: Any, run: Path) -> None:
    (run / "study.db").unlink()
    lines = [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]
    trained = next(line for line in lines if line["rung"] == "train")
    spoilt = [trained | {key: odd} for key in trained]
    for part in ("latency", "proxy"):
        known = trained["provenance"][part]
        spoilt += [trained | {"provenance": trained["provenance"] | {part: known | {key: odd}}} for key in known]
    (run / "trials.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in [*lines[-3:], *spoilt]))
    edit(run, "run.json", lambda settings: dict.fromkeys(settings, odd))
    verdict = json.loads((run / "verdict.json").read_text())
    attempts = [verdict["attempts"][0] | {key: odd} for key in verdict["attempts"][0]]
    edit(run, "verdict.json", lambda verdict: verdict | {"attempts": attempts})
    assert "trials" in every_form(read_report(run))
    edit(run, "verdict.json", lambda verdict: dict.fromkeys(verdict, odd))
    assert "trials" in every_form(read_report(run))


# -------------------------------------------------------------------------------------------- searches and studies


def test_a_search_writes_its_report_and_the_report_of_each_end_holds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    quicken(monkeypatch, tmp_path / "cache")
    search(tmp_path / "passed")
    assert "PASS" in (tmp_path / "passed" / "report.html").read_text()
    search(tmp_path / "failed", latency_budget_ms=0.5, trials=3)
    assert "FAIL  nearest miss" in (tmp_path / "failed" / "report.html").read_text()
    every_form(read_report(tmp_path / "failed"))


def test_an_interrupted_search_is_reported_as_such(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")
    machine = Machine()

    def on_ask(request: dict[str, Any]) -> None:
        if request["do"] == "train" and len(machine.names("train")) == 3:
            machine.on_ask = None
            raise KeyboardInterrupt

    machine.on_ask = on_ask
    search(tmp_path / "run", machine)
    assert "until it was interrupted" in every_form(read_report(tmp_path / "run"))


def test_a_fault_of_the_report_is_told_and_costs_no_result(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")
    told: list[str] = []

    def broken(folder: Path) -> None:
        raise ValueError("of no\nkind")

    monkeypatch.setattr(runner, "read_report", broken)
    result = search(tmp_path / "run", trials=2, watcher=lambda _, line: told.append(line or ""))
    assert result.verdict.passed
    assert told[-1] == "no report.html was written: of no kind"


def test_a_study_carries_what_a_dashboard_shows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")
    monkeypatch.setattr(study, "open_storage", RDBStorage)
    result = search(tmp_path / "run", trials=12)
    found = optuna.load_study(study_name="search", storage=f"sqlite:///{tmp_path}/run/study.db")
    assert found.metric_names == ["proxy accuracy", "latency, ms"]
    assert found.user_attrs["space"] == "tiny"
    assert found.user_attrs["latency budget, ms"] == 6.0
    told = {trial.user_attrs["hash"]: trial.user_attrs for trial in found.trials if "hash" in trial.user_attrs}
    for record in result.records[:12]:
        attributes = told[record["hash"]]
        assert attributes["name"] == record["spec"]["name"]
        assert attributes["latency_ms"] == record["latency"]
        assert attributes.get("accuracy") == record["accuracy"]
        assert attributes.get("reason") == record["reason"]
    report = read_report(tmp_path / "run")
    assert report.refused == ""
    assert report.importance[1].trials == 12
    assert report.importance[1].shares


# ---------------------------------------------------------------------------------------------------- the commands


def test_the_command_prints_the_report_and_writes_the_page(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run)]) == 0
    said = capsys.readouterr()
    assert "PASS  lit-dat-64-" in said.out
    assert said.err == f"{run}/report.html: the same as a page\n"
    Page((run / "report.html").read_text())


def test_the_command_exports_and_with_json_writes_nothing_unasked(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, sheet = tmp_path / "page.html", tmp_path / "sheet.csv"
    assert main(["-q", "report", str(run), "--json", "--csv", str(sheet)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["verdict"]["passed"] is True
    assert facts["trials"][0]["provenance"]["latency"]["provenance"]["torch"]
    assert facts["winner"]["kind"] == "arch"
    assert not (run / "report.html").exists()
    assert len(sheet.read_text().splitlines()) == 22
    assert main(["-q", "report", str(run), "--html", str(page)]) == 0
    assert page.exists()
    assert not (run / "report.html").exists()


def test_a_folder_that_is_no_run_is_wrong_use(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run.parent / "rum")]) == 2
    assert capsys.readouterr().err == f"no such folder: {run.parent}/rum; did you mean 'run'?\n"
    assert main(["report", str(run.parent)]) == 2
    assert "holds no run: run.json and trials.jsonl are not there" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_fails_only_where_it_was_asked_for(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "report.html").mkdir()
    assert main(["report", str(run)]) == 0
    assert "no page was written" in capsys.readouterr().err
    assert main(["report", str(run), "--html", str(run / "none" / "page.html")]) == 1
    assert "none" in capsys.readouterr().err


def test_the_style_and_the_script_of_the_page_are_in_the_package() -> None:
    project = tomllib.loads((FOLDER.parent.parent / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["setuptools"]["package-data"]["archdsl.search.report"] == ["*.css", "*.js"]


def test_the_recorded_settings_are_those_of_today() -> None:
    Settings.model_validate_json((RECORDED / "run.json").read_bytes())
