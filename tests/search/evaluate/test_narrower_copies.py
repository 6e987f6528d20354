"""Narrower copies of a parent: each is made once, and keeps all budgets."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import pytest

from archdsl import count
from archdsl.language.document import Spec
from archdsl.load.smaller import narrower, with_fewer_blocks
from archdsl.search.evaluate import narrower_copies
from archdsl.search.evaluate.narrower_copies import CopyMaker, NarrowerCopies
from archdsl.search.policy import SHIPPED
from tests.support.fake_worker import latency_of
from tests.support.narrowing import SPEC
from tests.support.searching import settings

LIBRARY, REACH = SHIPPED.inheritance.library, SHIPPED.reach


def copies_of(maker: CopyMaker) -> NarrowerCopies:
    bases = [with_fewer_blocks(SPEC, share) for share in REACH.depths]
    return NarrowerCopies(bases, maker, REACH, LIBRARY)


def test_each_copy_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[Spec]()

    def counting(spec: Spec) -> Iterator[tuple[Fraction, Spec]]:
        asked.append(spec)
        return narrower(spec)

    monkeypatch.setattr(narrower_copies, "narrower", counting)
    copies = copies_of(CopyMaker(settings()))
    for gate_ms in (4.0, 3.0, 2.0):
        copies.for_gate(gate_ms, latency_of)
    assert len(asked) == len(REACH.depths)


def test_copies_keep_the_gate_and_the_other_budgets() -> None:
    limit = count(SPEC).params // 8
    for copy in copies_of(CopyMaker(settings(params_budget=limit))).for_gate(4.0, latency_of):
        assert count(copy.spec).params <= limit
        assert latency_of(copy.spec) == copy.ms <= 4.0


def test_a_copy_that_was_too_slow_is_followed_by_one_that_would_have_kept_the_gate() -> None:
    copies = copies_of(CopyMaker(settings()))
    copies.begin(copies.for_gate(4.0, latency_of), "wide")
    first = copies.tried[0]
    again = copies.again(first, 1.5 * first.ms, 4.0, latency_of, "wide")
    assert again is not None
    assert again.ms == pytest.approx(1.5 * latency_of(again.spec))
    assert again.ms <= LIBRARY.margin * 4.0
    assert again.spec.name == f"wide-narrower-{len(copies.tried)}"
    last = again._replace(tries=LIBRARY.tries)
    assert copies.again(last, 1.5 * first.ms, 4.0, latency_of, "wide") is None


def test_where_no_copy_of_as_many_blocks_is_fast_enough_one_of_fewer_blocks_is() -> None:
    copies = copies_of(CopyMaker(settings()))
    copies.begin(copies.for_gate(4.0, latency_of), "wide")
    first = copies.tried[0]
    narrowest = [made.spec for made in CopyMaker(settings()).of(with_fewer_blocks(SPEC, REACH.depths[first.base]))][-1]
    scale = 1.01 * 4.0 / (LIBRARY.margin * latency_of(narrowest))
    again = copies.again(first, scale * first.ms, 4.0, latency_of, "wide")
    if again is not None:
        assert again.base > first.base
