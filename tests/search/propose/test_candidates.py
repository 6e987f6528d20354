"""Points drawn at random: what was drawn before is not looked at again, and the same networks are found."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from archdsl.load.spaces import space_of
from archdsl.search.network import Choices, Network
from archdsl.search.policy import SHIPPED
from archdsl.search.propose import candidates
from archdsl.search.propose.candidates import Drawn, random_candidate
from archdsl.spaces.variables import variables
from tests.support.searching import SPACE


def drawn(before: Drawn | None, **more: Any) -> list[tuple[Network, Choices] | None]:
    """Ten networks, each drawn among those that were not drawn before."""
    space, seen, generator = space_of(SPACE), set[str](), random.Random(0)
    pairs = []
    for _ in range(10):
        pair = random_candidate(
            space, variables(space.nodes), None, seen, generator, SHIPPED.drawing, 200, drawn_before=before, **more
        )
        if pair is not None:
            seen.add(pair[0].network_hash)
        pairs.append(pair)
    return pairs


def test_the_same_networks_are_found_with_and_without_what_was_drawn_before() -> None:
    assert [pair[1] for pair in drawn({}) if pair] == [pair[1] for pair in drawn(None) if pair] != []


def test_a_point_that_was_drawn_before_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at, candidate = Counter[str](), candidates.candidate

    def counted(space: Any, choose: Any, settings: Any) -> Network:
        looked_at[repr(choose.__self__)] += 1
        return candidate(space, choose, settings)

    monkeypatch.setattr(candidates, "candidate", counted)
    before: Drawn = {}
    assert drawn(before, is_hopeless=lambda network: True) == [None] * 10
    assert set(looked_at.values()) == {1}
    assert looked_at.keys() == before.keys()
    assert len(before) < 10 * 200
