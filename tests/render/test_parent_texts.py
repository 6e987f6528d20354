"""What is told of a parent beside its winner."""

from __future__ import annotations

import pytest

from archdsl.render.verdict import far_below_text
from archdsl.search.store.parent import ParentAccuracy, ParentSummary
from archdsl.search.store.winner import HeldOutAccuracy


@pytest.mark.parametrize(("accuracy", "is_told"), [(0.1, True), (0.44, True), (0.46, False), (0.95, False)])
def test_a_winner_far_below_its_parent_is_warned_of(accuracy: float, is_told: bool) -> None:
    parent = ParentSummary("wide", "0" * 64, ParentAccuracy(0.95, 0.01, 100), ParentAccuracy(0.9, 0.01, 100))
    assert ("less than half of its parent's 90.0 %" in far_below_text(parent, HeldOutAccuracy(accuracy))) is is_told


def test_without_a_parent_or_held_out_images_nothing_is_warned_of() -> None:
    parent = ParentSummary("wide", "0" * 64, ParentAccuracy(0.9, 0.01, 100))
    assert far_below_text(None, HeldOutAccuracy(0.1)) == far_below_text(parent, None) == ""
