"""Pictures of a backbone, and what a notebook shows: complete, laid out without overlaps, and nothing in them runs."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import networkx as nx
import pytest

from archdsl import count, graph, load_space, load_spec
from archdsl.cost import NodeCount
from archdsl.language.document import Spec
from archdsl.render.layered import layered
from archdsl.render.svg import html, svg
from archdsl.search.store.result import Result
from archdsl.search.store.verdict import Verdict
from tests.support.commands import Run, command_line, tiny_document
from tests.support.displayed import FACTS, FRONT
from tests.support.searching import settings

run = pytest.fixture(command_line)
tiny = pytest.fixture(tiny_document)

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script>"


def hostile(spec: Spec) -> Spec:
    return spec.model_copy(update={"name": HOSTILE})


class Tags(HTMLParser):
    """The tags of a page, and its text outside styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.texts += data


def runs_nothing(page: str) -> bool:
    found = Tags(page)
    loads = {name for name in found.attributes if name.startswith("on") or name in ("src", "href")}
    return not loads and not {"script", "iframe", "link", "img", "object"} & found.tags and "url(" not in page


@pytest.mark.parametrize("name", ["litv2_s", "dualvit_s"])
def test_a_picture_has_every_node_and_every_edge_and_no_two_boxes_overlap(name: str) -> None:
    spec = load_spec(name)
    root = ElementTree.fromstring(svg(spec))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    groups = root.findall(f"{SVG}g")
    ids = [group.findtext(f"{SVG}text") for group in groups]
    assert ids == ["image", *(node.id for node in spec.nodes)]
    edges = [item for item in root.findall(f"{SVG}path") if item.attrib["class"] == "edge"]
    assert len(edges) == 1 + graph(spec).number_of_edges()
    boxes = [
        [float(box.attrib[key]) for key in ("x", "y", "width", "height")] for box in root.iterfind(f"{SVG}g/{SVG}rect")
    ]
    for place, (x, y, w, h) in enumerate(boxes):
        assert 0 < x < x + w < width
        assert 0 < y < y + h < height
        for x2, y2, w2, h2 in boxes[:place]:
            assert x >= x2 + w2 or x2 >= x + w or y >= y2 + h2 or y2 >= y + h
    assert runs_nothing(svg(spec))


def test_an_arrow_over_layers_passes_beside_the_boxes() -> None:
    chain: nx.DiGraph[str] = nx.DiGraph([("a", "b"), ("b", "c"), ("c", "d"), ("a", "d")])
    layout = layered(chain, dict.fromkeys("abcd", 100.0), 10.0)
    assert layout.ways["b", "c"] == []
    assert len(layout.ways["a", "d"]) == 2
    for place, box in zip(layout.ways["a", "d"], "bc", strict=True):
        assert abs(layout.x[place] - layout.x[box]) >= 55
    assert 0 <= min(layout.x.values()) < max(layout.x.values()) <= layout.width


def test_show_prints_a_picture_and_a_page(run: Run, tiny: Path) -> None:
    drawn = run("show", tiny, "--format", "svg")
    assert (drawn.code, drawn.err) == (0, "")
    assert drawn.out == svg(load_spec(tiny))
    page = run("show", tiny, "--format", "html").out
    assert page == html(load_spec(tiny))
    assert drawn.out in page
    assert runs_nothing(page)


def test_what_a_name_says_does_not_run() -> None:
    spec = load_spec("litv2_s")
    space = load_space("lit-dat-64")
    counted = count(spec)
    result = Result(Path(HOSTILE), settings(), FRONT, FRONT, Verdict(None, HOSTILE, None, None), False, FACTS)
    shown = [
        svg(hostile(spec)),
        html(hostile(spec)),
        hostile(spec)._repr_html_(),
        space.model_copy(update={"name": HOSTILE, "constraints": (HOSTILE,)})._repr_html_(),
        counted._replace(nodes=(NodeCount(HOSTILE, "x", "1", 1, 1, 1),))._repr_html_(),
        result._repr_html_(),
    ]
    for page in shown:
        assert HOSTILE not in page
        assert runs_nothing(page)
        assert "<script>" in re.sub(r"\s+", "", Tags(page).texts)


def test_a_notebook_shows_nodes_and_numbers_in_little_space() -> None:
    spec, space = load_spec("litv2_s"), load_space("lit-dat-64")
    for shown, words in (
        (spec._repr_html_(), ["stage3", "hilo", "weights", "<svg"]),
        (space._repr_html_(), ["stage3", "one of 3", "max proxy_accuracy"]),
        (count(spec)._repr_html_(), ["stage3", "<table>", "in all"]),
    ):
        assert all(word in shown for word in words)
        assert len(shown) < 20_000
