"""`archdsl show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from archdsl.cli import output
from archdsl.cli.documents import open_specs
from archdsl.cli.options import Json, Name, Set, chosen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archdsl import json_types
    from archdsl.language.document import Spec
    from archdsl.shape import Shape

FORMATS = ("text", "mermaid", "dot")
Format = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="|".join(FORMATS),
        callback=chosen("format", lambda: FORMATS),
        show_default=False,
        help="output format (default: text)",
    ),
]


def command(spec: Name, assignments: Set = None, form: Format = "text", as_json: Json = False) -> None:
    """Draw a backbone: its nodes with shapes, params and MACs, and the connections between them.

    \b
    Examples:
      archdsl show litv2_s
      archdsl show litv2_s --set image=256 --format mermaid
    """
    from archdsl.cost import count

    (opened,) = open_specs([spec], assignments)
    if as_json:
        output.result_json(_facts(opened))
    elif form == "mermaid":
        from archdsl.render.mermaid import mermaid

        output.document(mermaid(opened))
    elif form == "dot":
        from archdsl.render.dot import dot

        output.document(dot(opened))
    else:
        from archdsl.render.console import stdout
        from archdsl.render.tree import show

        stdout().print(show(opened, count(opened)), soft_wrap=True)


def _facts(spec: Spec) -> json_types.JsonObject:
    """The drawing for programs: nodes with fields, shapes and costs; edges with what they carry."""
    from archdsl.cost import count
    from archdsl.graphs import graph

    drawn, cost = graph(spec), count(spec)
    nodes: list[json_types.Json] = [
        {**node._asdict(), "kind": drawn.nodes[node.id]["kind"], "outputs": _texts(drawn.nodes[node.id]["shapes"])}
        for node in cost.nodes
    ]
    edges: list[json_types.Json] = [
        {"from": edge[0], "to": edge[1], "ports": _texts(data["ports"])} for *edge, data in drawn.edges(data=True)
    ]
    return {"name": spec.name, "params": cost.params, "macs": cost.macs, "nodes": nodes, "edges": edges}


def _texts(shapes: Mapping[str, Shape]) -> json_types.JsonObject:
    return {port: str(shape) for port, shape in shapes.items()}
