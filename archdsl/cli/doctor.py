"""`archdsl doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Unpack

import typer

from archdsl.cli import output
from archdsl.cli.documents import placed
from archdsl.cli.exit_codes import FAILED
from archdsl.cli.options import Json, Mode, Target, runtime_of, whole
from archdsl.cli.search_options import Conditions, Epochs, LatencyBudgets, Space, StaticBudgets, TrainingData, Workers
from archdsl.cli.units import Share, seconds
from archdsl.cli.unpacking import with_options

if TYPE_CHECKING:
    from archdsl.search.doctor.doctor import Examination
    from archdsl.search.request import SettingsRequest

NoMeasure = Annotated[
    bool, typer.Option("--no-measure", help="count only: measure no latency and estimate no search time")
]
Limit = Annotated[
    float | None,
    typer.Option(
        "--time",
        metavar="TIME",
        parser=seconds,
        help="time to spend on this examination, e.g. 30s (default: about 60s; 120s in a runtime that exports)",
    ),
]
Trials = Annotated[
    int | None,
    typer.Option(
        "--trials",
        metavar="N",
        parser=whole(1_000_000),
        help="estimate the time of a search of N trials (default: 100)",
    ),
]


class DoctorOptions(LatencyBudgets, StaticBudgets, Conditions, TrainingData):
    """The search that is to come, by the names of `archdsl.search.request.SettingsRequest`."""

    target: Target
    epochs: Epochs


def _search_command(examination: Examination, request: SettingsRequest, space: str) -> str:
    """The search that was asked about; where no latency is bounded, with the budget that half of the networks meet."""
    from archdsl.search.report.commands import search_command

    named, kept = request.named, examination.kept_budgets
    if kept and examination.settings.budgets.latency_ms is None:
        half = min(kept, key=lambda budget: abs(budget.share - 0.5))
        named["latency_budget_ms"] = float(f"{half.budget_ms:.2g}")
    return search_command({**named, "trains_parent": True, "fits_library": True}, space)  # it decides on both by itself


@with_options(DoctorOptions)
def command(
    space: Space = None,
    *,
    trials: Trials = None,
    workers: Workers = 1,
    time: Limit = None,
    mode: Mode = None,
    no_measure: NoMeasure = False,
    as_json: Json = False,
    **options: Unpack[DoctorOptions],
) -> None:
    """Examine a search space before the first trial: its size, costs, unused alternatives, budgets and search time.

    Latencies are measured on some networks and predicted for the others; the error of the prediction is printed.
    Without a latency budget it prints the budgets that 20, 50 and 80 % of the networks meet; with one, the share of the
    networks that meet it. If no network meets the budgets, feasible budgets are printed and the exit code is 1.

    \b
    Examples:
      archdsl doctor lit-dat-64 --latency-budget 2ms
      archdsl doctor my_space.json --throughput-budget 200/s --batch 8 --trials 50
      archdsl doctor lit-dat-64 --no-measure --json
    """
    from archdsl.render.console import stdout
    from archdsl.render.doctor import report
    from archdsl.search.defaults import default_note, default_space, settings_of
    from archdsl.search.doctor.dead import dead_value_problem
    from archdsl.search.doctor.doctor import as_json as facts
    from archdsl.search.doctor.doctor import examine
    from archdsl.search.request import SettingsRequest

    space = space or default_space("cpu" if options["target"] else options["device"])
    options["runtime"] = runtime_of(options["runtime"], mode)
    if isinstance(options["latency_budget_ms"], Share):
        raise typer.BadParameter(
            "a share of a parent's latency is for search --parent; give milliseconds, e.g. 5ms",
            param_hint="'--latency-budget'",
        )
    request = SettingsRequest(**options)
    settings = settings_of(space, request)
    if (note := default_note(settings, request)) is not None:
        output.remark(note)
    examination = examine(
        settings,
        measure=not no_measure,
        time_s=time,
        trials=trials,
        workers=workers,
        say=output.remark,
    )
    dead = placed([dead_value_problem(value) for value in examination.dead], space)
    if as_json:
        output.result_json(facts(examination, [problem.as_json() for problem in dead]))
    else:
        stdout().print(report(examination, [str(problem) for problem in dead]), soft_wrap=True)
        if examination.is_feasible:
            output.remark(f"to search this space: {_search_command(examination, request, space)}")
    if not examination.is_feasible:
        raise typer.Exit(FAILED)
