"""`archdsl bench`."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archdsl.cli import output
from archdsl.cli.documents import open_specs
from archdsl.cli.options import Json, Mode, Runtime, Set, Stat, Threads, check_device, check_dtype, runtime_of, whole
from archdsl.cli.units import seconds

if TYPE_CHECKING:
    from archdsl.language.document import Spec
    from archdsl.latency import Comparison
    from archdsl.latency.layers import LayerBench
    from archdsl.render.console import Renderable


Specs = Annotated[
    list[str] | None, typer.Argument(metavar="SPEC", help="zoo names or paths of JSON documents; none with --layers")
]
Layers = Annotated[
    bool, typer.Option("--layers", help="mixers alone instead, as LITv2's authors timed them: 14x14, 768 channels")
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="cpu|cuda|cuda:N",
        callback=check_device,
        help="device to measure on (default: cuda if there is one)",
    ),
]
Batch = Annotated[
    int | None,
    typer.Option("--batch", metavar="N", parser=whole(65536), help="images per batch (default: 1, with --layers 64)"),
]
Dtype = Annotated[
    str,
    typer.Option(
        "--dtype", metavar="float32|float16|bfloat16", callback=check_dtype, help="data type of weights and images"
    ),
]
Rounds = Annotated[
    int | None,
    typer.Option(
        "--rounds", metavar="N", parser=whole(100_000), help="samples of each (default: 40, with --layers 12)"
    ),
]
Limit = Annotated[
    float | None,
    typer.Option(
        "--time-limit",
        metavar="TIME",
        parser=seconds,
        help="no round begins after this time, e.g. 90s (default: no limit, with --layers 40s)",
    ),
]
Out = Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="write the JSON there too")]


def command(
    specs: Specs = None,
    assignments: Set = None,
    layers: Layers = False,
    device: Device = None,
    batch: Batch = None,
    dtype: Dtype = "float32",
    runtime: Runtime = None,
    mode: Mode = None,
    threads: Threads = None,
    stat: Stat = None,
    rounds: Rounds = None,
    time_limit: Limit = None,
    as_json: Json = False,
    out: Out = None,
) -> None:
    """Measure latencies side by side: milliseconds a batch, with their spread and what they were measured on.

    Weights are random, of one seed. Each round measures every SPEC, and the first one twice (A/A), which shows what
    this run cannot tell apart. A latency is marked unstable if it drifts by more than 5 %,
    if fewer than ten or fewer than a quarter of its rounds were undisturbed, or if the process had under half a core.

    With --layers it measures single mixers, and prints images a second beside those that LITv2's authors published.

    \b
    Examples:
      archdsl bench litv2_s lit_s
      archdsl bench litv2_s --device cpu --batch 8 --rounds 20 --json -o litv2_s.json
      archdsl bench --layers --device cpu --threads 1
    """
    _check_subjects(specs, assignments, layers)
    runtime = runtime_of(runtime, mode)
    items = {} if layers else labelled(open_specs(specs or [], assignments), specs or [])
    _check_writable(out)
    from archdsl.runtimes.setting import WAITING

    os.environ.update({**WAITING, **os.environ})  # torch is imported after this
    pace = {name: value for name, value in (("rounds", rounds), ("time_limit_s", time_limit)) if value is not None}
    setting = {"device": device, "dtype": dtype, "runtime": runtime, "threads": threads, "stat": stat}
    if batch is not None:
        setting["batch"] = batch
    found = _measured_layers(setting, pace) if layers else _measured(items, setting, pace)
    if out is not None:
        out.write_text(json.dumps(found.as_json(), indent=2) + "\n", encoding="utf-8")
    if as_json:
        return output.result_json(found.as_json())
    from archdsl.render.console import stdout

    stdout().print(_table(found), soft_wrap=True)
    return None


def _measured(items: dict[str, Spec], setting: dict[str, Any], pace: dict[str, Any]) -> Comparison:
    from archdsl.latency import compare

    output.remark(f"measuring {', '.join(items)}: {_setting_text({'batch': 1, **setting})} ...")
    return compare(items, **setting, **pace, on_wait=output.remark)


def _measured_layers(setting: dict[str, Any], pace: dict[str, Any]) -> LayerBench:
    from archdsl.latency.layers import BATCH, LAYERS, bench_layers

    names = ", ".join(layer.name for layer in LAYERS)
    output.remark(f"measuring {names}: {_setting_text({'batch': BATCH, **setting})} ...")
    return bench_layers(**setting, **pace, on_wait=output.remark)


def _table(found: Comparison | LayerBench) -> Renderable:
    from archdsl.latency.layers import LayerBench
    from archdsl.render.bench import bench_table
    from archdsl.render.layers import layers_table

    return layers_table(found) if isinstance(found, LayerBench) else bench_table(found)


def _setting_text(setting: dict[str, Any]) -> str:
    """The setting as it is measured, what was not said filled in; refused here already where it cannot be."""
    from archdsl.latency import Setting

    batch, dtype, runtime = Setting.checked(*(setting[name] for name in ("device", "batch", "dtype", "runtime")))[1:]
    return f"batch {batch}, {dtype}, {runtime}"


def _check_subjects(specs: list[str] | None, assignments: list[str] | None, layers: bool) -> None:
    """Specs or layers, one of them."""
    if layers and (specs or assignments):
        what = specs[0] if specs else "--set"
        raise typer.BadParameter(f"it takes no SPEC and no --set; got {what}", param_hint="'--layers'")
    if not layers and not specs:
        raise typer.BadParameter("missing: name one or more, or ask for --layers", param_hint="'SPEC'")


def labelled(specs: list[Spec], arguments: list[str]) -> dict[str, Spec]:
    """The specs by name; those of one name by what was written, or numbered where that is the same too."""
    names, items = Counter(spec.name for spec in specs), dict[str, Any]()
    for spec, argument in zip(specs, arguments, strict=True):
        label = plain = spec.name if names[spec.name] == 1 else argument
        number = 1
        while label in items:
            number += 1
            label = f"{plain} #{number}"
        items[label] = spec
    return items


def _check_writable(path: Path | None) -> None:
    """Found out before minutes of measuring, not after."""
    if path is None:
        return
    try:
        path.open("a").close()
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be written: {error.strerror}", param_hint="'--out'") from None
