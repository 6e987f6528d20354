"""The commands and the options before them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from archdsl.cli import (
    bench,
    cache,
    check,
    cost,
    diff,
    doctor,
    export,
    export_weights,
    import_,
    library,
    look,
    lut,
    new,
    output,
    proxy_check,
    report,
    schema,
    score,
    search,
    show,
    train,
    zoo,
)

app = typer.Typer(
    rich_markup_mode=None,  # plain help: rich would take half of the time that it may take
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
_COMMANDS: dict[str, tuple[Callable[..., None], str]] = {
    "zoo": (zoo.command, "List the published backbones and the search spaces."),
    "new": (new.command, "Print an editable copy of a backbone or a space."),
    "check": (check.command, "Check backbones and spaces, without building them."),
    "show": (show.command, "Draw a backbone with shapes, params and MACs."),
    "cost": (cost.command, "Count params, MACs and memory, per node and in total."),
    "diff": (diff.command, "Show how one backbone differs from another."),
    "look": (look.command, "Draw what a network does with an image."),
    "bench": (bench.command, "Measure latencies side by side."),
    "search": (search.command, "Search for the best backbone inside a latency budget."),
    "score": (score.command, "Compare networks with the result of a search."),
    "doctor": (doctor.command, "Examine a search space before the first trial."),
    "proxy-check": (proxy_check.command, "Check how well scores and short training rank networks."),
    "train": (train.command, "Train a network on images, and write it to one file."),
    "report": (report.command, "Show the report of a search, and write it as an HTML page."),
    "cache": (cache.command, "Show or clear the cache that searches share."),
    "import": (import_.command, "Load a published checkpoint into a backbone."),
    "export": (export.command, "Write a network to a file that other tools run."),
    "export-weights": (export_weights.command, "Write a model's weights under their published names."),
    "schema": (schema.command, "Print the JSON Schema of a kind of document."),
}
for _name, (_command, _help) in _COMMANDS.items():
    app.command(_name, short_help=_help)(_command)
app.add_typer(lut.app, name="lut", short_help="Predict latencies from the measured times of blocks.")
app.add_typer(library.app, name="library", short_help="Fit replacements for the blocks of a trained network.")


def _version(asked: bool) -> None:
    if asked:
        import archdsl

        output.lines(f"archdsl {archdsl.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version and exit")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="print results and errors only")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="print the traceback of an error inside archdsl")
    ] = False,
) -> None:
    """Describe hierarchical vision backbones in JSON, and search for one that meets a latency budget.

    To begin, run `archdsl search --latency-budget 2ms`, or `archdsl zoo` for the published backbones; `archdsl COMMAND
    -h` explains a command. A SPEC is a backbone and a SPACE a search space: each is a name that `archdsl zoo` lists, or
    a path. An argument that contains a / or ends in .json or .safetensors is read as a path.

    -q and -v may also follow the command. Exit codes: 0 success; 1 the request failed; 2 the command line is wrong;
    130 interrupted.
    """
    output.set_talk(quiet, verbose)
