"""`archdsl lut`: tables of latencies, built, shown and used to predict."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, TypedDict, Unpack

import typer

from archdsl.cli import output
from archdsl.cli.bench import Device
from archdsl.cli.documents import open_specs
from archdsl.cli.options import (
    Json,
    Mode,
    Names,
    Optimize,
    Set,
    Stat,
    batch_option,
    check_dtype,
    check_runtime,
    rounds_option,
    runtime_of,
    threads_option,
    whole,
)
from archdsl.cli.unpacking import with_options

if TYPE_CHECKING:
    from archdsl import json_types
    from archdsl.language.document import Spec
    from archdsl.latency.tables import Table

SpaceName = Annotated[str, typer.Argument(metavar="SPACE", help="name or path of a search space")]


def _dtype_of_parts(value: str | None) -> str | None:
    if value == "int8":
        rule = "a table is of parts that run in PyTorch, which has no int8"
        raise typer.BadParameter(f"{rule}; measure whole networks: archdsl bench SPEC --dtype int8")
    return check_dtype(value)


class TableOptions(TypedDict):
    """What a table holds for, by the names of `archdsl.latency.tables.build_tables`."""

    device: Device
    batch: Annotated[
        int,
        batch_option("images per batch (default: 1)"),
    ]
    dtype: Annotated[
        str,
        typer.Option(
            "--dtype",
            metavar="float32|float16|bfloat16",
            callback=_dtype_of_parts,
            show_default=False,
            help="data type (default: float32)",
        ),
    ]
    runtime: Annotated[
        str | None,
        typer.Option(
            "--runtime",
            metavar="eager|graph",
            callback=check_runtime,
            help="what executes the blocks (default: graph on a GPU, eager on a CPU)",
        ),
    ]
    threads: Annotated[
        int | None,
        threads_option("CPU threads (default: all physical cores)"),
    ]
    stat: Stat
    optimize: Optimize


class BuildOptions(TableOptions):
    """How a table is measured."""

    calibration: Annotated[
        int,
        typer.Option(
            "--calibration",
            metavar="N",
            parser=whole(10_000),
            show_default=False,
            help="whole networks to calibrate the prediction on (default: 16)",
        ),
    ]
    held_out: Annotated[
        int,
        typer.Option(
            "--held-out",
            metavar="N",
            parser=whole(10_000),
            show_default=False,
            help="whole networks to determine the prediction error on (default: 32)",
        ),
    ]
    rounds: Annotated[
        int,
        rounds_option("rounds per pass; each measures every block and network once (default: 40)"),
    ]
    again: Annotated[bool, typer.Option("--again", help="measure again the blocks that were measured before")]


app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def lut() -> None:
    """Predict latencies from the times of blocks, each measured once on this device.

    A table holds for one space, device, thread count and set of versions; with any other it is refused. It states its
    own prediction error. A search with the same batch, dtype, runtime and statistic uses the table of the thread count
    that it measures on.
    """


@app.command(short_help="Measure the blocks of a space, and state the prediction error.")
@with_options(
    BuildOptions, batch=1, dtype="float32", optimize=False, calibration=16, held_out=32, rounds=40, again=False
)
def build(space: SpaceName, *, mode: Mode = None, as_json: Json = False, **options: Unpack[BuildOptions]) -> None:
    """Measure every distinct block of a space once, calibrate on whole networks, and test on others.

    A table holds for one runtime: times of eager networks say nothing about compiled ones. While it is built, no other
    archdsl process measures on the device. Times are kept, so that for a second space only its new blocks are measured.

    \b
    Examples:
      archdsl lut build lit-dat-64 --device cpu --threads 1
      archdsl lut build lit-dat-224 --device cuda --batch 64 --runtime graph --json
    """
    from archdsl.load.spaces import load_space

    options["runtime"] = runtime_of(options["runtime"], mode)
    opened = load_space(space)
    from archdsl.latency import default_device, default_stat
    from archdsl.latency.tables import build_tables

    tables = build_tables(opened, **options, notify=output.remark)
    _print(tables[options["stat"] or default_stat(options["device"] or default_device())], as_json)


@app.command(short_help="Show a table: its error, its blocks, and what it was measured on.")
@with_options(TableOptions, batch=1, dtype="float32", optimize=False)
def show(space: SpaceName, *, mode: Mode = None, as_json: Json = False, **options: Unpack[TableOptions]) -> None:
    """Show the latency table of a space; a table of other versions is refused.

    \b
    Examples:
      archdsl lut show lit-dat-64 --device cpu
      archdsl lut show lit-dat-64 --device cpu --stat min --json
    """
    options["runtime"] = runtime_of(options["runtime"], mode)
    _print(_table(space, options), as_json)


@app.command(short_help="Predict latencies from a table.")
@with_options(TableOptions, batch=1, dtype="float32", optimize=False)
def predict(
    space: SpaceName,
    specs: Names,
    assignments: Set = None,
    *,
    mode: Mode = None,
    as_json: Json = False,
    **options: Unpack[TableOptions],
) -> None:
    """Predict the latency of backbones whose blocks are in the table of SPACE, and their images per second.

    \b
    Examples:
      archdsl lut predict lit-dat-64 runs/first/winner.json
      archdsl lut predict lit-dat-64 mine.json --set stage3.depth=4 --json
    """
    options["runtime"] = runtime_of(options["runtime"], mode)
    backbones = open_specs(specs, assignments)
    table = _table(space, options)
    predicted = [
        (spec.name, _predicted(table, spec, name, assignments)) for spec, name in zip(backbones, specs, strict=True)
    ]
    if as_json:
        setting, accuracy = table.setting._asdict(), table.accuracy._asdict()
        rows: list[json_types.Json] = [
            {"name": n, "ms": ms, "images_per_second": table.images_per_second(ms)} for n, ms in predicted
        ]
        origin = table.provenance.as_json()
        return output.result_json({"items": rows, "setting": setting, "accuracy": accuracy, "provenance": origin})
    from archdsl.render.console import stdout
    from archdsl.render.lut import predictions

    stdout().print(predictions(predicted, table), soft_wrap=True)
    return None


def _predicted(table: Table, spec: Spec, name: str, assignments: list[str] | None) -> float:
    """The ms per batch of a backbone.

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


def _table(name: str, options: TableOptions) -> Table:
    """The kept table of a space for a setting on this machine."""
    from archdsl.load.spaces import load_space

    space = load_space(name)
    from archdsl.latency import Setting
    from archdsl.latency.tables import load_here

    setting = Setting.checked(options["device"], options["batch"], options["dtype"], options["runtime"])
    return load_here(space, setting, options["threads"], options["stat"], name, options["optimize"])


def _print(table: Table, as_json: bool) -> None:
    if as_json:
        return output.result_json(table.as_json())
    from archdsl.render.console import stdout
    from archdsl.render.lut import table_sheet

    stdout().print(table_sheet(table), soft_wrap=True)
    return None
