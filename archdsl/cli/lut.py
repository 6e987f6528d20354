"""`archdsl lut`: tables of latencies, built, shown and asked."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archdsl.cli import output
from archdsl.cli.bench import Device, Dtype, Mode
from archdsl.cli.documents import open_specs
from archdsl.cli.options import Json, Names, Set, chosen, whole

if TYPE_CHECKING:
    from archdsl.latency.tables import Table
    from archdsl.schema.document import Spec
    from archdsl.schema.space import Space


def _stats() -> tuple[str, ...]:
    from archdsl.latency.stats import STATS

    return tuple(STATS)


SpaceName = Annotated[str, typer.Argument(metavar="SPACE", help="a space's name or path")]
Batch = Annotated[int, typer.Option("--batch", metavar="N", parser=whole(65536), help="images a batch")]
Threads = Annotated[
    int | None,
    typer.Option("--threads", metavar="N", parser=whole(1024), help="on a CPU; default: physical cores"),
]
Stat = Annotated[
    str | None,
    typer.Option(
        "--stat",
        metavar="min|p10|p50|p90",
        callback=chosen("statistic", _stats),
        help="default: p10 on a CPU, p50 on a GPU",
    ),
]
Calibration = Annotated[
    int, typer.Option("--calibration", metavar="N", parser=whole(10_000), help="whole networks to calibrate on")
]
HeldOut = Annotated[
    int, typer.Option("--held-out", metavar="N", parser=whole(10_000), help="whole networks to find the error on")
]
Rounds = Annotated[int, typer.Option("--rounds", metavar="N", parser=whole(100_000), help="samples of each, a pass")]
Again = Annotated[bool, typer.Option("--again", help="time parts anew that were timed before")]

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def lut() -> None:
    """Predict latencies from the times of parts, each measured once on this device.

    A table is of a space and a setting, tells its own error, and is refused when the device or a version is another.
    A search uses it under the same setting; on a CPU without --threads it uses that of one thread, better with that of
    all cores beside it.
    """


@app.command(short_help="Time the parts of a space, and publish the error of predicting with them.")
def build(
    space: SpaceName,
    device: Device = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    mode: Mode = "eager",
    threads: Threads = None,
    calibration: Calibration = 16,
    held_out: HeldOut = 32,
    rounds: Rounds = 40,
    again: Again = False,
    as_json: Json = False,
) -> None:
    """Time every distinct block of a space once, calibrate on whole networks, and test on others.

    Mode is part of the promise: a table of eager networks says nothing of compiled ones. Nobody else measures on the
    device meanwhile. Times are kept, so that a second space pays for its new blocks only.

    \b
    Examples:
      archdsl lut build lit-dat-64 --device cpu --threads 1
      archdsl lut build lit-dat-224 --device cuda --batch 64 --mode graph --json
    """
    from archdsl.latency.setting import WAITING
    from archdsl.spaces import load_space

    opened = load_space(space)
    os.environ.update({**WAITING, **os.environ})  # torch is imported after this
    from archdsl.latency import default_device, default_stat
    from archdsl.latency import lease as leases
    from archdsl.latency.tables import build_tables

    leases.tell = output.remark
    pace: Any = {"calibration": calibration, "held_out": held_out, "rounds": rounds, "again": again}
    found = build_tables(opened, device, batch, dtype, mode, threads, **pace, told=output.remark)
    _print(found[default_stat(device or default_device())], as_json)


@app.command(short_help="Show a table: its error, its parts, and what it was measured on.")
def show(
    space: SpaceName,
    device: Device = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    mode: Mode = "eager",
    threads: Threads = None,
    stat: Stat = None,
    as_json: Json = False,
) -> None:
    """Show the table of a space for a setting; refused where it is stale.

    \b
    Examples:
      archdsl lut show lit-dat-64 --device cpu
      archdsl lut show lit-dat-64 --device cpu --stat min --json
    """
    _print(_table(space, device, batch, dtype, mode, threads, stat), as_json)


@app.command(short_help="Predict latencies from a table.")
def predict(
    space: SpaceName,
    specs: Names,
    assignments: Set = None,
    device: Device = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    mode: Mode = "eager",
    threads: Threads = None,
    stat: Stat = None,
    as_json: Json = False,
) -> None:
    """Predict the latency of backbones whose blocks are in the table of SPACE, and the images a second at that batch.

    \b
    Examples:
      archdsl lut predict lit-dat-64 runs/first/winner.json
      archdsl lut predict lit-dat-64 mine.json --set stage3.depth=4 --json
    """
    backbones = open_specs(specs, assignments)
    table = _table(space, device, batch, dtype, mode, threads, stat)
    found = [
        (spec.name, _predicted(table, spec, name, assignments)) for spec, name in zip(backbones, specs, strict=True)
    ]
    if as_json:
        facts = {"setting": table.setting, "accuracy": table.accuracy._asdict(), "provenance": table.provenance}
        rows = [{"name": n, "ms": ms, "images_per_second": table.images_per_second(ms)} for n, ms in found]
        return output.result_json({"items": rows, **facts})
    from archdsl.render.console import stdout
    from archdsl.render.lut import predictions

    stdout().print(predictions(found, table))
    return None


def _predicted(table: Table, spec: Spec, name: str, assignments: list[str] | None) -> float:
    """The ms a batch of a backbone.

    Raises:
        MeasureError: the table has no time for a part of it; the message has the command that measures it.
    """
    from archdsl.errors import MeasureError
    from archdsl.latency.tables.table import options_text

    try:
        return table.predict(spec)
    except MeasureError as error:
        sets = [text for assignment in assignments or () for text in ("--set", assignment)]
        command = f"{shlex.join(['archdsl', 'bench', name, *sets])}{options_text(table.setting)}"
        raise MeasureError(f"{error}: {command}") from None


def _table(
    name: str, device: str | None, batch: int, dtype: str, mode: str, threads: int | None, stat: str | None
) -> Table:
    """The kept table of a space for a setting on this machine."""
    from archdsl.latency.setting import WAITING
    from archdsl.spaces import load_space

    space: Space = load_space(name)
    os.environ.update({**WAITING, **os.environ})
    from archdsl.latency import Setting
    from archdsl.latency.tables import load_here

    return load_here(space, Setting.checked(device, batch, dtype, mode), threads, stat, name)


def _print(table: Table, as_json: bool) -> None:
    if as_json:
        return output.result_json(table.as_json())
    from archdsl.render.console import stdout
    from archdsl.render.lut import table_sheet

    stdout().print(table_sheet(table))
    return None
