"""A recorded search, and its report in all its forms."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from archdsl.render.page.page import html
from archdsl.render.report import report_text
from archdsl.search.report import Report, read_report
from archdsl.search.report.sheet import csv_text
from tests.support.places import GOLDEN
from tests.support.screens import text_of

RECORDED = GOLDEN / "run"
"""A real search on a busy machine: 18 networks, 7 of them trained, two trained longer, one measured again."""
VOID = {"meta"}


def copied_run(tmp_path: Path) -> Path:
    """A copy of the recorded run, to be damaged, as a fixture."""
    return Path(shutil.copytree(RECORDED, tmp_path / "run"))


@cache
def recorded() -> Report:
    return read_report(RECORDED)


def terminal(report: Report, width: int = 100) -> str:
    return text_of(report_text(report), width)


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
