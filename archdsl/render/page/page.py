"""The report as one HTML file that loads nothing: style, script and drawings are in it."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from archdsl.files import write_text
from archdsl.render.page.markup import Markup, element, together
from archdsl.render.page.sections import sections
from archdsl.render.report_texts import condition_lines, heading, state_text, verdict_line
from archdsl.search.report.facts import Report

_HERE = Path(__file__).parent


def html(report: Report) -> str:
    """The page."""
    style, script = ((_HERE / f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    look = {"PASS": " pass", "FAIL": " fail", "UNSURE": " unsure"}.get(report.verdict.word, "")
    parts = [
        element("h1", f"Search of {report.space}"),
        element("p", heading(report)),
        element("p", state_text(report), class_="dim"),
        element("p", verdict_line(report), class_=f"verdict{look}"),
        *(element("p", line, class_="dim") for line in condition_lines(report)),
        *(element("section", element("h2", title), content) for title, content in sections(report)),
    ]
    head = together(
        [
            Markup('<meta charset="utf-8">'),
            Markup(f'<meta http-equiv="Content-Security-Policy" content="{_policy(script)}">'),
            Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
            element("title", f"{report.space}: {report.folder}"),
            element("style", Markup(style)),
        ]
    )
    body = element("body", element("main", together(parts)), element("script", Markup(script)))
    return f"<!DOCTYPE html>\n{element('html', element('head', head), body, lang='en')}\n"


def write_html(report: Report, path: Path) -> None:
    """The page to a file, replaced as a whole.

    Raises:
        OSError: it cannot be written.
    """
    write_text(path, html(report))


def _policy(script: str) -> str:
    """Nothing is loaded, and no script runs but the one that is in the page."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
