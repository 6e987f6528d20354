"""`archdsl zoo`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.cli import options, output

if TYPE_CHECKING:
    from archdsl.cost import Count
    from archdsl.json_types import Json, JsonObject
    from archdsl.language.document import Spec


def command(as_json: options.Json = False) -> None:
    """List the published backbones, with computed params and MACs beside the paper's, and the search spaces.

    \b
    Examples:
      archdsl zoo
      archdsl zoo --json
    """
    from archdsl import zoo
    from archdsl.cost import count
    from archdsl.load.specs import load_spec

    counted = [(spec, count(spec)) for spec in map(load_spec, zoo.names())]
    if as_json:
        return output.result_json({"specs": [_facts(*pair) for pair in counted], "spaces": [*zoo.spaces()]})
    from archdsl.render.console import stdout
    from archdsl.render.tables import zoo_row, zoo_table

    stdout().print(zoo_table([zoo_row(*pair) for pair in counted]), soft_wrap=True)
    if zoo.spaces():
        output.lines("", f"Search spaces: {', '.join(zoo.spaces())}")
    return None


def _facts(spec: Spec, cost: Count) -> JsonObject:
    """What a zoo spec costs and what its authors printed, at its own image size."""
    paper = spec.paper.model_dump(exclude_none=True) if spec.paper else {}
    image: list[Json] = [*spec.image_size]
    return {"name": spec.name, "image": image, "params": cost.params, "macs": cost.macs, "paper": paper}
