"""The report as one HTML file that loads nothing: style, script and drawings are in it."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from archdsl.cost import count
from archdsl.files import write_text
from archdsl.json_types import Json
from archdsl.language.document import Spec
from archdsl.render import agreement_texts as agreements
from archdsl.render import library_texts
from archdsl.render import provenance_texts as provenances
from archdsl.render import report_texts as texts
from archdsl.render.diff import diff_text
from archdsl.render.page.drawings import front_plot, prediction_plot
from archdsl.render.page.library_drawings import exchanges_svg, library_plot
from archdsl.render.prose import command_words
from archdsl.render.texts import clock, printable
from archdsl.render.tree import show_text
from archdsl.search.report.facts import Report
from archdsl.search.report.library import LibraryLines

_HERE = Path(__file__).parent
Value = TypeVar("Value")


def html(report: Report) -> str:
    """The page."""
    style, script = ((_HERE / f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    winner, library = report.winner, report.library
    return (
        _environment()
        .get_template("page.html")
        .render(
            report=report,
            style=Markup(style),  # files of this package; whatever comes from a run is escaped
            script=Markup(script),
            policy=_policy(script),
            longer={trial.hash: trial for trial in report.longer},
            front_plot=front_plot(report),
            prediction_plot=prediction_plot(report.prediction),
            library_plot=None if library is None else library_plot(library, report.budget_ms),
            exchanges=_exchanges(winner, library),
            winner_graph="" if winner is None else show_text(winner, count(winner)),
            changes="" if report.changes is None else diff_text(report.changes.diff),
            winner_document=None if winner is None else winner.to_json(),
        )
    )


def _exchanges(winner: Spec | None, library: LibraryLines | None) -> Markup:
    """The winner's graph with the library's blocks, whose texts are escaped; empty where it has none."""
    if winner is None or library is None or not library.exchanged:
        return Markup()
    return Markup(exchanges_svg(winner, library))


def write_html(report: Report, path: Path) -> None:
    """The page to a file, replaced as a whole.

    Raises:
        OSError: it cannot be written.
    """
    write_text(path, html(report))


@cache
def _environment() -> Environment:
    """Whatever a template prints is escaped, and control characters are shown; an unknown name is an error."""
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "clock": clock,
        "document": _document,
        "rounded": _rounded,
        "words": command_words,
    }
    environment.globals |= {
        "texts": texts,
        "agreements": agreements,
        "provenances": provenances,
        "library_texts": library_texts,
    }
    return environment


def _shown(value: Value) -> Value | str:
    """Control characters of a text as their escapes; anything else as it is."""
    return printable(value, "\n") if isinstance(value, str) and not isinstance(value, Markup) else value


def _document(value: Json) -> str:
    """Indented JSON."""
    return json.dumps(value, indent=1, ensure_ascii=False)


def _rounded(value: Json) -> Json:
    """The same with four digits of each number that is not whole: what a person reads; report --json has them all."""
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _policy(script: str) -> str:
    """Nothing is loaded, and no script runs but the one that is in the page."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
