"""A report's page on a telephone: nothing is scrolled sideways but tables and code, each in its box."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archdsl.render.page.page import html
from archdsl.search.report import read_report
from tests.support.browser import NEEDS_CHROMIUM, widths
from tests.support.reported import copied_run, edit, edit_records

pytestmark = NEEDS_CHROMIUM
PHONE = 390

run = pytest.fixture(copied_run)


@pytest.mark.parametrize("window", [PHONE, 1200])
def test_the_page_is_as_wide_as_its_window(window: int, run: Path, tmp_path: Path) -> None:
    measured = widths(html(read_report(run)), window, tmp_path)
    assert measured == (window, window, [])


def test_names_and_reasons_without_a_blank_are_broken(run: Path, tmp_path: Path) -> None:
    def long(record: dict[str, Any]) -> dict[str, Any]:
        spec = record["spec"] | {"name": "name_" + "x" * 300}
        return record | {"spec": spec, "reason": "reason_" + "y" * 300}

    edit_records(run, long)
    edit(run, "verdict.json", lambda verdict: verdict | {"name": "z" * 300, "reason": "r" * 300})
    edit(run, "run.json", lambda settings: settings | {"space": settings["space"] | {"name": "s" * 300}})
    measured = widths(html(read_report(run)), PHONE, tmp_path)
    assert measured == (PHONE, PHONE, [])


def test_a_page_with_a_wide_element_is_seen_to_be_wide(run: Path, tmp_path: Path) -> None:
    planted = html(read_report(run)).replace("<h2>Front</h2>", '<h2 id="wide" style="width: 500px">Front</h2>')
    measured = widths(planted, PHONE, tmp_path)
    assert measured.content > measured.window == PHONE
    assert measured.wide == ["h2#wide"]
