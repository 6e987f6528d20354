"""What is told of a parent beside its winner."""

from __future__ import annotations

import pytest

from archdsl.render.verdict import parent_warnings
from archdsl.search.store.parent import ParentAccuracy, ParentSummary
from archdsl.search.store.winner import HeldOutAccuracy

_BELOW = "warning: the winner has less than half of its parent's accuracy"


@pytest.mark.parametrize(("accuracy", "is_warned"), [(0.1, True), (0.44, True), (0.46, False), (0.95, False)])
def test_a_winner_far_below_its_parent_is_warned_of(accuracy: float, is_warned: bool) -> None:
    parent = ParentSummary("wide", "0" * 64, ParentAccuracy(0.95, 0.01, 100), ParentAccuracy(0.9, 0.01, 100))
    lines = parent_warnings(parent, HeldOutAccuracy(accuracy))
    assert [line.startswith(_BELOW) for line in lines] == [True] * is_warned


def test_without_a_parent_or_held_out_images_nothing_is_warned_of() -> None:
    parent = ParentSummary("wide", "0" * 64, ParentAccuracy(0.9, 0.01, 100))
    assert parent_warnings(None, HeldOutAccuracy(0.1)) == parent_warnings(parent, None) == []
