"""The formula of MACs and operators that predicts the latency of exported networks."""

from __future__ import annotations

import random
from statistics import median

import pytest

from archdsl import load_spec, override
from archdsl.cost import count
from archdsl.families.common.stage import Stage
from archdsl.search.policy.predict import FormulaPolicy
from archdsl.search.predict.formula import Formula, Terms, corrected, fitted, terms_of
from archdsl.search.predict.operators import BLOCKS, operators

POLICY = FormulaPolicy()


def measured(amount: int, per_mmac: float, per_100: float, noise: float = 0.0) -> list[tuple[Terms, float]]:
    """Networks of a machine on which the formula holds, up to noise."""
    drawn = random.Random(0)
    terms = [Terms(drawn.uniform(5e6, 150e6), drawn.uniform(200, 900)) for _ in range(amount)]
    exact = Formula(per_mmac, per_100, (0.0,))
    return [(each, exact.predict(each) * drawn.uniform(1 - noise, 1 + noise)) for each in terms]


def test_the_coefficients_of_a_machine_are_found_again() -> None:
    formula = fitted(measured(POLICY.enough, 0.05, 0.11), POLICY)
    assert formula is not None
    assert formula.ms_per_mmac == pytest.approx(0.05)
    assert formula.ms_per_100_operators == pytest.approx(0.11)
    assert formula.error_at(1.0) == pytest.approx(0, abs=1e-9)


def test_nothing_is_fitted_to_fewer_networks_than_enough() -> None:
    assert fitted(measured(POLICY.enough - 1, 0.05, 0.11), POLICY) is None


def test_no_coefficient_is_negative_where_a_plain_fit_would_make_it_so() -> None:
    networks = [(Terms(1e7 * mmacs, 1000 - 90 * mmacs), 0.5 * mmacs) for mmacs in range(1, 9)]
    slower = [(terms, ms * (1 + 0.05 * (terms.macs / 1e8))) for terms, ms in networks]
    formula = fitted(slower, POLICY)
    assert formula is not None
    assert formula.ms_per_mmac > 0
    assert formula.ms_per_100_operators == 0


def test_the_error_is_that_of_networks_left_out() -> None:
    networks = measured(12, 0.05, 0.11, noise=0.1)
    formula = fitted(networks, POLICY)
    assert formula is not None
    left_out = []
    for index, (terms, ms) in enumerate(networks):
        other = fitted(networks[:index] + networks[index + 1 :], POLICY)
        assert other is not None
        left_out.append(abs(other.predict(terms) / ms - 1))
    assert formula.errors == pytest.approx(sorted(left_out))
    assert formula.error_at(0.0) == pytest.approx(min(left_out))
    assert formula.error_at(1.0) == pytest.approx(max(left_out))


def test_a_latency_of_zero_is_refused() -> None:
    networks = measured(POLICY.enough, 0.05, 0.11)
    with pytest.raises(ValueError, match="latencies must be above 0 ms; got 0"):
        fitted([*networks, (networks[0][0], 0.0)], POLICY)


def test_terms_are_the_macs_of_an_image_and_the_operators_of_all_blocks() -> None:
    spec = load_spec("litv2_s")
    assert terms_of(spec) == Terms(count(spec).macs, operators(spec))
    deeper = override(spec, ["stage3.depth=7"])
    assert operators(deeper) - operators(spec) == (7 - 6) * BLOCKS["hilo"]


def test_a_type_that_was_not_counted_counts_as_the_median_of_the_others() -> None:
    spec = load_spec("litv2_s")
    without = {kind: number for kind, number in BLOCKS.items() if kind != "hilo"}
    blocks = sum(node.depth for node in spec.nodes if isinstance(node, Stage) and getattr(node, "type", "") == "hilo")
    assert blocks > 0
    assert operators(spec) - operators(spec, without) == blocks * (BLOCKS["hilo"] - median(without.values()))


def test_a_prior_is_corrected_to_pass_through_one_network_and_near_a_few_others() -> None:
    """The prior has one ratio of the coefficients, the machine another one and another level."""
    prior, machine = Formula(0.03, 0.3, (0.0,)), Formula(0.02, 0.6, (0.0,))
    whole = (Terms(80e6, 600), machine.predict(Terms(80e6, 600)))
    other, unseen = Terms(30e6, 400), Terms(50e6, 300)
    alone = corrected(prior, whole, [], 0.1)
    assert alone.predict(whole[0]) == pytest.approx(whole[1], rel=1e-3)
    assert alone.ms_per_mmac / alone.ms_per_100_operators == pytest.approx(0.1, rel=1e-3)
    with_another = corrected(prior, whole, [(other, machine.predict(other))], 0.01)
    assert with_another.predict(whole[0]) == pytest.approx(whole[1], rel=1e-3)
    assert with_another.predict(unseen) == pytest.approx(machine.predict(unseen), rel=0.02)
    assert abs(alone.predict(unseen) / machine.predict(unseen) - 1) > 0.05
