"""`archdsl import`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archdsl.cli import output
from archdsl.cli.documents import open_specs
from archdsl.cli.options import Force, Json, Name, Set, seed_option, whole
from archdsl.errors import WeightsError, WrongUse
from archdsl.files import why_unwritable

if TYPE_CHECKING:
    from archdsl.compile import Backbone
    from archdsl.language.document import Spec
    from archdsl.weights import Imported

File = Annotated[
    Path, typer.Argument(metavar="FILE", help="published checkpoint, in the format of torch.save or safetensors")
]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="MODEL.safetensors", help="file to write")]
Classes = Annotated[
    int | None,
    typer.Option(
        "--classes", metavar="N", parser=whole(100_000), help="replace the classifier by a new one for N classes"
    ),
]
Seed = Annotated[
    int,
    seed_option("the new classifier"),
]
Key = Annotated[
    str | None,
    typer.Option("--key", metavar="KEY", help="key of the weights in FILE, e.g. state_dict_ema or ema.model"),
]
Image = Annotated[
    str | None,
    typer.Option(
        "--image", metavar="HxW", help="image size that FILE was made for, e.g. 384x512; needed if it is not square"
    ),
]
Features = Annotated[
    bool, typer.Option("--features-only", help="load the form for dense prediction, which has no head")
]

Partial = Annotated[
    bool,
    typer.Option("--partial", help="take over what fits from FILE, which may be of another network"),
]
ParentSpec = Annotated[
    str | None,
    typer.Option(
        "--parent",
        metavar="SPEC",
        help="with --partial: the spec of the network in FILE (default: found out, for published ones)",
    ),
]

_PARTS_NAMED = 5


def command(
    spec: Name,
    file: File,
    out: Out,
    assignments: Set = None,
    classes: Classes = None,
    seed: Seed = 0,
    key: Key = None,
    image: Image = None,
    features_only: Features = False,
    partial: Partial = False,
    parent: ParentSpec = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Load a published checkpoint into a backbone, and write both to one file.

    FILE is read as data: no code that it names is imported or run. It must have every tensor of the backbone and no
    others; tensors beside the backbone (a detector's neck and heads; with --features-only, the classifier) are
    left out and listed. Tables made for another image size are resized.

    With --partial, FILE may hold a network with other depths, widths, merges or mixers: a published checkpoint or a
    .safetensors of archdsl. What the two networks have in common is taken over, and a report says what became of every
    block; the rest keeps its initial values.

    \b
    Examples:
      archdsl import lit_s lit_s.pth -o lit_s.safetensors
      archdsl import lit_s lit_s.pth --set image=384 --classes 10 -o fine.safetensors
      archdsl import lit_s lit_s.pth --set stage3.depth=4 --partial -o cut.safetensors
    """
    check_out(out, file, (".safetensors",))
    check_new(out, force)
    made_for = None if image is None else _size(image)
    (backbone,) = open_specs([spec], assignments)
    if parent is not None and not partial:
        raise typer.BadParameter("says what --partial takes over from; add --partial", param_hint="'--parent'")
    if partial:
        from archdsl.cli.partial_import import Wanted, import_partially

        wanted = Wanted(backbone, spec, classes, seed, features_only)
        return import_partially(wanted, file, out, key=key, made_for=made_for, parent=parent, as_json=as_json)
    from archdsl.weights import import_file, save_model

    try:
        model, imported = import_file(
            backbone, file, key=key, image=made_for, classes=classes, features_only=features_only, seed=seed
        )
    except WeightsError as error:
        raise _with_its_network(error, backbone, file, key, out) from None
    save_model(model, out, imported.sha256)
    if as_json:
        return output.result_json({"file": str(out), "name": model.spec.name, **imported.as_json()})
    output.lines(_summary(model, imported, out), *_changes(imported))
    for remark in _remarks(imported):
        output.remark(remark)
    return None


def _size(text: str) -> tuple[int, int]:
    """`384` or `384x512`."""
    match = re.fullmatch(r"([0-9]{2,4})(?:x([0-9]{2,4}))?", text)
    if not match:
        from archdsl.language.sizes import sides_in

        sides = sides_in(text)
        two = len(sides) == 2 and all(10 <= side < 10_000 for side in sides)
        remedy = f"use {sides[0]}x{sides[1]} (height x width)" if two else "write e.g. 384 or 384x512"
        raise typer.BadParameter(f"'{text[:40]}' is not an image size; {remedy}", param_hint="'--image'")
    return int(match[1]), int(match[2] or match[1])


def _with_its_network(error: WeightsError, wanted: Spec, file: Path, key: str | None, out: Path) -> WeightsError:
    """The refusal of a checkpoint, with what to do where it is that of a published backbone."""
    from archdsl.deriving.parents import published_name
    from archdsl.load.specs import load_spec

    name = published_name(wanted, file, key)
    if name is None or wanted == load_spec(name):  # then something else is wrong
        return error
    if name == wanted.name:
        way = f"{file} is of {name} as it was published; add --partial to take over what fits"
        return WeightsError(f"{error}\n{way}")
    command = shlex.join(["archdsl", "import", name, str(file), "-o", str(out)])
    first = str(error).partition("\n")[0]
    return WeightsError(f"{first}\n{file} is of {name}: {command}\nor add --partial to take over what fits")


def check_out(out: Path, file: Path, endings: tuple[str, ...] = ()) -> None:
    """Found out before the work, not after."""
    where = "'--out'"
    if endings and out.suffix not in endings:
        raise typer.BadParameter(f"{out} must end in {' or '.join(endings)}", param_hint=where)
    if (reason := why_unwritable(out)) is not None:
        raise typer.BadParameter(f"{out} cannot be written: {reason}", param_hint=where)
    if out.exists() and file.exists() and out.samefile(file):
        raise typer.BadParameter(f"{out} is the input file; give another output file", param_hint=where)


def check_new(out: Path, force: bool) -> None:
    """Refuse to replace a file unless that is asked for."""
    if out.exists() and not force:
        raise WrongUse(f"{out} is not replaced: it is there already; add --force, or give another output file")


def _summary(model: Backbone, imported: Imported, out: Path) -> str:
    params = sum(parameter.numel() for parameter in model.parameters())
    place = "".join(
        f" {what} {name}" for what, name in (("in", imported.container), ("under", imported.prefix)) if name
    )
    tensors = f"{imported.tensors} tensors of {params / 1e6:.2f} M params"
    return f"{out}: {model.spec.name}, {tensors}, from names of {imported.names}{place}"


def _changes(imported: Imported) -> list[str]:
    """What is not as in the checkpoint."""
    lines = [f"resized: {table}" for table in imported.resized]
    return lines + [f"new: {name}" for name in imported.new]


def _remarks(imported: Imported) -> list[str]:
    remarks = [f"cast from {dtype}: {_tensors(count)}" for dtype, count in imported.cast.items()]
    if imported.others:
        remarks.append(f"the file also has weights under {', '.join(imported.others)} (--key)")
    if imported.left_out:
        remarks.append(_left_out(imported.left_out))
    if imported.not_finite:
        remarks.append(
            f"warning: NaN or infinities in {_tensors(len(imported.not_finite))}, e.g. {imported.not_finite[0]}"
        )
    return remarks


def _left_out(names: Sequence[str]) -> str:
    """How many tensors were left out, and of which parts."""
    parts = list(dict.fromkeys(name.split(".")[0] for name in names))
    more = f", ... ({len(parts)} parts)" if len(parts) > _PARTS_NAMED else ""
    was = "were" if len(names) > 1 else "was"
    return f"{_tensors(len(names))} beside the backbone {was} left out: {', '.join(parts[:_PARTS_NAMED])}{more}"


def _tensors(count: int) -> str:
    return f"{count} tensor{'s' * (count != 1)}"
