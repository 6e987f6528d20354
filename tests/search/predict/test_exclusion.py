"""What is not exported: networks that the formula takes for too slow, and those that are predicted to be inaccurate."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.storages import InMemoryStorage

from archdsl.load.specs import load_spec, override
from archdsl.search.measurement import Measurement
from archdsl.search.network import Network
from archdsl.search.policy import SHIPPED
from archdsl.search.policy.predict import FormulaPolicy, PreselectionPolicy
from archdsl.search.predict.exclusion import LatencyFormula, PredictedAccuracy
from archdsl.search.predict.predictors import Predictors
from archdsl.search.propose import study
from archdsl.search.propose.candidates import random_candidate
from archdsl.search.propose.warm_start import earlier_latencies
from archdsl.search.store.folder import RunFolder
from archdsl.search.trial import Trial
from archdsl.spaces.variables import variables
from tests.support.fake_worker import Machine, accuracy_of, latency_of
from tests.support.searching import RANDOM, Lines, quicken, search, settings

OBJECTIVES = ["max proxy_accuracy", "min latency"]


def drawn(amount: int) -> list[Network]:
    """Different networks of the small space."""
    space, seen, generator = settings().space_document, set[str](), random.Random(0)
    networks = list[Network]()
    while len(networks) < amount:
        pair = random_candidate(space, variables(space.nodes), None, seen, generator, SHIPPED.drawing)
        assert pair is not None
        networks.append(pair[0])
        seen.add(pair[0].network_hash)
    return networks


NETWORKS = drawn(60)


def measured(network: Network, ms: float | None = None, undisturbed: int | None = 40) -> Trial:
    """A trial that was measured and trained."""
    counted = network.counted
    return Trial(
        0,
        network.network_hash,
        network.spec.to_json(),
        counted.params,
        counted.macs,
        latency_ms=latency_of(network.spec) if ms is None else ms,
        accuracy=accuracy_of(network.spec),
        measurement=Measurement(rounds=40, undisturbed=undisturbed, provenance={"device_name": "a machine"}),
    )


def test_only_what_is_over_the_gate_by_more_than_the_margin_is_too_slow() -> None:
    formula, policy = LatencyFormula(SHIPPED.formula), SHIPPED.formula
    for network in NETWORKS[: policy.enough - 1]:
        formula.learn(network.spec, latency_of(network.spec))
    spec = NETWORKS[-1].spec
    assert formula.too_slow(spec, 1e-3) is None
    formula.learn(NETWORKS[policy.enough].spec, latency_of(NETWORKS[policy.enough].spec))
    ms, fitted = formula.predicted(spec), formula.formula
    assert ms is not None
    assert fitted is not None
    margin = max(fitted.error_at(policy.margin_share), policy.least_margin)
    assert formula.too_slow(spec, ms / (1 + margin) * 1.001) is None
    reason = formula.too_slow(spec, ms / (1 + margin) * 0.999)
    assert reason is not None
    assert reason.startswith(f"predicted {ms:.2f} ms is too slow (gate ")
    assert "not measured" in reason
    assert str(fitted) in reason


def test_a_reading_without_an_undisturbed_round_teaches_the_formula_nothing() -> None:
    exact = [measured(network) for network in NETWORKS[:20]]
    wrong = [measured(network, ms=1000.0, undisturbed=0) for network in NETWORKS[20:30]]
    alone, both = (
        Predictors(trials, SHIPPED, 1e-2, None, OBJECTIVES, needs_export=True) for trials in (exact, exact + wrong)
    )
    assert alone.why_too_slow(NETWORKS[-1].spec) == both.why_too_slow(NETWORKS[-1].spec) is not None


def test_runtimes_that_export_nothing_need_no_formula() -> None:
    learned = Predictors([measured(network) for network in NETWORKS[:10]], SHIPPED, 1e-2, None, OBJECTIVES)
    assert not learned.surely_too_slow(NETWORKS[-1].spec)
    assert learned.why_too_inaccurate(NETWORKS[-1]) is None


def test_the_less_accurate_half_of_equal_or_cheaper_networks_is_not_exported() -> None:
    predictor = PredictedAccuracy(OBJECTIVES[:1], SHIPPED)
    by_accuracy = sorted(NETWORKS, key=lambda network: accuracy_of(network.spec))
    worst, best = by_accuracy[0], by_accuracy[-1]
    for network in by_accuracy[1:-1]:
        predictor.learn(measured(network))
    assert predictor.too_low(best, None) is None
    reason = predictor.too_low(worst, None)
    assert reason is not None
    assert "which the more accurate 50 % of equal-or-cheaper networks reach" in reason


def test_a_network_that_is_faster_than_all_others_is_never_too_inaccurate() -> None:
    predictor = PredictedAccuracy(OBJECTIVES, SHIPPED)
    for network in NETWORKS:
        predictor.learn(measured(network))
    worst = min(NETWORKS, key=lambda network: accuracy_of(network.spec))
    assert predictor.too_low(worst, 0.1) is None
    assert predictor.too_low(worst, None) is None
    assert predictor.too_low(worst, 100.0) is not None


def test_a_prediction_that_ranks_nothing_excludes_nothing() -> None:
    predictor = PredictedAccuracy(OBJECTIVES[:1], SHIPPED)
    for index, network in enumerate(NETWORKS):
        predictor.learn(replace(measured(network), accuracy=0.5 + 0.1 * (index % 2)))
    assert all(predictor.too_low(network, None) is None for network in NETWORKS)


def test_a_search_records_with_figures_what_it_does_not_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quicken(monkeypatch, tmp_path / "cache")
    storage = InMemoryStorage()
    monkeypatch.setattr(study, "open_storage", lambda url, locked_s: storage)
    lines = Lines()
    policy = replace(RANDOM, preselection=PreselectionPolicy(enough=4, least_correlation=0.2))
    result = search(
        tmp_path / "run",
        Machine(),
        watcher=lines,
        policy=policy,
        runtime="onnxruntime",
        latency_budget_ms=3.0,
        trials=25,
    )
    assert lines.state is not None
    assert result.trials == 25
    [kept] = optuna.get_all_study_summaries(storage)
    refused = [trial.user_attrs for trial in optuna.load_study(study_name=kept.study_name, storage=storage).trials]
    for rung, begins in (("predicted", "predicted "), ("preselection", "predicted accuracy ")):
        reasons = [attributes["reason"] for attributes in refused if attributes.get("rung") == rung]
        assert len(reasons) == lines.state.funnel[rung] > 0
        assert all(reason.startswith(begins) for reason in reasons)


def test_runs_that_measured_under_the_same_conditions_teach_the_formula(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quicken(monkeypatch, tmp_path / "cache")
    search(tmp_path / "a", runtime="onnxruntime", threads=1, trials=8)
    same, slower = settings(runtime="onnxruntime", threads=1), settings(runtime="openvino", threads=1)
    folder = RunFolder(tmp_path / "b")
    folder.begin(same, False, [str(tmp_path / "a"), str(tmp_path / "gone")])
    machine = "a machine"
    taken = earlier_latencies(folder, same, machine)
    assert len(taken) == 8
    assert all(ms == pytest.approx(latency_of(spec)) for spec, ms in taken)
    assert earlier_latencies(folder, slower, machine) == []
    assert earlier_latencies(folder, same, "another machine") == []
    learned = Predictors([], replace(SHIPPED, formula=FormulaPolicy(enough=8)), 1e-2, needs_export=True, earlier=taken)
    assert learned.why_too_slow(NETWORKS[0].spec) is not None
    folder.release()


def test_before_anything_passed_a_network_far_over_the_gate_is_left_out_by_the_parents_latency() -> None:
    parent = load_spec("litv2_s")
    small = override(parent, ["image=64"])
    known = Predictors([], SHIPPED, 1.0, needs_export=True, parent=(parent, 10.0))
    assert known.surely_too_slow(parent)
    assert not known.surely_too_slow(small)
    why = known.why_too_slow(parent)
    assert why is not None
    assert why.startswith("predicted 10.00 ms is more than 2 times the gate of 1.00 ms, not measured: ")
    assert why.endswith("by the parent's 10.00 ms")
    assert not Predictors([], SHIPPED, 6.0, needs_export=True, parent=(parent, 10.0)).surely_too_slow(parent)
    assert not Predictors([], SHIPPED, 1.0, needs_export=True).surely_too_slow(parent)


def test_what_the_parents_latency_lets_expect_is_corrected_by_each_measurement() -> None:
    parent = load_spec("litv2_s")
    small = override(parent, ["image=64"])
    formula = LatencyFormula(SHIPPED.formula, (parent, 10.0), SHIPPED.inheritance.library)
    assert formula.far_too_slow(small, 0.55) is None
    formula.learn(small, 5.0)
    assert formula.far_too_slow(small, 0.55) is not None
