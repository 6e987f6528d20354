"""Drawings are compared as text, at a fixed width and without colour; rails are read back and held to their graph."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from rich.console import RenderableType

from archdsl import zoo
from archdsl.cost import count
from archdsl.load import load_spec, parse_spec
from archdsl.render.console import message, print_lines, stderr, stdout
from archdsl.render.dot import dot
from archdsl.render.lanes import lanes
from archdsl.render.mermaid import mermaid
from archdsl.render.numbers import bytes_text, macs_text, params_text, share_text
from archdsl.render.tables import cost_table, zoo_row, zoo_table
from archdsl.render.tree import show
from archdsl.schema.document import Spec

SPECS = Path(__file__).parent / "specs"
DRAWN = ["litv2_s", str(SPECS / "two_branches.json"), str(SPECS / "early_feature.json")]


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What a renderable gives on a stream of a width: piped, unless another stream is handed in."""

    def draw(what: RenderableType, width: int | None = 80, stream: io.StringIO | None = None) -> str:
        stream = stream or io.StringIO()
        monkeypatch.setattr(sys, "stdout", stream)
        stdout(width).print(what)
        return stream.getvalue()

    return draw


def document(nodes: list[dict[str, Any]], image: int = 32) -> Spec:
    fields = {"kind": "arch", "version": 1, "name": "made", "image": image, "nodes": nodes}
    return parse_spec(json.dumps(fields).encode(), "made.json")


def drawings(spec: Spec) -> tuple[RenderableType, ...]:
    counted = count(spec)
    return show(spec, counted), cost_table(counted, spec), zoo_table([zoo_row(spec, counted)])


# ------------------------------------------------------------------------------------------------------------- rails

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


# ---------------------------------------------------------------------------------------------------------- drawings


@pytest.mark.parametrize("name", [*DRAWN, "dualvit_s"])
def test_a_backbone_is_drawn_as_before(name: str, golden: Callable[..., None], printed: Callable[..., str]) -> None:
    spec = load_spec(name)
    golden(f"show_{spec.name}", printed(show(spec, count(spec))))


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", [*zoo.names(), *DRAWN[1:]])
def test_every_backbone_fits_the_width(name: str, width: int, printed: Callable[..., str]) -> None:
    for drawing in drawings(load_spec(name)):
        lines = printed(drawing, width).splitlines()
        assert max(map(len, lines)) <= width
        assert lines == [line.rstrip() for line in lines]


def test_a_node_has_one_line_at_every_width(printed: Callable[..., str]) -> None:
    spec = load_spec("litv2_s")
    for width in (50, 60, 80, 120, 200):
        body = printed(show(spec, count(spec)), width).split("\n\n")[1].splitlines()
        assert [line.split()[:2] for line in body[1:]] == [["●", node.id] for node in spec.nodes]


def test_a_wide_terminal_shows_whole_labels_and_shares_of_params(printed: Callable[..., str]) -> None:
    spec = load_spec(DRAWN[1])
    assert "window=2…" in printed(show(spec, count(spec)), 80)
    wide = printed(show(spec, count(spec)), 120)
    assert "hilo heads=4 window=2 alpha=0.5" in wide
    assert wide.count("share") == 2
    assert printed(show(spec, count(spec)), 90).count("share") == 1


def test_a_second_port_is_named_wherever_it_flows(printed: Callable[..., str]) -> None:
    stem = {"id": "stem", "type": "patch_stem", "width": 8}
    stage = {"id": "stage", "type": "attention", "depth": 1, "heads": 2, "class_token": True}
    spec = document([stem, stage, {"id": "head", "type": "class_token_head"}])
    heading, _, row, _ = (line.split() for line in printed(show(spec, count(spec))).splitlines()[3:])
    assert heading[2:5] == ["out", "class", "params"]
    assert {"8x8x8", "1x8"} <= set(row)
    assert 'n_stage -->|"class 1x8"| n_head' in mermaid(spec)
    assert '"stage" -> "head" [label="class 1x8"]' in dot(spec)


def chain(length: int) -> list[dict[str, Any]]:
    middle = [{"id": f"a_very_long_name_of_stage_{i}", "type": "mlp", "depth": 1} for i in range(length - 2)]
    return [{"id": "stem", "type": "patch_stem", "width": 8}, *middle, {"id": "head", "type": "mean_head"}]


def fan(branches: int) -> list[dict[str, Any]]:
    middle = [{"id": f"branch{i}", "type": "mlp", "depth": 1, "from": "stem"} for i in range(branches)]
    join = {"id": "join", "type": "add_join", "from": [node["id"] for node in middle]}
    return [{"id": "stem", "type": "patch_stem", "width": 8}, *middle, join, {"id": "head", "type": "mean_head"}]


def dense(length: int) -> list[dict[str, Any]]:
    names = [f"n{i}" for i in range(length)]
    nodes: list[dict[str, Any]] = [{"id": name, "type": "patch_stem", "width": 8} for name in names[:2]]
    for place in range(2, length):
        nodes.append({"id": names[place], "type": "add_join", "from": names[max(0, place - 16) : place]})
    return [*nodes, {"id": "head", "type": "mean_head"}]


@pytest.mark.parametrize("nodes", [chain(256), fan(16), dense(60), dense(255)], ids=["deep", "wide", "dense", "denser"])
def test_large_graphs_fit_too(nodes: list[dict[str, Any]], printed: Callable[..., str]) -> None:
    spec = document(nodes)
    for width in (20, 60, 80, 120):
        for drawing in drawings(spec):
            assert max(map(len, printed(drawing, width).splitlines())) <= width


def test_many_lanes_are_drawn_close_together(printed: Callable[..., str]) -> None:
    spec = document(fan(16))
    assert "\n├┬┬┬┬┬┬┬┬┬┬┬┬┬┬╮\n" in printed(show(spec, count(spec)), 60)
    assert f"\n├{'─┬' * 14}─╮\n" in printed(show(spec, count(spec)), 160)


def test_sources_are_listed_where_there_are_too_many_lanes(printed: Callable[..., str]) -> None:
    spec = document(dense(60))
    text = printed(show(spec, count(spec)), 80)
    assert "├" not in text
    assert "\n  reads n41, n42, n43, n44, n45, n46, n47, n48, n49, n50, n51, n52, n53, n54," in text


# ------------------------------------------------------------------------------------------------------------ tables


def test_costs_have_their_unit_and_share(printed: Callable[..., str]) -> None:
    spec = load_spec("litv2_s")
    lines = printed(cost_table(count(spec), spec)).splitlines()
    assert lines[0] == "litv2_s: 3x224x224 -> 1000 classes"
    assert lines[1].split() == ["node", "type", "params", "MACs", "weights", "activations"]
    assert " ".join(lines[7].split()).startswith("stage3 hilo 10.49 M 38% 1.870 G 50% 41.97 MB ")
    assert " ".join(lines[11].split()).startswith("in all 27.84 M 100% 3.724 G 100% 111.4 MB ")
    assert "float32 at batch 1" in lines[13]


def test_memory_is_in_the_asked_number_format_and_batch(printed: Callable[..., str]) -> None:
    spec = load_spec("litv2_s")
    text = printed(cost_table(count(spec), spec, dtype="bfloat16", batch=64))
    assert bytes_text(2 * 64 * count(spec).activations) in text
    assert "bfloat16 at batch 64" in " ".join(text.split())


def test_the_zoo_stands_beside_its_papers(printed: Callable[..., str]) -> None:
    rows = [zoo_row(spec, count(spec)) for spec in map(load_spec, ["litv2_s", DRAWN[2]])]
    lines = [line.split() for line in printed(zoo_table(rows)).splitlines()]
    assert lines[1] == ["litv2_s", "224", "27.84", "M", "28", "M", "3.724", "G", "3.7", "G", "82.0", "2205.13213"]
    assert lines[2][:2] == ["early_feature", "64x96"]
    assert printed(zoo_table([])).strip().startswith("name")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.000 k"),
        (156_480, "156.5 k"),
        (999_949, "999.9 k"),
        (999_950, "1.000 M"),
        (27_844_000, "27.84 M"),
        (3_723_626_496, "3.724 G"),
        (5 * 10**12, "5.000 T"),
    ],
)
def test_numbers_have_four_digits_and_a_prefix(value: int, text: str) -> None:
    assert params_text(value) == macs_text(value) == text
    assert bytes_text(value) == (f"{text}B" if " " in text else f"{text} B")


def test_shares_tell_little_from_nothing() -> None:
    assert [share_text(part, 200) for part in (0, 1, 2, 99, 200)] == ["", "<1%", "1%", "50%", "100%"]
    assert share_text(0, 0) == ""


# ----------------------------------------------------------------------------------------------------------- streams


def test_a_pipe_gets_no_escape_codes_and_a_terminal_gets_colour(
    printed: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for drawing in drawings(load_spec(DRAWN[2])):
        assert "\x1b" not in printed(drawing)
        assert "\x1b[" in printed(drawing, stream=Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    for drawing in drawings(load_spec(DRAWN[2])):
        assert "\x1b" not in printed(drawing, stream=Terminal())


def test_a_pipe_is_80_wide_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert stdout().width == stderr().width == 80
    monkeypatch.setenv("COLUMNS", "100")
    assert (stdout().width, stdout(60).width) == (100, 60)
    for nonsense in ("", "0", "-3", "wide"):
        monkeypatch.setenv("COLUMNS", nonsense)
        assert stdout().width == 80


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_a_stream_gets_only_what_it_can_encode(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    for drawing in drawings(load_spec(DRAWN[2])):
        stdout(80).print(drawing)
    print_lines(["a \N{SNOWMAN}, a lone \udcff and a [bold] :smile:"])
    text = stream.buffer.getvalue().decode(encoding)
    assert "a \\u2603, a lone \\udcff and a [bold] :smile:\n" in text
    if encoding == "ascii":
        assert "\n|-'-'\n*     sum " in text


@pytest.mark.parametrize("setting", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}])
def test_a_drawing_can_be_piped_in_any_locale(setting: dict[str, str]) -> None:
    """In a process of its own, as the streams are made at start. Nor does a drawing wait for torch."""
    code = """
import sys
from archdsl import count, load_spec
from archdsl.render.console import stdout
from archdsl.render.tree import show
spec = load_spec("litv2_s")
stdout().print(show(spec, count(spec)))
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], env=setting, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"stage4" in done.stdout
    assert b"\x1b" not in done.stdout


def test_a_message_is_one_line_however_long(capsys: pytest.CaptureFixture[str]) -> None:
    text = "/a/[path]/with:smile:/" + "long parts/" * 30
    message(text)
    print_lines([text, "second"])
    assert capsys.readouterr() == (f"{text}\nsecond\n", f"{text}\n")


def test_a_message_shows_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    message("red\x1b[31m, bell\x07")
    assert capsys.readouterr().err == "red\\x1b[31m, bell\\x07\n"


# ------------------------------------------------------------------------------------------------- Mermaid, Graphviz


def keywords() -> Spec:
    """Nodes named by words that Mermaid or Graphviz reads as their own."""
    names = ["class", "style", "graph", "subgraph", "click", "node", "edge", "image", "o", "x"]
    nodes: list[dict[str, Any]] = [{"id": "default", "type": "patch_stem", "width": 8}]
    nodes += [{"id": name, "type": "mlp", "depth": 1} for name in names]
    return document([*nodes, {"id": "end", "type": "mean_head"}])


def test_mermaid_never_sees_a_keyword_as_an_id() -> None:
    lines = mermaid(keywords()).splitlines()
    assert lines[0] == "flowchart TD"
    assert '    n_end(["end<br/>mean_head<br/>1000 classes"])' in lines
    assert '    n_x -->|"8x8x8"| n_end' in lines
    assert '    image -->|"3x32x32"| n_default' in lines
    assert all(line.split()[0].startswith(("n_", "image")) for line in lines[1:])


def test_graphviz_never_sees_a_keyword_as_an_id() -> None:
    lines = dot(keywords()).splitlines()
    assert (lines[0], lines[-1]) == ('digraph "made" {', "}")
    assert '    "end" [shape=oval, label="end\\nmean_head\\n1000 classes"]' in lines
    assert '    "x" -> "end" [label="8x8x8"]' in lines
    assert '    "the image" -> "default" [label="3x32x32"]' in lines


def test_labels_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = load_spec("litv2_s")
    monkeypatch.setattr(type(spec.nodes[0]), "label", lambda node: 'a="b\\c" #<d>')
    assert '["stage1<br/>2 x mlp<br/>mlp=dwconv"]' in mermaid(spec)
    assert '(["stem<br/>patch_stem<br/>a=#quot;b\\c#quot; #35;#lt;d#gt;"])' in mermaid(spec)
    assert 'label="stem\\npatch_stem\\na=\\"b\\\\c\\" #<d>"' in dot(spec)


@pytest.mark.parametrize("name", [*zoo.names(), *DRAWN[1:]])
def test_every_edge_is_in_both(name: str) -> None:
    spec = load_spec(name)
    reads = sum(len(node.sources or "1") for node in spec.nodes)
    assert mermaid(spec).count(" -->|") == reads
    assert dot(spec).count(" -> ") == reads
