"""`archdsl report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archdsl.cli import output
from archdsl.cli.options import Json

if TYPE_CHECKING:
    from archdsl.search.report import Report

Run = Annotated[Path, typer.Argument(metavar="RUN", help="folder of a search")]
Html = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="file of the page (default: RUN/report.html)")
]
Csv = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", help="also write every measurement to this file, one per row")
]


def command(run: Run, html: Html = None, csv: Csv = None, as_json: Json = False) -> None:
    """Show the report of a search in the terminal, and write it as one self-contained HTML page.

    The report has the Pareto front, how many networks passed each step, the importance of each parameter, proxy
    accuracy against final accuracy, the error of the latency prediction, the winner's graph and how it differs from
    its parent or seed, the origin of every number, and the commands that reproduce the run. The report of an
    interrupted run covers what was done. With --json the facts are printed instead, and a page is written only if
    --html names it.

    \b
    Examples:
      archdsl report runs/first
      archdsl report runs/first --html first.html --csv first.csv
      archdsl report runs/first --json > first.json
    """
    from archdsl.search.report import read_report, write_csv

    report = read_report(run)
    if csv is not None:
        write_csv(report, csv)
        output.remark(f"wrote {csv}: every measurement, one per row")
    if as_json:
        output.result_json(report.as_json())
    else:
        from archdsl.render.console import stdout
        from archdsl.render.report import report_text

        stdout().print(report_text(report), soft_wrap=True)
    page = html or (None if as_json else run / "report.html")
    if page is not None:
        _write(report, page, is_required=html is not None)


def _write(report: Report, page: Path, is_required: bool) -> None:
    """The page; a run's folder that cannot be written is no failure unless the page was asked for."""
    from archdsl.render.page.page import write_html

    try:
        write_html(report, page)
    except OSError as error:
        if is_required:
            raise
        return output.remark(f"cannot write {page}: {error.strerror or error}; give another file with --html")
    return output.remark(f"wrote {page}: this report as an HTML page")
