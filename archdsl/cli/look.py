"""`archdsl look`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archdsl.cli import output
from archdsl.cli.documents import open_specs
from archdsl.cli.export import Weights
from archdsl.cli.import_ import check_out
from archdsl.cli.options import Json, Name, Set, whole

if TYPE_CHECKING:
    from archdsl.language.document import Spec
    from archdsl.weights.facts import ModelFacts, Preprocessing

Image = Annotated[Path, typer.Option("--image", metavar="FILE", help="the image, in any format that Pillow reads")]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="file to write: .png, or .html")]
Query = Annotated[
    str | None,
    typer.Option(
        "--query",
        metavar="Y,X",
        help="the place whose attention is drawn, in the image as the network reads it: pixels, e.g. 20,40, or shares "
        "of its sides, e.g. 0.25,0.5 (default: the centre)",
    ),
]
Nodes = Annotated[
    str | None,
    typer.Option(
        "--nodes",
        metavar="NODE[.BLOCK],...",
        help="nodes to draw, e.g. stage3,merge2; stage3.2 is the second block of stage3 (default: all nodes, of a "
        "stage its last block that has something to draw)",
    ),
]
Head = Annotated[
    int | None,
    typer.Option(
        "--head", metavar="N", parser=whole(256), help="the head to draw, from 1 (default: mean of all heads)"
    ),
]
Features = Annotated[
    bool,
    typer.Option("--features-only", help="look at the form for dense prediction: maps, no head"),
]
Html = Annotated[
    bool, typer.Option("--html", help="write a self-contained HTML page; beside a .png, under the same name")
]


def command(
    spec: Name,
    image: Image,
    out: Out,
    weights: Weights = None,
    assignments: Set = None,
    query: Query = None,
    nodes: Nodes = None,
    head: Head = None,
    features_only: Features = False,
    html: Html = False,
    as_json: Json = False,
) -> None:
    """Draw what a network does with an image: one page of pictures.

    It shows the sampling points of deformable attention, the offsets of deformable merges, what a chosen query attends
    to, and the energy of HiLo's high and low frequencies. The image is prepared as the file of the weights says; where
    no file says it, its middle is scaled and normalised by ImageNet's mean and deviation.

    \b
    Examples:
      archdsl look winner.safetensors --image photo.jpg -o photo.png
      archdsl look litv2_s --weights litv2_s.pth --image photo.jpg --query 0.3,0.6 -o photo.png
      archdsl look litv2_s --weights litv2_s.pth --image photo.jpg --nodes stage3,merge2 -o photo.html
    """
    from archdsl.cli.models import open_model, weights_file
    from archdsl.inspecting.looking import look
    from archdsl.render.texts import counted

    files = _files(out, html)
    for file in files:
        check_out(file, image)
    place = _query(query)
    chosen = _nodes(nodes)
    (document,) = open_specs([spec], assignments)
    without = (
        "random weights are shown, so offsets are near zero and attention is nearly uniform",
        "look at",
    )
    model, facts = open_model(spec, document, weights, features_only, bool(assignments), without)
    how = _preprocessing(facts, document, bool(assignments))
    output.remark(f"looking at {image} with {document.name} ...")
    trained = weights_file(spec, weights)
    said = "initial, from a fixed seed" if trained is None else trained.name
    page = look(model, image, query=place, nodes=chosen, head=head, preprocessing=how, weights=said)
    for written in files:
        page.save(written)
    if as_json:
        return output.result_json({"files": [str(file) for file in files], **page.as_json()})
    nodes_drawn = len({panel.place.node for panel in page.panels})
    output.remark(f"{counted(len(page.panels), 'panel')} of {counted(nodes_drawn, 'node')}")
    return output.lines(*map(str, files))


def _files(out: Path, html: bool) -> list[Path]:
    """What is written: the file that is named, and beside a picture the page."""
    if out.suffix.lower() not in (".png", ".html"):
        raise typer.BadParameter(f"{out} must end in .png or .html", param_hint="'--out'")
    if html and out.suffix.lower() == ".png":
        return [out, out.with_suffix(".html")]
    return [out]


def _query(text: str | None) -> tuple[float, float] | None:
    """`20,40` as whole numbers, `0.25,0.5` as shares."""
    if text is None:
        return None
    whole_numbers = re.fullmatch(r"([0-9]{1,5}),([0-9]{1,5})", text)
    if whole_numbers:
        return int(whole_numbers[1]), int(whole_numbers[2])
    shares = re.fullmatch(r"([01]?\.[0-9]+|[01]),([01]?\.[0-9]+|[01])", text)
    if shares:
        return float(shares[1]), float(shares[2])
    rule = f"'{text[:40]}' is not Y,X"
    raise typer.BadParameter(f"{rule}; write pixels, e.g. 20,40, or shares, e.g. 0.25,0.5", param_hint="'--query'")


def _nodes(text: str | None) -> list[str] | None:
    names = None if text is None else [name.strip() for name in text.split(",") if name.strip()]
    if names == []:
        raise typer.BadParameter("name at least one node, e.g. stage3,merge2", param_hint="'--nodes'")
    return names


def _preprocessing(facts: ModelFacts | None, spec: Spec, is_changed: bool) -> Preprocessing | None:
    """What the file says, at another size where --set gives one; None where it says nothing of such images."""
    how = facts.preprocessing if facts is not None else None
    if how is None or len(how.mean) != spec.channels:
        return None
    return how.model_copy(update={"size": spec.image_size}) if is_changed else how
