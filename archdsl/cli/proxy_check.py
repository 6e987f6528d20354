"""`archdsl proxy-check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Unpack

import typer

from archdsl.cli import output
from archdsl.cli.exit_codes import FAILED, INTERRUPTED
from archdsl.cli.options import Json, Threads, number, whole
from archdsl.cli.search_options import Device, Space, StaticBudgets, TrainingData
from archdsl.cli.units import seconds
from archdsl.cli.unpacking import with_options


class ProxyCheckOptions(StaticBudgets, TrainingData):
    """The options of a check, by the names of `archdsl.search.proxy_check.api.checked_proxies`."""

    device: Device
    threads: Threads
    networks: Annotated[
        int | None,
        typer.Option(
            "--networks", metavar="N", parser=whole(100_000), help="networks to draw from the space (default: 32)"
        ),
    ]
    seeds: Annotated[
        int | None,
        typer.Option(
            "--seeds", metavar="N", parser=whole(100), help="trainings of each network, one per seed (default: 2)"
        ),
    ]
    epochs: Annotated[
        float | None,
        typer.Option(
            "--epochs",
            metavar="X",
            parser=number(0.01, 1000),
            help="epochs of a full training (default: 6, or on small data as many as make 450 steps)",
        ),
    ]
    time_s: Annotated[
        float | None,
        typer.Option(
            "--time",
            metavar="TIME",
            parser=seconds,
            help="stop after this time and report what is done, e.g. 1h (default: no limit)",
        ),
    ]
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="folder of the check (default: runs/TIME-SPACE-check)")
    ]
    resume: Annotated[bool, typer.Option("--resume", help="continue the check in --out")]
    earlier: Annotated[
        list[str],
        typer.Option(
            "--from",
            metavar="DIR",
            help="an earlier check (folder or JSON) to fit the predictor on as well; may be repeated",
        ),
    ]


@with_options(ProxyCheckOptions, resume=False, earlier=())
def command(space: Space = None, *, as_json: Json = False, **options: Unpack[ProxyCheckOptions]) -> None:
    """Check how well zero-cost scores and short training rank the networks of a space, against several full trainings.

    Networks are drawn evenly from the space, within its budgets on params, MACs and memory, and each is trained with
    several seeds. Rank correlations are printed with intervals, beside those of params and MACs, and
    beside the correlation of two seeds, which no score can be expected to exceed. If the accuracies differ by no more
    than noise, nothing is ranked and the exit code is 1.

    \b
    Examples:
      archdsl proxy-check lit-dat-64 --macs-budget 15M --time 1h
      archdsl proxy-check my_space.json --networks 48 --seeds 3 --out runs/check
      archdsl proxy-check my_space.json --out runs/check --resume --json
      archdsl proxy-check my_space.json --seed 1 --from runs/check
    """
    from archdsl.render.console import stdout
    from archdsl.render.proxy_check import report
    from archdsl.search.proxy_check.api import checked_proxies

    result = checked_proxies(space, **options, say=output.remark)
    if as_json:
        output.result_json(result.as_json())
    else:
        stdout().print(report(result), soft_wrap=True)
    if result.interrupted:
        raise typer.Exit(INTERRUPTED)
    if result.judgement.refused:
        raise typer.Exit(FAILED)
