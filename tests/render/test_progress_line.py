"""The progress of long work: one line on a terminal, a line now and then in a log, nothing where it is silent."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from archdsl import load_spec
from archdsl.latency import compare
from archdsl.render.progress_line import PATIENCE_S, ProgressLine
from tests.support.commands import TINY


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def shown(is_terminal: bool, is_silent: bool = False) -> tuple[ProgressLine, io.StringIO, Clock]:
    stream, now = io.StringIO(), Clock()
    console = Console(file=stream, force_terminal=is_terminal, width=30, color_system=None)
    return ProgressLine(console, is_silent, lambda text: console.print(text), now), stream, now


def test_on_a_terminal_a_text_takes_the_place_of_the_one_before_and_nothing_is_left() -> None:
    progress, stream, _ = shown(is_terminal=True)
    with progress:
        progress("preparing a")
        progress("measuring: 10 of 40 rounds, and more than fits")
    lines = stream.getvalue().split("\r\x1b[2K")
    assert lines == ["preparing a", "measuring: 10 of 40 rounds, a…"[:28] + "…", ""]


def test_in_a_log_short_work_prints_nothing_and_long_work_a_line_now_and_then() -> None:
    progress, stream, now = shown(is_terminal=False)
    with progress:
        progress("preparing a")
        now.seconds = PATIENCE_S
        progress("measuring: 10 of 40 rounds")
        now.seconds += 1
        progress("measuring: 20 of 40 rounds")
    assert stream.getvalue() == "measuring: 10 of 40 rounds\n"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_where_it_is_silent_only_notes_are_printed(is_terminal: bool) -> None:
    progress, stream, now = shown(is_terminal, is_silent=True)
    with progress:
        now.seconds = 2 * PATIENCE_S
        progress("preparing a")
        progress.note("waiting")
    assert stream.getvalue() == "waiting\n"


def test_a_comparison_says_what_it_does() -> None:
    texts: list[str] = []
    pace: dict[str, Any] = {"rounds": 5, "warmup_s": 0.0, "settle_s": 0.0}
    compare({"tiny": load_spec(TINY)}, "cpu", threads=1, runtime="eager", on_progress=texts.append, **pace)
    assert texts == [
        "preparing tiny (1 of 2)",
        "preparing A/A (2 of 2)",
        "warming up",
        "measuring: 3 of 5 rounds",
    ]
