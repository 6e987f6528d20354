"""`archdsl score`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archdsl.cli import output
from archdsl.cli.exit_codes import FAILED
from archdsl.cli.options import Json, Set

Networks = Annotated[
    list[str],
    typer.Argument(metavar="SPEC", help="zoo names, paths of .json or .safetensors files, or timm:NAME"),
]
Like = Annotated[
    Path, typer.Option("--like", metavar="RUN", help="folder of the search whose data and conditions are used")
]
Longer = Annotated[
    bool, typer.Option("--longer", help="also train each network as long as the finalists of the search")
]


def command(
    specs: Networks, like: Like, assignments: Set = None, longer: Longer = False, as_json: Json = False
) -> None:
    """Compare networks with the result of a search: same data, same training, same latency measurement.

    Each SPEC is measured as the search measured its candidates, in the same runtime and setting, and gets the same
    short training. The final table of the run is printed with the networks in it, and for each network whether it is
    inside the budget and whether McNemar's test distinguishes its accuracy from the winner's. Nothing in RUN is
    changed. The exit code is 1 if a network cannot be measured or trained.

    The image size of a SPEC must be that of the run; channels and classes are those of the data if SPEC does not state
    them. The weights of a .safetensors file are not used. timm:NAME is a model of timm, if that is installed: it is
    built for the data with random weights, and --set does not change it.

    \b
    Examples:
      archdsl score my_net.json --like runs/first
      archdsl score litv2_s lit_s --like runs/first --set image=64
      archdsl score my_net.json --like runs/first --longer --json
      archdsl score timm:resnet18 timm:mobilenetv3_small_100 --like runs/first
    """
    from archdsl.render.comparison import comparison
    from archdsl.render.console import stdout
    from archdsl.search.comparison.api import score

    scores = score(specs, like=like, assignments=assignments or [], longer=longer, say=output.remark)
    if as_json:
        output.result_json(scores.as_json())
    else:
        stdout().print(comparison(scores), soft_wrap=True)
    if scores.failed:
        raise typer.Exit(FAILED)
