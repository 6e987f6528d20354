"""The integer program chooses as trying every choice does, and says what cannot be had."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence

import pytest

from archdsl.deriving.choice import BudgetTooSmall, Option, Position, Solution, choose
from archdsl.errors import SearchError, WrongUse


def option(first: int, span: int, kl: float, ms: float, **costs: float) -> Option:
    return Option(tuple(("stage1", first + place) for place in range(span)), kl, {"latency": ms, **costs})


WHOLE = [option(0, 1, 0, 2), option(1, 1, 0, 2), option(2, 1, 0, 2)]
"""A parent of three blocks of 2 ms."""
EXCHANGED = [option(0, 1, 0.3, 1), option(1, 1, 0.1, 1), option(0, 2, 0.25, 1), option(0, 3, 5, 1)]


def every_choice(options: Sequence[Option], left: frozenset[Position]) -> Iterator[tuple[int, ...]]:
    if not left:
        yield ()
        return
    place = min(left)
    for number, each in enumerate(options):
        if place in each.positions and left.issuperset(each.positions):
            for rest in every_choice(options, left - set(each.positions)):
                yield (number, *rest)


def test_a_budget_that_the_parent_keeps_leaves_it_as_it_is() -> None:
    solution = choose(WHOLE + EXCHANGED, {"latency": 6})
    assert solution == Solution((0, 1, 2), 0, {"latency": 6})


def test_the_cheapest_exchange_is_taken_first_and_a_span_where_it_costs_less() -> None:
    one = choose(WHOLE + EXCHANGED, {"latency": 5})
    assert one is not None
    assert one.chosen == (0, 4, 2)
    span = choose(WHOLE + EXCHANGED, {"latency": 4})
    assert span is not None
    assert (span.chosen, span.kl) == ((5, 2), 0.25)


def test_without_spans_single_blocks_alone_are_taken() -> None:
    solution = choose(WHOLE + EXCHANGED, {"latency": 4}, spans=False)
    assert solution is not None
    assert solution.chosen == (3, 4, 2)


def test_a_second_solution_differs_in_two_positions() -> None:
    options = WHOLE + EXCHANGED
    first = choose(options, {"latency": 5})
    assert first is not None
    second = choose(options, {"latency": 5}, unlike=[first])
    assert second is not None
    assert second.chosen == (5, 2)
    near = choose(options, {"latency": 5}, unlike=[first], positions_apart=1)
    assert near is not None
    assert near.kl <= second.kl


def test_there_is_no_second_solution_where_all_are_excluded() -> None:
    options = [option(0, 1, 0, 2), option(1, 1, 0, 2)]
    first = choose(options, {})
    assert first is not None
    assert choose(options, {}, unlike=[first]) is None


def test_a_budget_out_of_reach_is_refused_with_the_least_that_can_be_had() -> None:
    with pytest.raises(
        BudgetTooSmall, match=r"no choice of blocks has latency of at most 0\.5; the least is 1"
    ) as refused:
        choose(WHOLE + EXCHANGED, {"latency": 0.5})
    assert (refused.value.metric, refused.value.least) == ("latency", 1)
    with pytest.raises(BudgetTooSmall, match="the least is 4"):
        choose(WHOLE + EXCHANGED, {"latency": 3}, spans=False)


def test_budgets_that_only_together_are_too_small_are_refused_with_the_least_of_one() -> None:
    options = [option(0, 1, 0, 1, params=10), option(0, 1, 0, 5, params=2)]
    with pytest.raises(BudgetTooSmall, match="latency of at most 4; the least is 5 within the budgets of params"):
        choose(options, {"latency": 4, "params": 5})


def test_a_limit_is_kept_exactly_though_the_solver_has_a_tolerance() -> None:
    options = [option(0, 1, 0, 28_000_001.0), option(0, 1, 1, 27_999_999.0)]
    solution = choose(options, {"latency": 28_000_000.0})
    assert solution is not None
    assert solution.chosen == (1,)


@pytest.mark.parametrize("seed", range(12))
def test_the_program_is_equal_to_trying_every_choice(seed: int) -> None:
    drawn = random.Random(seed)
    stages = {"stage1": 3, "stage2": 4}
    options: list[Option] = []
    for stage, depth in stages.items():
        for first, span in itertools.product(range(depth), (1, 1, 1, 2, 3)):
            if first + span <= depth:
                positions = tuple((stage, first + place) for place in range(span))
                costs = {"latency": drawn.uniform(0.1, 2), "params": float(drawn.randint(1, 50))}
                options.append(Option(positions, drawn.expovariate(5), costs))
    limits = {"latency": drawn.uniform(2, 8), "params": float(drawn.randint(40, 200))}
    choices = {
        tuple(sorted(chosen))
        for chosen in every_choice(options, frozenset((s, n) for s, depth in stages.items() for n in range(depth)))
    }
    inside = [
        sum(options[number].kl for number in chosen)
        for chosen in choices
        if all(sum(options[number].costs[name] for number in chosen) <= limit for name, limit in limits.items())
    ]
    if not inside:
        with pytest.raises(SearchError):
            choose(options, limits)
        return
    solution = choose(options, limits)
    assert solution is not None
    assert tuple(sorted(solution.chosen)) in choices
    assert solution.kl == pytest.approx(min(inside), abs=1e-9)
    assert all(solution.costs[name] <= limit for name, limit in limits.items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "at least one option"),
        ([Option((), 0, {})], "must cover different positions"),
        ([option(0, 1, float("nan"), 1)], "option 0 has no finite kl"),
        ([Option((("stage1", 0),), 0, {})], "option 0 has no finite latency"),
        ([option(0, 2, 0, 1)], "block 0 of stage1 has no option of its own"),
    ],
)
def test_options_that_do_not_hold_are_refused(options: list[Option], message: str) -> None:
    with pytest.raises(WrongUse, match=message):
        choose(options, {"latency": 1}, spans=False)
