"""`archdsl export-weights`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archdsl.cli import output
from archdsl.cli.import_ import check_new, check_out
from archdsl.cli.options import Force, Json

Model = Annotated[Path, typer.Argument(metavar="MODEL.safetensors", help="file that archdsl import wrote")]
Out = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        help="checkpoint to write: .safetensors, or another ending for the format of torch.save",
    ),
]


def command(model: Model, out: Out, force: Force = False, as_json: Json = False) -> None:
    """Write a model's weights back under the published names, for the authors' own code.

    Index tables and counters are left out, since the authors' loaders compute them.

    \b
    Examples:
      archdsl export-weights lit_s.safetensors -o published.pth
    """
    check_out(out, model)
    check_new(out, force)
    from archdsl.weights import load_model, write_published

    loaded = load_model(model)
    count = write_published(loaded, out)
    if as_json:
        return output.result_json({"file": str(out), "name": loaded.spec.name, "tensors": count})
    return output.lines(f"{out}: {loaded.spec.name}, {count} tensors under the names of {loaded.spec.weights}")
