"""`archdsl search`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Unpack

import typer

from archdsl.cli import options, output
from archdsl.cli.options import Json, Mode, chosen_role, chosen_sampler, runtime_of, whole
from archdsl.cli.search_options import (
    Conditions,
    Epochs,
    ParentLatencyBudgets,
    Space,
    StaticBudgets,
    TrainingData,
    Workers,
)
from archdsl.cli.units import Share, memory, seconds
from archdsl.cli.unpacking import with_options
from archdsl.search.request import Role, Sampler


class SearchOptions(ParentLatencyBudgets, StaticBudgets, Conditions, TrainingData):
    """The options of a search, by the names of `archdsl.search.run`."""

    parent: Annotated[
        str | None,
        typer.Option(
            "--parent",
            metavar="FILE|none",
            help="trained network, a .safetensors of archdsl, whose weights candidates inherit; none: they begin with "
            "initial weights (default: the parent of the space; where it names none and --time is 15m or more, one of "
            "its seeds is trained first)",
        ),
    ]
    library: Annotated[
        Path | None,
        typer.Option(
            "--library",
            metavar="FOLDER|none",
            help="trained replacements for the parent's blocks, made by archdsl library build; networks made of them "
            "for the budget are tried first (default: without a space of your own, and with --time of 5m or more, the "
            "search trains them itself)",
        ),
    ]
    target: options.Target
    epochs: Epochs
    sampler: Annotated[
        Sampler | None,
        typer.Option(
            "--sampler",
            metavar="auto|gp|tpe|nsga2|evolution|random",
            parser=chosen_sampler,
            help="search algorithm (default: auto)",
        ),
    ]
    trials: Annotated[
        int | None,
        typer.Option(
            "--trials",
            metavar="N",
            parser=whole(1_000_000),
            help="stop after measuring this many distinct networks (default: no limit)",
        ),
    ]
    time_s: Annotated[
        float | None,
        typer.Option(
            "--time",
            metavar="TIME",
            parser=seconds,
            help="stop after this much wall-clock time in all, e.g. 6m (default: 10m; with --trials, no limit)",
        ),
    ]
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="folder of the run (default: runs/TIME-SPACE)")
    ]
    resume: Annotated[bool, typer.Option("--resume", help="continue the run in --out")]
    earlier: Annotated[
        list[str],
        typer.Option(
            "--from",
            metavar="DIR",
            help="reuse the trainings of an earlier run where they fit; they do not count as trials; may be repeated",
        ),
    ]
    also: Annotated[
        list[str],
        typer.Option(
            "--also",
            metavar="SPEC",
            help="a network of your own (or timm:NAME) to try first; it need not be in the space; may be repeated",
        ),
    ]
    workers: Workers
    trial_time_s: Annotated[
        float | None,
        typer.Option(
            "--trial-time",
            metavar="TIME",
            parser=seconds,
            help="a trial that takes longer counts as failed, e.g. 10m (default: no limit)",
        ),
    ]
    trial_memory: Annotated[
        float | None,
        typer.Option(
            "--trial-memory",
            metavar="SIZE",
            parser=memory,
            help="host memory that one worker may use, e.g. 4GiB (default: an equal share; on a GPU no limit)",
        ),
    ]
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            metavar="URL",
            help="database through which machines share the study: postgresql://USER@HOST/DB (default: none)",
        ),
    ]
    role: Annotated[
        Role,
        typer.Option(
            "--role",
            metavar="train|measure|both",
            parser=chosen_role,
            show_default=False,
            help="what this machine does in a shared study (default: both)",
        ),
    ]


@with_options(SearchOptions, resume=False, earlier=(), also=(), workers=1, role="both")
def command(space: Space = None, *, mode: Mode = None, as_json: Json = False, **options: Unpack[SearchOptions]) -> None:
    """Search for the most accurate backbone inside a latency budget, as measured on this device.

    A candidate is trained only if it is faster than the gate: the budget minus this machine's noise. At the end the
    winner's file is measured again in fresh processes. PASS: its latency is inside the budget, with its whole
    confidence interval. FAIL: no network that was tried is inside the budget, or none of those inside is better than
    always predicting the largest class. UNSURE: the measurement leaves it open. Only PASS has exit code 0.

    The run's folder holds the winner's files (winner.json, winner.safetensors, run_winner.py, README.txt; in ONNX
    Runtime and OpenVINO also winner.onnx), verdict.json, front.json, trials.jsonl and report.html. `archdsl report`
    prints the report, with the commands that go on from here.

    \b
    Examples:
      archdsl search --latency-budget 2ms
      archdsl search lit-dat-64 --latency-budget 1.5ms --time 6m --out runs/first
      archdsl search --throughput-budget 300/s --batch 16 --time 6m
      archdsl search --out runs/first --resume --time 20m
      archdsl search my_space.json --out runs/second --from runs/first
      archdsl search --latency-budget 2ms --also my_net.json
      archdsl search --latency-budget 2ms --workers 2
      archdsl search --latency-budget 2ms --storage postgresql://me@host/studies --role train
    """
    from archdsl.render.console import stderr, stdout
    from archdsl.render.search import Display, how_to_continue, summary
    from archdsl.search.api import run

    if options["resume"] and options["out"] is None:
        raise typer.BadParameter("give the run's folder with --out", param_hint="'--resume'")
    options["runtime"] = runtime_of(options["runtime"], mode)
    share = options["latency_budget_ms"]
    if isinstance(share, Share):
        options["latency_budget_ms"] = None
    with Display(stderr(), output.talk().quiet) as display:
        result = run(
            space, **options, latency_share=float(share) if isinstance(share, Share) else None, watcher=display
        )
    if as_json:
        output.result_json(result.as_json())
    else:
        stdout().print(summary(result), soft_wrap=True)
    if result.is_stored or result.interrupted:
        output.remark(how_to_continue(result))
    if result.interrupted:
        raise typer.Exit(130)
    if result.verdict.verdict in ("FAIL", "UNSURE"):
        raise typer.Exit(1)
