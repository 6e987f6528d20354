"""The report of a run as a page: it loads nothing, can be read by all, and obeys nothing that stands in the files."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from archdsl.cli import main
from archdsl.numbers import accuracy_text
from archdsl.render.page.page import html
from archdsl.search.report import read_report
from tests.support.places import ROOT
from tests.support.reported import RECORDED, Page, copied_run, edit, edit_records, recorded

NASTY = "</title></script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>"

run = pytest.fixture(copied_run)


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
        assert accuracy_text(trial.accuracy, trial.proxy.error) in label
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


def test_a_folder_that_is_named_like_markup_is_escaped_and_quoted(run: Path) -> None:
    folder = run.rename(run.with_name("<b onclick=x>'&\""))
    page = Page(html(read_report(folder)))
    assert not page.all("b")
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert shlex.quote(str(folder)) in "".join(page.texts)


def test_no_template_turns_escaping_off() -> None:
    templates = sorted((ROOT / "archdsl" / "render" / "page" / "templates").iterdir())
    assert len(templates) == 7
    for template in templates:
        assert not re.search(r"\bsafe\b|autoescape|Markup", template.read_text(encoding="utf-8")), template


def test_every_file_that_the_page_is_made_of_is_in_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["archdsl.render.page"]
    folder = ROOT / "archdsl" / "render" / "page"
    files = {path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert len(files) >= 7
    assert files == {path for pattern in patterns for path in folder.glob(pattern)}
