"""Rails are read back and held to their graph."""

from __future__ import annotations

import random
from collections.abc import Iterator

import networkx as nx
import pytest

from archdsl.render.lanes import lanes

UP, DOWN, LEFT, RIGHT = "udlr"
OPENINGS = {"│": "ud", "●": "ud", "├": "udr", "╮": "ld", "╯": "lu", "┬": "lrd", "┴": "lru", "─": "lr", " ": "", "┼": ""}


def edges_drawn(rows: list[tuple[str | None, str]]) -> set[tuple[str, str]]:
    """The pairs of nodes that a finger can trace downwards without passing a third node."""
    width = max(len(rail) for _, rail in rows)
    grid = [rail.ljust(width) for _, rail in rows]
    found = set()
    for row, (node, rail) in enumerate(rows):
        if node is not None:
            assert rail.count("●") == 1
            found |= {(node, reader) for reader in _below(rows, grid, row, rail.index("●"))}
    return found


def _below(rows: list[tuple[str | None, str]], grid: list[str], row: int, column: int) -> Iterator[str]:
    """Nodes reached from the lower end of a cell; a lane that ends in nothing fails, unless it is a node's."""
    if row + 1 == len(grid) or UP not in (OPENINGS[grid[row + 1][column]] or "ud" * (grid[row + 1][column] == "┼")):
        assert grid[row][column] == "●", "a lane ends in nothing"
        return
    name, glyph = rows[row + 1][0], grid[row + 1][column]
    if glyph == "●":
        assert name is not None
        yield name
        return
    for out in _downwards(grid[row + 1], column):
        yield from _below(rows, grid, row + 1, out)


def _downwards(rail: str, column: int) -> set[int]:
    """Columns where a wire that enters a row from above leaves it below. A crossing passes straight through."""
    if rail[column] in "│┼":
        return {column}
    out = {column} if DOWN in OPENINGS[rail[column]] else set()
    for step, towards, back in ((1, RIGHT, LEFT), (-1, LEFT, RIGHT)):
        at = column
        while towards in (OPENINGS[rail[at]] or "lr") and (at := at + step) >= 0:
            assert back in (OPENINGS[rail[at]] or "lr" * (rail[at] == "┼")), "a rail ends in nothing"
            out |= {at} if DOWN in OPENINGS[rail[at]] else set()
    return out


def drawn_as(edges: str) -> nx.DiGraph[str]:
    """`ab bc ac` -> a graph with its nodes in alphabetical order."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(sorted(set(edges) - {" "}))
    graph.add_edges_from((pair[0], pair[1]) for pair in edges.split())
    return graph


def test_a_branch_from_an_early_node_is_held_in_its_own_lane() -> None:
    rows = lanes(drawn_as("ab bc cd de be"))
    assert rows == [
        ("a", "●"),
        ("b", "●"),
        (None, "├─╮"),
        ("c", "● │"),
        ("d", "● │"),
        (None, "├─╯"),
        ("e", "●"),
    ]


def test_lanes_cross_where_an_inner_branch_is_still_open() -> None:
    rails = [rail for _, rail in lanes(drawn_as("ab ac be cd ce de"))]
    assert rails == ["●", "├─╮", "● │", "│ ●", "│ ├─╮", "│ ● │", "├─┴─╯", "●"]
    assert "├─┼─╮" in [rail for _, rail in lanes(drawn_as("ab ae bc bd ce de"))]


def test_a_second_pathway_is_drawn_to_the_right() -> None:
    rails = [rail for _, rail in lanes(drawn_as("ab ac bc cd ce df ef"), aside="be")]
    assert rails == ["●", "├─╮", "│ ●", "├─╯", "●", "├─╮", "● │", "│ ●", "├─╯", "●"]


@pytest.mark.parametrize(
    "edges",
    [
        pytest.param("ab bc", id="chain"),
        pytest.param("ab ac bd cd", id="diamond"),
        pytest.param("ab ac bd cd de df eg fg", id="two diamonds"),
        pytest.param("ab ac ad be ce de", id="three branches"),
        pytest.param("ab bc cd de ef fg gh ah", id="skip across many nodes"),
        pytest.param("ac bd ce de", id="two stems"),
        pytest.param("ab bc cd ad bd", id="a node read while two others wait"),
        pytest.param("ab ac ad bc cd de ae", id="a node read by four"),
        pytest.param("ab cd", id="two apart"),
        pytest.param("ab ac ad", id="three ends"),
        pytest.param("ab cd ae bf", id="a stem after an end"),
        pytest.param("ab ac ad ae af bg cg dg eg fg", id="five branches"),
    ],
)
def test_the_paths_in_the_rails_are_the_edges(edges: str) -> None:
    graph = drawn_as(edges)
    rows = lanes(graph)
    assert [node for node, _ in rows if node is not None] == list(graph)
    assert edges_drawn(rows) == set(graph.edges)


def test_the_paths_in_the_rails_are_the_edges_of_any_graph() -> None:
    draw = random.Random(0)
    for _ in range(500):
        size, density = draw.randint(1, 14), draw.choice((0.05, 0.2, 0.5, 1.0))
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(f"n{place}" for place in range(size))
        pairs = [(f"n{i}", f"n{j}") for j in range(size) for i in range(j) if draw.random() < density]
        graph.add_edges_from(draw.sample(pairs, len(pairs)))
        rows = lanes(graph, aside=draw.sample(list(graph), size // 3))
        assert [node for node, _ in rows if node is not None] == list(graph)
        assert edges_drawn(rows) == set(graph.edges)
