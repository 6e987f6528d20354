"""The plot of a front in a terminal."""

from __future__ import annotations

import pytest

from archdsl.render.plot import Plot, scatter
from tests.support.screens import text_of


@pytest.mark.parametrize(
    "points", [[(1.0, 50.0)], [(1.0, 50.0), (1.0, 50.0)], [(120.0, 0.0), (0.5, 100.0)]], ids=["one", "equal", "far"]
)
def test_any_front_can_be_plotted(points: list[tuple[float, float]]) -> None:
    for limit in (None, 5.0):
        lines = scatter(points, limit).plain.splitlines()
        assert len(lines) == 10
        assert all(len(line) <= 64 for line in lines)
        assert any(ord(char) > 0x2800 for char in "".join(lines))


def test_a_plot_has_a_legend_of_its_axes_and_of_the_marks_that_are_in_it() -> None:
    points = [(1.0, 50.0), (2.0, 60.0)]
    bare = text_of(Plot(points, stat="p10"))
    assert "across: p10 latency, ms per batch; up: proxy accuracy, %" in bare
    assert "⠛ network of the Pareto front\n" in bare
    assert "◆" not in bare
    assert "┊" not in bare
    whole = text_of(Plot(points, 5.0, winner=points[1], stat="p10"))
    assert "⠛ network of the Pareto front; ◆ winner; ┊ budget of 5 ms\n" in whole
    assert whole.count("◆") == 2
    assert whole.count("┊") == 9


@pytest.mark.parametrize(
    ("percents", "ends"), [((99.8, 46.9), ("100.0%", "44.3%")), ((0.0, 3.0), ("3.1%", "0.0%"))], ids=["high", "low"]
)
def test_the_axis_ends_where_accuracies_do(percents: tuple[float, float], ends: tuple[str, str]) -> None:
    lines = scatter([(1.0, percents[0]), (2.0, percents[1])]).plain.splitlines()
    labels = [line.partition("│")[0].strip() for line in lines if "│" in line]
    assert (labels[0], labels[-1]) == ends
