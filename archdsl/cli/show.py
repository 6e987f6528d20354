"""`archdsl show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from archdsl.cli import output
from archdsl.cli.documents import open_document, overridden
from archdsl.cli.options import (
    Document,
    Json,
    Set,
    batch_option,
    check_runtime,
    chosen,
    device_option,
    rounds_option,
    threads_option,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archdsl import json_types
    from archdsl.language.document import Spec
    from archdsl.shape import Shape
    from archdsl.spaces.space import Space

LOOKED_AT = 500
"""Choices of a space from which its points are counted; `archdsl doctor` looks at more."""
FORMATS = ("text", "mermaid", "dot", "svg", "html")
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


def command(
    document: Document,
    assignments: Set = None,
    form: Format = "text",
    as_json: Json = False,
    latency: Annotated[bool, typer.Option("--latency", help="measure each node, and print its share in ms")] = False,
    runtime: Annotated[
        str | None,
        typer.Option(
            "--runtime",
            metavar="eager|graph|compile|onnxruntime|openvino",
            callback=check_runtime,
            help="what executes the nodes, with --latency (default: eager, in which a node runs by itself)",
        ),
    ] = None,
    device: Annotated[
        str | None,
        device_option("measure on, with --latency"),
    ] = None,
    batch: Annotated[
        int | None,
        batch_option("images per batch, with --latency (default: 1)"),
    ] = None,
    threads: Annotated[
        int | None,
        threads_option("CPU threads, with --latency (default: all physical cores)"),
    ] = None,
    rounds: Annotated[
        int | None,
        rounds_option("rounds to measure, with --latency (default: 40)"),
    ] = None,
) -> None:
    """Draw a backbone or a search space.

    Of a backbone it shows the nodes with shapes, params and MACs, and the connections between them. Of a space it shows
    the nodes with their alternatives, the variables, how many points are valid, constraints, budgets and seeds. The
    formats svg and html are pictures that load nothing and have no script.

    With `--latency` each node of a backbone is measured by itself, in eager mode, beside the network as a whole. In
    another `--runtime` the network is prepared and measured up to each node, and a node's number is the difference to
    the node before. Weights are random, from a fixed seed.

    \b
    Examples:
      archdsl show litv2_s
      archdsl show litv2_s --set image=256 --format mermaid
      archdsl show dualvit_s --format svg > dualvit_s.svg
      archdsl show lit-dat-64
      archdsl show litv2_s --latency --device cpu --threads 1
    """
    from archdsl.cost import count
    from archdsl.language.document import Spec

    _check_latency(latency, form, runtime, {"device": device, "batch": batch, "threads": threads, "rounds": rounds})
    written = open_document(document)
    opened = overridden(written, assignments) if assignments else written.content
    if not isinstance(opened, Spec):
        if latency:
            raise typer.BadParameter("a backbone is measured; this is a search space", param_hint="'--latency'")
        _show_space(opened, form, as_json)
    elif latency:
        _show_latency(opened, runtime or "eager", device, batch or 1, threads, rounds, as_json)
    elif as_json:
        output.result_json(_facts(opened))
    elif form == "mermaid":
        from archdsl.render.mermaid import mermaid

        output.document(mermaid(opened))
    elif form == "dot":
        from archdsl.render.dot import dot

        output.document(dot(opened))
    elif form in ("svg", "html"):
        from archdsl.render import svg

        output.document(svg.svg(opened) if form == "svg" else svg.html(opened))
    else:
        from archdsl.render.console import stdout
        from archdsl.render.tree import show

        stdout().print(show(opened, count(opened)), soft_wrap=True)


def _check_latency(latency: bool, form: str, runtime: str | None, others: Mapping[str, str | int | None]) -> None:
    """Refuse what does not go with `--latency`, and without it what is for measuring."""
    asked = [name for name, value in {"runtime": runtime, **others}.items() if value is not None]
    if not latency and asked:
        raise typer.BadParameter("it says how to measure; add --latency", param_hint=f"'--{asked[0]}'")
    if latency and form != "text":
        raise typer.BadParameter("latencies are printed as text or JSON; leave it out", param_hint="'--format'")


def _show_latency(
    spec: Spec, runtime: str, device: str | None, batch: int, threads: int | None, rounds: int | None, as_json: bool
) -> None:
    """The measured share of each node."""
    from archdsl.cost import count
    from archdsl.latency.nodes import node_latencies
    from archdsl.latency.rounds import Pace

    output.remark(f"measuring {spec.name} and its {len(spec.nodes)} nodes: batch {batch}, float32, {runtime} ...")
    pace: Pace = {} if rounds is None else {"rounds": rounds}
    with output.progress(as_json) as progress:
        measured = node_latencies(
            spec, device, batch, threads, runtime=runtime, on_wait=progress.note, on_progress=progress, **pace
        )
    if as_json:
        output.result_json(_facts(spec) | {"latency": measured.as_json()})
        return
    from archdsl.render.console import stdout
    from archdsl.render.node_latencies import latency_table

    stdout().print(latency_table(spec, count(spec), measured), soft_wrap=True)


def _show_space(space: Space, form: str, as_json: bool) -> None:
    """A search space, as text or as JSON."""
    from archdsl.search.doctor.points import Points
    from archdsl.search.doctor.survey import survey
    from archdsl.search.policy.doctor import SurveyPolicy

    if form != "text":
        raise typer.BadParameter("a search space is drawn as text alone; leave it out", param_hint="'--format'")
    looked_at = survey(space, Points(space), SurveyPolicy(most_choices=LOOKED_AT, samples=LOOKED_AT))
    if as_json:
        from archdsl.render.space import space_facts

        output.result_json(space_facts(space, looked_at))
        return
    from archdsl.render.console import stdout
    from archdsl.render.space import SpacePage

    stdout().print(SpacePage(space, looked_at), soft_wrap=True)


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
