"""`archdsl bench`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archdsl.cli import output
from archdsl.cli.documents import open_specs
from archdsl.cli.options import (
    Json,
    Mode,
    Optimize,
    Runtime,
    Set,
    Stat,
    Target,
    Threads,
    batch_option,
    check_dtype,
    device_option,
    rounds_option,
    runtime_of,
)
from archdsl.cli.units import seconds

if TYPE_CHECKING:
    from archdsl.language.document import Spec
    from archdsl.latency import Comparison, Pace, Setting
    from archdsl.latency.layers import LayerBench
    from archdsl.render.console import Renderable


Specs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SPEC", help="zoo names, or paths of .json, .safetensors or .onnx files; none with --layers"
    ),
]
Layers = Annotated[
    bool,
    typer.Option(
        "--layers",
        help="measure single mixers (attention, convolution) instead of backbones, as LITv2's authors do: "
        "maps of 14x14 positions and 768 channels",
    ),
]
Device = Annotated[
    str | None,
    device_option("measure on"),
]
Batch = Annotated[
    int | None,
    batch_option("images per batch (default: 1; with --layers, 64)"),
]
Dtype = Annotated[
    str,
    typer.Option(
        "--dtype",
        metavar="float32|float16|bfloat16|int8",
        callback=check_dtype,
        show_default=False,
        help="data type; int8 in onnxruntime and openvino (default: float32)",
    ),
]
Features = Annotated[
    bool,
    typer.Option("--features-only", help="measure the form for dense prediction, which gives maps and has no head"),
]
Rounds = Annotated[
    int | None,
    rounds_option("rounds; each measures every network once (default: 40; with --layers, 12)"),
]
Limit = Annotated[
    float | None,
    typer.Option(
        "--time-limit",
        metavar="TIME",
        parser=seconds,
        help="start no round after this time, e.g. 90s (default: no limit; with --layers, 40s)",
    ),
]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="FILE", help="also write the result to this file, as JSON")
]


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
    features_only: Features = False,
    optimize: Optimize = False,
    target: Target = None,
    rounds: Rounds = None,
    time_limit: Limit = None,
    as_json: Json = False,
    out: Out = None,
) -> None:
    """Measure latencies side by side: milliseconds per batch, their spread, and the conditions they hold for.

    Weights are random, from a fixed seed; an .onnx file is measured as it is, in ONNX Runtime by default. The networks
    take turns: each round measures every SPEC once and the first one twice (A/A), which shows how large a difference
    this run cannot detect. Ratios use only rounds in which neither network was disturbed; with fewer than ten such
    rounds no ratio is printed. A network that is measured alone, as for the verdict of a search, usually has a lower
    latency. A latency is marked unstable if it drifts by more than 5 %, if fewer than ten or fewer than a quarter of
    its rounds were undisturbed, or if the process had less than half a core.

    With --dtype int8, float32 is measured as well. With float16 and bfloat16 the largest difference of the outputs from
    float32 is printed. --optimize measures the inference form of each network. No accuracy is printed, since the
    weights are random. With --layers, single mixers are measured, and their images per second are printed beside those
    that the authors of LITv2 published.

    \b
    Examples:
      archdsl bench litv2_s lit_s
      archdsl bench litv2_s --device cpu --batch 8 --rounds 20 --json -o litv2_s.json
      archdsl bench --layers --device cpu --threads 1
    """
    _check_subjects(specs, assignments, layers, target, optimize)
    runtime = runtime_of(runtime, mode)
    items = {} if layers else labelled([_opened(spec, assignments) for spec in specs or []], specs or [])
    if any(isinstance(item, Path) for item in items.values()):
        changes = {"'--set'": assignments, "'--features-only'": features_only, "'--optimize'": optimize}
        if wrong := next((name for name, is_asked in changes.items() if is_asked), None):
            raise typer.BadParameter("an exported file cannot be changed; give its spec", param_hint=wrong)
        device, runtime = device or "cpu", runtime or "onnxruntime"
    _check_writable(out)
    from archdsl.latency import compare
    from archdsl.latency.layers import BATCH, LAYERS, bench_layers
    from archdsl.latency.measuring import where_to_measure

    if runtime is None and not layers and target is None:
        runtime = default_runtime(device, dtype)
    there, setting = where_to_measure(target, device, batch or (BATCH if layers else 1), dtype, runtime)
    names = ", ".join([layer.name for layer in LAYERS] if layers else items)
    exporting = ", after an export that takes seconds per network" if setting.executor.runs_files else ""
    on = f", on {there.url}" if there is not None else ""
    output.remark(f"measuring {names}: batch {setting.batch}, {setting.dtype}, {setting.runtime}{on}{exporting} ...")
    pace = _pace(rounds, time_limit)

    from archdsl.render.console import stdout

    def compared(asked: Setting) -> Comparison:
        with output.progress(as_json) as progress:
            return compare(
                items,
                *asked,
                threads,
                features_only=features_only,
                optimize=optimize,
                stat=stat,
                on_wait=progress.note,
                on_progress=progress,
                target=target,
                **pace,
            )

    result: Comparison | LayerBench
    beside: Comparison | None = None
    if layers:
        with output.progress(as_json) as progress:
            result = bench_layers(*setting, threads, stat=stat, on_wait=progress.note, on_progress=progress, **pace)
    else:
        result = compared(setting)
        if setting.dtype == "int8" and not any(isinstance(item, Path) for item in items.values()):
            output.remark("measuring the same in float32 ...")
            beside = compared(setting._replace(dtype="float32"))
    errors = {} if layers else _errors(items, setting, features_only, optimize)
    facts = result.as_json() | ({} if beside is None else {"float32": beside.as_json()})
    facts |= {"dtype_errors": {**errors}} if errors else {}
    if out is not None:
        out.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    if as_json:
        return output.result_json(facts)
    stdout().print(_table(result), soft_wrap=True)
    if errors:
        output.lines(*_error_lines(errors, setting.dtype))
    if beside is not None:
        stdout().print(_table(beside), soft_wrap=True)
    return None


def _errors(
    items: Mapping[str, Spec | Path], setting: Setting, features_only: bool, optimize: bool
) -> dict[str, float]:
    """How far half precision lies from float32, by name; a file is held to its network when it is exported."""
    from archdsl.latency.precision import computes_bfloat16, largest_difference

    if setting.dtype not in ("float16", "bfloat16") or setting.executor.runs_files:
        return {}
    if setting.dtype == "bfloat16" and not computes_bfloat16(setting.device):
        output.remark("this CPU has no instructions for bfloat16, which is usually slower than float32 then")
    specs = {name: item for name, item in items.items() if not isinstance(item, Path)}
    return {name: largest_difference(spec, setting, features_only, optimize) for name, spec in specs.items()}


def _error_lines(errors: Mapping[str, float], dtype: str) -> list[str]:
    from archdsl.numbers import plain_text

    told = ", ".join(f"{name} {plain_text(error, 2)}" for name, error in errors.items())
    return [f"Largest difference from float32, as a share of the largest output, {dtype}: {told}."]


def default_runtime(device: str | None, dtype: str) -> str:
    """The runtime of backbones where none is named; it is printed with its reason."""
    from archdsl.latency import checked_device, default_device
    from archdsl.runtimes.setting import DTYPES, deployment_runtime

    default = deployment_runtime(checked_device(device or default_device()), DTYPES[dtype])
    output.remark(str(default))
    return default.name


def _pace(rounds: int | None, time_limit_s: float | None) -> Pace:
    """What is asked for; what is measured has defaults of its own."""
    pace: Pace = {}
    if rounds is not None:
        pace["rounds"] = rounds
    if time_limit_s is not None:
        pace["time_limit_s"] = time_limit_s
    return pace


def _table(result: Comparison | LayerBench) -> Renderable:
    from archdsl.latency.layers import LayerBench
    from archdsl.render.bench import bench_table
    from archdsl.render.layers import layers_table

    return layers_table(result) if isinstance(result, LayerBench) else bench_table(result)


def _check_subjects(
    specs: list[str] | None, assignments: list[str] | None, layers: bool, target: str | None, optimize: bool
) -> None:
    """Specs or layers, one of them."""
    if layers and (specs or assignments):
        what = specs[0] if specs else "--set"
        raise typer.BadParameter(f"it takes no SPEC and no --set; got {what}", param_hint="'--layers'")
    if layers and target:
        raise typer.BadParameter("single mixers are measured on this machine alone", param_hint="'--target'")
    if layers and optimize:
        raise typer.BadParameter("single mixers have no inference form", param_hint="'--optimize'")
    if not layers and not specs:
        raise typer.BadParameter("give at least one backbone, or --layers", param_hint="'SPEC'")


def _opened(argument: str, assignments: list[str] | None) -> Spec | Path:
    """An exported file as it is, else a backbone with fields set."""
    from archdsl.load.sources import EXPORTED, UnknownName

    if not argument.endswith(EXPORTED):
        return open_specs([argument], assignments)[0]
    if not Path(argument).is_file():
        raise UnknownName(f"no such file: {argument}")
    return Path(argument)


def labelled(subjects: Sequence[Spec | Path], arguments: list[str]) -> dict[str, Spec | Path]:
    """Specs by their names, files by their paths; those of one name by what was written, or numbered where that is the
    same too.
    """
    own = [str(subject) if isinstance(subject, Path) else subject.name for subject in subjects]
    names = Counter(own)
    items: dict[str, Spec | Path] = {}
    for subject, name, argument in zip(subjects, own, arguments, strict=True):
        label = plain = name if names[name] == 1 else argument
        number = 1
        while label in items:
            number += 1
            label = f"{plain} #{number}"
        items[label] = subject
    return items


def _check_writable(path: Path | None) -> None:
    """Found out before minutes of measuring, not after."""
    if path is None:
        return
    try:
        path.open("a").close()
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be written: {error.strerror}", param_hint="'--out'") from None
