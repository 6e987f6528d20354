"""`archdsl show SPACE`: the nodes with their alternatives beside rails, the variables, and what a search must keep."""

from __future__ import annotations

from collections.abc import Iterator

import networkx as nx
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from archdsl.json_types import Json, JsonObject
from archdsl.language.nodes import node_models
from archdsl.numbers import plain_text
from archdsl.render.alternatives import alternatives, domain_text, part_text
from archdsl.render.columns import Column, fit, whole, wrapped
from archdsl.render.lanes import lanes
from archdsl.render.texts import counted, printable
from archdsl.render.tree import STYLES
from archdsl.search.doctor.survey import Survey
from archdsl.shape import Map
from archdsl.spaces.space import Budget, Space
from archdsl.spaces.variables import Variable, variables


class SpacePage:
    """What a space holds, fitted to the width at which it is printed; print it with `soft_wrap`."""

    def __init__(self, space: Space, survey: Survey | None = None) -> None:
        """`survey` is what its points are counted from; without one their number is left out."""
        self.space, self.survey = space, survey

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        yield from (whole(line, "bold") for line in wrapped(space_headline(self.space), width, "  "))
        if self.survey is not None:
            yield from (whole(line) for line in wrapped(points_text(self.survey), width, "  "))
        yield Text()
        yield from _drawn(self.space, width)
        yield Text()
        yield from _variables(self.space, width)
        for title, lines in demands(self.space):
            yield Text()
            yield whole(title, "dim")
            yield from (whole(text) for line in lines for text in wrapped(f"  {printable(line)}", width, "    "))


def space_headline(space: Space) -> str:
    """`lit-dat-64: search space, 3x64x64 -> 20 classes, 9 nodes, 17 variables`"""
    image = Map(space.channels, *space.image_size)
    numbers = f"{counted(len(space.nodes), 'node')}, {counted(len(variables(space.nodes)), 'variable')}"
    return f"{space.name}: search space, {image} -> {space.classes} classes, {numbers}"


def points_text(survey: Survey) -> str:
    """How many combinations are valid: counted where every choice was looked at, else estimated."""
    size = survey.size
    if survey.is_whole:
        return (
            f"{survey.looked_at:,} combinations, {size.points:,.0f} of them valid, {size.networks:,} distinct networks"
        )
    points = f"about {plain_text(size.points, 3)} valid combinations"
    text = f"{points} (standard error {plain_text(size.error, 1)}, from {survey.looked_at:,} that were sampled)"
    return text + (f", times the values of {', '.join(size.continuous)}" if size.continuous else "")


def demands(space: Space) -> Iterator[tuple[str, list[str]]]:
    """Constraints, budgets, objectives, seeds and the parent, each with its heading; what is absent is left out."""
    seeds = [seed if isinstance(seed, str) else " ".join(map(str, seed)) for seed in space.seeds]
    parts: tuple[tuple[str, list[str]], ...] = (
        ("constraints", list(space.constraints)),
        ("budgets", [budget_text(budget) for budget in space.budgets]),
        ("objectives", list(space.objectives)),
        ("seeds", seeds),
        ("parent", [] if space.parent is None else [space.parent]),
    )
    return ((title, lines) for title, lines in parts if lines)


def budget_text(budget: Budget) -> str:
    """`latency p50 <= 5 ms, batch 1`"""
    sign, bound = (">=", budget.min) if budget.min is not None else ("<=", budget.max)
    stat = f" {budget.stat}" if budget.stat else ""
    setting = [
        f"{name} {value}"
        for name in ("device", "threads", "batch", "dtype", "runtime")
        if (value := getattr(budget, name)) is not None
    ]
    return ", ".join([f"{budget.metric}{stat} {sign} {bound:g} {budget.unit}", *setting])


def space_facts(space: Space, survey: Survey) -> JsonObject:
    """The same facts for programs; `points` is an estimate where `points_error` is above 0."""
    found = variables(space.nodes).values()
    drawn = space_graph(space)
    nodes: list[Json] = [
        {
            "id": node["id"],
            "from": list(drawn.predecessors(node["id"])),
            "alternatives": [{"label": label, "type": part["type"]} for label, part in alternatives(node)],
        }
        for node in space.nodes
    ]
    document = space.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {
        **{key: document[key] for key in ("name", "kind", "image", "channels", "classes")},
        "combinations": survey.looked_at,
        "points": survey.size.points,
        "points_error": survey.size.error,
        "networks": survey.size.networks,
        "variables": [_variable_facts(variable) for variable in found],
        "nodes": nodes,
        **{key: document.get(key, []) for key in ("constraints", "budgets", "objectives", "seeds")},
        "parent": space.parent,
    }


def _variable_facts(variable: Variable) -> JsonObject:
    if variable.values:
        return {"name": variable.name, "values": list(variable.values)}
    return {"name": variable.name, "low": variable.low, "high": variable.high, "log": variable.log}


def space_graph(space: Space) -> nx.DiGraph[str]:
    """Who may read whom: the sources of a node are those of all its alternatives."""
    drawn: nx.DiGraph[str] = nx.DiGraph()
    before: str | None = None
    for node in space.nodes:
        drawn.add_node(node["id"])
        for _, part in alternatives(node):
            written = part.get("from", node.get("from", before))
            for source in written if isinstance(written, list) else [written]:
                name = str(source).partition(".")[0]
                if name in drawn and name != node["id"]:
                    drawn.add_edge(name, node["id"])
        before = node["id"]
    return drawn


def _drawn(space: Space, width: int) -> Iterator[Text]:
    drawn = space_graph(space)
    rows = lanes(drawn)
    widest = max(len(rail) for _, rail in rows)
    nodes = {node["id"]: node for node in space.nodes}
    longest = max(map(len, nodes))
    for node_id, rail in rows:
        if node_id is None:
            yield whole(rail, "dim")
            continue
        below = rail.replace("●", "│" if drawn.out_degree(node_id) else " ")
        for place, line in enumerate(_node(nodes[node_id], node_id.ljust(longest), max(width - widest - 1, 24))):
            text = whole(f"{(below if place else rail):{widest}} {printable(line)}".rstrip())
            style = STYLES[node_models()[str(alternatives(nodes[node_id])[0][1]["type"])].kind]
            text.stylize(style, 0, widest + 1 + longest if place == 0 else 0)
            yield text


def _node(node: JsonObject, title: str, width: int) -> Iterator[str]:
    """The node's line, and one below it for each of its alternatives."""
    parts = alternatives(node)
    if "$one_of" not in node:
        yield from wrapped(f"{title}  {part_text(node)}", width, "    ")
        return
    named = f" ({node['$name']})" if "$name" in node else ""
    yield f"{title}  one of {len(parts)}{named}"
    for label, part in parts:
        shown = "" if label == part["type"] else f"{label}: "
        yield from wrapped(f"  ◆ {shown}{part_text(part)}", width, "      ")


def _variables(space: Space, width: int) -> Iterator[Text]:
    found = list(variables(space.nodes).values())
    sizes = [f"{len(variable.values):,}" if variable.values else "any" for variable in found]
    yield from fit(
        [
            Column("variable", [Text(variable.name) for variable in found]),
            Column("values", [Text(size) for size in sizes], right=True),
            Column("", [Text(printable(domain_text(variable))) for variable in found], least=16),
        ],
        width,
    )
