"""Drawings and tables are compared as text, at a fixed width and without colour."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archdsl import zoo
from archdsl.cost import count
from archdsl.load.specs import load_spec
from archdsl.numbers import bytes_text, macs_text, params_text, share_text
from archdsl.render.dot import dot
from archdsl.render.mermaid import mermaid
from archdsl.render.tables import cost_table, zoo_row, zoo_table
from archdsl.render.tree import show
from tests.support.drawn import DRAWN, document, drawings, plain_environment, printer


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    plain_environment(monkeypatch)


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    return printer(monkeypatch)


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
    assert "heads=4 …" in printed(show(spec, count(spec)), 80)
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
    for width in (20, 80):
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
