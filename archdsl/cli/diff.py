"""`archdsl diff`."""

from __future__ import annotations

from typing import Annotated

import typer

from archdsl.cli import output
from archdsl.cli.documents import open_specs
from archdsl.cli.options import Json, Runtime, Set, Threads, check_device

Before = Annotated[
    str, typer.Argument(metavar="SPEC", help="the first backbone: zoo name, or path of a .json or .safetensors file")
]
After = Annotated[str, typer.Argument(metavar="OTHER", help="the backbone that it is compared with")]
Measure = Annotated[bool, typer.Option("--measure", help="also measure the latencies side by side")]
Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="cpu|cuda|cuda:N",
        callback=check_device,
        help="with --measure: device to measure on (default: cuda if there is one)",
    ),
]


def command(
    before: Before,
    after: After,
    assignments: Set = None,
    measure: Measure = False,
    device: Device = None,
    runtime: Runtime = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Show how one backbone differs from another: nodes added, removed and changed, field by field, and the costs.

    Nodes are matched by their ids. --set changes OTHER alone, so that a change can be looked at before it is written.
    With --measure, latencies of both are measured side by side, as `archdsl bench` does at batch 1 in float32.

    \b
    Examples:
      archdsl diff litv2_s lit_s
      archdsl diff litv2_s litv2_s --set stage3.depth=4 --json
    """
    if not measure and any(option is not None for option in (device, runtime, threads)):
        raise typer.BadParameter("--device, --runtime and --threads are for --measure", param_hint="'--measure'")
    from archdsl.inspecting.diff import diff

    (old,), (new,) = open_specs([before], None), open_specs([after], assignments)
    difference = diff(old, new)
    measured = None
    if measure:
        from archdsl.cli.bench import default_runtime, labelled
        from archdsl.latency import compare

        runtime = runtime or default_runtime(device, "float32")
        output.remark(f"measuring {old.name} and {new.name}: batch 1, float32, {runtime} ...")
        items = labelled([old, new], [before, after])
        with output.progress(as_json) as progress:
            measured = compare(
                items, device, runtime=runtime, threads=threads, on_wait=progress.note, on_progress=progress
            )
    if as_json:
        latency = {} if measured is None else {"latency": measured.as_json()}
        return output.result_json({**difference.as_json(), **latency})
    from archdsl.render.console import stdout
    from archdsl.render.diff import diff_page

    stdout().print(diff_page(difference, measured), soft_wrap=True)
    return None
