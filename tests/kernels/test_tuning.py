"""Which launch is used: the fastest of those that compute what the reference does, else the reference itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from archdsl.kernels import tuning

RIGHT = 1.0


class Launch(NamedTuple):
    """What a launch gives, times ten, and how long it is said to take."""

    value: int
    ms: int


@pytest.fixture(autouse=True)
def _timed_as_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A launch takes what it says; nothing is known from before, and no graph is captured."""

    def milliseconds(run: Callable[[], Tensor]) -> float:
        assert isinstance(run, partial)
        launch: Launch = run.args[0]
        return float(launch.ms)

    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path))
    monkeypatch.setattr(tuning, "_chosen", {})
    monkeypatch.setattr(tuning, "_card", lambda index: "a card")
    monkeypatch.setattr(tuning, "_milliseconds", milliseconds)
    monkeypatch.setattr("torch.cuda.is_current_stream_capturing", lambda: False)


def chosen(*launches: Launch, ran: list[Launch] | None = None) -> float:
    """What comes of choosing among launches where the reference gives 1."""

    def run(launch: Launch) -> Tensor:
        if ran is not None:
            ran.append(launch)
        if launch.value == 0:
            raise RuntimeError("out of resource: registers")
        return torch.tensor([launch.value / 10])

    like = torch.zeros(1)
    return float(tuning.fastest(("depthwise", 3), launches, run, lambda: torch.ones(1), like).item())


def test_the_fastest_launch_is_used_and_remembered_also_by_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Launch] = []
    slow, fast = Launch(10, 5), Launch(10, 2)
    assert chosen(slow, fast, ran=ran) == RIGHT
    assert ran == [slow, fast, fast]  # each is held to the reference, then the fastest runs
    monkeypatch.setattr(tuning, "_chosen", {})
    ran.clear()
    assert chosen(slow, fast, ran=ran) == RIGHT
    assert ran == [fast]


def test_a_launch_that_differs_or_fails_is_left_out_with_a_warning_that_names_it() -> None:
    with pytest.warns(RuntimeWarning) as warned:
        assert chosen(Launch(15, 1), Launch(0, 1), Launch(10, 9)) == RIGHT
    first, second = (str(warning.message) for warning in warned)
    assert (
        first
        == "a kernel configuration is left out: depthwise 3, (15, 1): it differs from the reference by 0.5 "
        + ("of the largest value")
    )
    assert second == "a kernel configuration is left out: depthwise 3, (0, 1): it fails: out of resource: registers"


def test_where_no_launch_is_right_the_reference_runs() -> None:
    with pytest.warns(RuntimeWarning, match="it differs from the reference"):
        assert chosen(Launch(15, 1)) == RIGHT


def test_other_launches_are_tuned_anew() -> None:
    """What was remembered is an index among the launches of then."""
    ran: list[Launch] = []
    chosen(Launch(10, 1), Launch(10, 2))
    chosen(Launch(10, 4), Launch(10, 3), ran=ran)
    assert ran[-1] == Launch(10, 3)


def test_while_a_graph_is_captured_nothing_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_current_stream_capturing", lambda: True)
    ran: list[Launch] = []
    chosen(Launch(10, 5), Launch(10, 1), ran=ran)
    assert ran == [Launch(10, 5)]
