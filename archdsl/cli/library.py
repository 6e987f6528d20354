"""`archdsl library`: a parent's blocks, replacements for each of them, trained and scored once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict, Unpack

import typer

from archdsl.cli import output
from archdsl.cli.options import Json, device_option, seed_option, whole_option
from archdsl.cli.unpacking import with_options

if TYPE_CHECKING:
    from archdsl.deriving.library.folder import Library

ParentFile = Annotated[
    Path, typer.Argument(metavar="PARENT", help="a .safetensors of archdsl: the trained network to derive from")
]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="folder of the library")]


class BuildOptions(TypedDict):
    """How a library is built."""

    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="PATH|NAME|hf:NAME",
            help="a folder with one folder per class, a .npz file, shapetex, digits, or a Hugging Face dataset; "
            "labels are not used (default: shapetex)",
        ),
    ]
    space: Annotated[
        str | None,
        typer.Option(
            "--space",
            metavar="SPACE",
            help="name or path of a space around PARENT, whose alternatives are the replacements "
            "(default: what archdsl new PARENT --space prints)",
        ),
    ]
    workers: Annotated[
        int,
        whole_option("--workers", 256, "processes (default: 1)"),
    ]
    steps: Annotated[
        int,
        whole_option("--steps", 100_000, "steps of each fit, 32 images per step (default: 60)"),
    ]
    fit_images: Annotated[
        int,
        whole_option("--fit-images", 1_000_000, "training images that blocks are trained on, at most (default: 1000)"),
    ]
    score_images: Annotated[
        int,
        whole_option(
            "--score-images", 1_000_000, "further training images that blocks are scored on, at most (default: 500)"
        ),
    ]
    images: Annotated[
        int,
        whole_option(
            "--images",
            10_000_000,
            "training images of the data, as in the search that will use the library (default: 2000)",
        ),
    ]
    seed: Annotated[
        int,
        seed_option("the split of the data, as in the search, and of the trainings"),
    ]
    device: Annotated[
        str | None,
        device_option("train on"),
    ]


app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def library() -> None:
    """Fit replacements for a parent's blocks once, so that networks for many budgets can be made of them.

    A library holds for one parent, data set, image size, space and settings; with any other it is refused.
    """


@app.command(short_help="Fit and score replacements for the blocks of a parent.")
@with_options(BuildOptions, workers=1, steps=60, fit_images=1000, score_images=500, images=2000, seed=0)
def build(parent: ParentFile, out: Out, *, as_json: Json = False, **options: Unpack[BuildOptions]) -> None:
    """Train and score every replacement for a block of PARENT, or for a run of its blocks, and keep them in FOLDER.

    Each begins with the weights of the parent's block, and is trained to add to its input what the parent's block adds.
    Its score is how much the parent's output changes if only this block is replaced (KL divergence, on other training
    images). No label is used. Repeated after an interruption, the command trains only what is missing.

    \b
    Examples:
      archdsl library build parent.safetensors --data photos -o photos-library
      archdsl library build parent.safetensors --data photos --space mine.json --workers 4 -o photos-library --json
    """
    from archdsl.deriving.library.building import build_library
    from archdsl.deriving.library.facts import LibrarySettings
    from archdsl.load.spaces import load_space
    from archdsl.render.console import stderr
    from archdsl.render.library import LibraryDisplay

    space = None if options["space"] is None else load_space(options["space"])
    settings = LibrarySettings(
        images=options["fit_images"], scored=options["score_images"], steps=options["steps"], seed=options["seed"]
    )
    with LibraryDisplay(stderr(), output.talk().quiet) as display:
        made = build_library(
            parent,
            options["data"],
            out,
            space=space,
            settings=settings,
            train_images=options["images"],
            workers=options["workers"],
            device=options["device"],
            watcher=display,
        )
    _print(made, as_json)


@app.command(short_help="Show a library: what it is made for, its replacements, or its front.")
def show(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="folder of the library")],
    front: Annotated[
        bool, typer.Option("--front", help="show the best network for each of many budgets instead")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what a library is made for, and each replacement with its score.

    With --front an integer program chooses a network for each budget from the parent's MACs down to the least that the
    library gives: the one whose replacements change the parent's output least. A library knows no latency: only where
    it lies in the folder of a search, budgets are in milliseconds, as that search predicted them. The report of any
    search with a library (archdsl report RUN) has the front in milliseconds.

    \b
    Examples:
      archdsl library show photos-library
      archdsl library show photos-library --front
      archdsl library show photos-library --json
    """
    from archdsl.deriving.library.folder import read_library

    library = read_library(folder)
    if front:
        return _print_front(library, as_json)
    return _print(library, as_json)


def _print_front(library: Library, as_json: bool) -> None:
    from archdsl.deriving.library.front import macs_front
    from archdsl.search.report.library import front_of_run, library_only

    front = front_of_run(library) or macs_front(library)
    if as_json:
        return output.result_json({"folder": str(library.folder), **front.model_dump(mode="json")})
    from archdsl.render.console import stdout
    from archdsl.render.exchanges import front_sheet

    lines = library_only(str(library.folder), front)
    title = f"{library.folder}: the best network for each of {len(lines.front)} budgets"
    stdout().print(front_sheet(lines, title), soft_wrap=True)
    return None


def _print(library: Library, as_json: bool) -> None:
    if as_json:
        return output.result_json(library.as_json())
    from archdsl.render.console import stdout
    from archdsl.render.library import library_sheet

    stdout().print(library_sheet(library), soft_wrap=True)
    return None
