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
from archdsl.cli.options import Json, Names, Set, check_device, check_dtype, check_mode, whole
from archdsl.cli.units import seconds

if TYPE_CHECKING:
    from archdsl.schema.document import Spec


Device = Annotated[
    str | None,
    typer.Option("--device", metavar="cpu|cuda|cuda:N", callback=check_device, help="default: cuda if there is one"),
]
Batch = Annotated[int, typer.Option("--batch", metavar="N", parser=whole(65536), help="images a batch")]
Dtype = Annotated[
    str,
    typer.Option("--dtype", metavar="float32|float16|bfloat16", callback=check_dtype, help="of weights"),
]
Mode = Annotated[
    str,
    typer.Option("--mode", metavar="eager|graph|compile", callback=check_mode, help="how torch runs it"),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", metavar="N", parser=whole(1024), help="on a CPU; default: its physical cores"),
]
Rounds = Annotated[int, typer.Option("--rounds", metavar="N", parser=whole(100_000), help="samples of each")]
Limit = Annotated[
    float | None, typer.Option("--time-limit", metavar="TIME", parser=seconds, help="no round begins later, as 90s")
]
Out = Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="write the JSON there too")]


def command(
    specs: Names,
    assignments: Set = None,
    device: Device = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    mode: Mode = "eager",
    threads: Threads = None,
    rounds: Rounds = 40,
    time_limit: Limit = None,
    as_json: Json = False,
    out: Out = None,
) -> None:
    """Measure latencies side by side: milliseconds a batch, with their spread and what they were measured on.

    Weights are random, of one seed. Each round measures every SPEC, and the first one twice (A/A), which shows what
    this run cannot tell apart. What drifts or is starved is called unstable.

    \b
    Examples:
      archdsl bench litv2_s lit_s
      archdsl bench litv2_s --device cpu --batch 8 --rounds 20 --json -o litv2_s.json
    """
    items = labelled(open_specs(specs, assignments), specs)
    _check_writable(out)
    output.remark(f"measuring {', '.join(items)}: batch {batch}, {dtype}, {mode} ...")
    from archdsl.latency import compare
    from archdsl.latency import lease as leases
    from archdsl.latency.setting import WAITING

    leases.tell = output.remark
    os.environ.update({**WAITING, **os.environ})  # torch is imported after this
    pace: Any = {"rounds": rounds, "time_limit_s": time_limit}
    found = compare(items, device, batch, dtype, mode, threads, **pace)
    if out is not None:
        out.write_text(json.dumps(found.as_json(), indent=2) + "\n", encoding="utf-8")
    if as_json:
        return output.result_json(found.as_json())
    from archdsl.render.bench import bench_table
    from archdsl.render.console import stdout

    stdout().print(bench_table(found))
    return None


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
