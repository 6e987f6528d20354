"""`archdsl export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archdsl.cli import output
from archdsl.cli.documents import open_specs
from archdsl.cli.import_ import check_new, check_out
from archdsl.cli.models import open_model
from archdsl.cli.options import Force, Json, Name, Optimize, Set, batch_option, whole

if TYPE_CHECKING:
    from archdsl.runtimes.exported import Exported

Format = Annotated[
    str | None,
    typer.Option(
        "--format", metavar="onnx|pt2|python|safetensors", help="format of the file (default: by the ending of FILE)"
    ),
]
Out = Annotated[
    Path, typer.Option("--out", "-o", metavar="FILE", help="file to write: .onnx, .pt2, .py or .safetensors")
]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="trained weights: a .safetensors of archdsl or a published checkpoint (default: those in SPEC, if it is a "
        ".safetensors)",
    ),
]
Features = Annotated[bool, typer.Option("--features-only", help="export the form for dense prediction: maps, no head")]
Dtype = Annotated[
    str,
    typer.Option(
        "--dtype",
        metavar="float32|float16|int8",
        show_default=False,
        help="data type of the computation; int8 for ONNX only (default: float32)",
    ),
]
Dynamic = Annotated[
    bool, typer.Option("--dynamic-batch", help="allow any batch size (default: the batch size of --batch only)")
]
Batch = Annotated[
    int,
    batch_option("images per batch (default: 1)"),
]
Opset = Annotated[
    int | None,
    typer.Option("--opset", metavar="N", parser=whole(100), help="version of ONNX's operators, from 18 (default: 20)"),
]


def command(
    spec: Name,
    out: Out,
    format_name: Format = None,
    weights: Weights = None,
    assignments: Set = None,
    features_only: Features = False,
    dtype: Dtype = "float32",
    dynamic_batch: Dynamic = False,
    batch: Batch = 1,
    opset: Opset = None,
    optimize: Optimize = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write a network to a file that other tools run: ONNX, torch.export's pt2, or Python source.

    The file is for one image size (--set image=[H,W] sets another) and one batch size. Before it gets its name it is
    checked: it is run on three inputs, and refused if an output differs from the network's by more than 0.0001 of the
    largest one (float16: 0.01; int8 has no limit, and the difference is printed). The file also holds the spec and, if
    they are known, the classes, the preprocessing and the accuracy.

    \b
    Examples:
      archdsl export winner.safetensors -o winner.onnx
      archdsl export litv2_s --weights litv2_s.pth --features-only --set image=[512,768] -o litv2_s.onnx
      archdsl export winner.safetensors --dynamic-batch -o winner.pt2
      archdsl export winner.safetensors -o winner.py
    """
    from archdsl.runtimes.export_job import check_opset, check_optimize, files_of
    from archdsl.runtimes.exported import DEFAULT_OPSET, check_dtype, check_target, export, format_of

    format_ = format_of(out, format_name)
    if opset is not None and format_ != "onnx":
        raise typer.BadParameter(f"only ONNX has operator versions; got format {format_}", param_hint="'--opset'")
    for source in filter(None, (Path(spec), weights)):
        check_out(out, source)
        if format_ == "python":
            check_out(out.with_suffix(".pt"), source)
    check_opset(opset or DEFAULT_OPSET)
    check_dtype(format_, dtype)
    check_optimize(format_, optimize)
    check_target(out, format_)
    for file in files_of(format_, out):
        check_new(file, force)
    (document,) = open_specs([spec], assignments)
    without = ("the file gets initial weights", "export")
    model, facts = open_model(spec, document, weights, features_only, bool(assignments), without)
    output.remark(f"exporting {document.name} to {out} ...")
    done = export(
        model,
        out,
        format_,
        dtype=dtype,  # type: ignore[arg-type]  # it is checked there
        dynamic_batch=dynamic_batch,
        batch=batch,
        opset=opset or DEFAULT_OPSET,
        facts=facts,
        optimize=optimize,
    )
    if as_json:
        return output.result_json({"name": document.name, **done.as_json()})
    return output.lines(*_lines(done))


def _lines(done: Exported) -> list[str]:
    """What was written, and how it was checked."""
    from archdsl.numbers import plain_text

    size = "x".join(map(str, done.image))
    batch = "any batch" if done.batch is None else f"batch {done.batch}"
    opset = "" if done.opset is None else f"opset {done.opset}, "
    files = ", ".join(map(str, done.files))
    lines = [f"{files}: {done.format}, {opset}{done.dtype}, {batch} of {size} -> {', '.join(done.outputs)}"]
    lines[0] += f", {done.bytes / 1e6:.1f} MB"
    batches = " and ".join(map(str, done.checked_batches))
    how = "compared" if done.dtype == "int8" else "checked"  # int8 has no limit
    lines.append(
        f"{how} on two inputs of noise and one of zeros at batch {batches}: "
        f"largest difference {plain_text(done.largest_error, 2)} of the largest output"
    )
    if done.perturbed_error is not None:
        lines += [
            "some parameters are zero, or nearly, as in an untrained network, so the check was repeated",
            f"with random values in their place: largest difference {plain_text(done.perturbed_error, 2)}",
        ]
    return lines
