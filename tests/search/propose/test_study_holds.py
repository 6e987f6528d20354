"""What a run's study.db holds, read with Optuna alone: what was measured, as the values that it was measured of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from archdsl.load.spaces import choices_of, space_of
from archdsl.load.specs import spec_of
from archdsl.search.policy import Policy
from archdsl.search.policy.propose import EvolutionPolicy, SamplerPolicy
from archdsl.search.predict.early_stopping import EarlyStopping
from archdsl.search.propose import study as local
from archdsl.search.propose.storage import open_storage
from archdsl.spaces.variables import variables
from tests.support.fake_worker import Machine
from tests.support.searching import SPACE, quicken, search, trials
from tests.support.studies import stored_study

WIDTHS = [16, 24, 32, 48]  # not evenly spaced
UNEVEN: dict[str, Any] = SPACE | {
    "nodes": [{"id": "stem", "type": "patch_stem", "width": {"$one_of": WIDTHS, "$name": "w"}}, *SPACE["nodes"][1:]]
}
OBJECTIVES = [["max proxy_accuracy", "min latency"], ["max proxy_accuracy"], ["min macs", "max proxy_accuracy"]]
RUNS = [("auto", OBJECTIVES[2]), ("nsga2", OBJECTIVES[0]), ("random", OBJECTIVES[1])]
SLOW_RUNS = [pytest.param(run, marks=pytest.mark.slow) for run in (("auto", OBJECTIVES[0]), ("gp", OBJECTIVES[1]))]


@pytest.fixture(scope="module", params=[*RUNS, *SLOW_RUNS], ids=lambda run: f"{run[0]}, {' and '.join(run[1])}")
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run in which some networks fell at the gate and the training of others was broken off."""
    sampler, objectives = request.param
    folder, machine = tmp_path_factory.mktemp("holds") / "run", Machine()
    machine.losses_tell = True
    limits = {4: 3.3}  # 4 - 3 times the accuracy, in the fake machine
    with pytest.MonkeyPatch.context() as patch:
        quicken(patch, folder.parent / "cache")
        patch.setattr(local, "open_storage", open_storage)
        patch.setattr(EarlyStopping, "limits", lambda *_: limits)
        asked = {"space": UNEVEN | {"objectives": objectives}, "sampler": sampler, "seed": 2}
        policy = Policy(samplers=SamplerPolicy(startup=8), evolution=EvolutionPolicy(least=8))
        search(folder, machine, policy=policy, trials=18, latency_budget_ms=3.5, **asked)
    return folder


@pytest.fixture
def study(run: Path) -> Iterator[optuna.Study]:
    with stored_study(f"sqlite:///{run}/study.db") as study:
        yield study


@pytest.fixture
def measured(study: optuna.Study, run: Path) -> list[tuple[FrozenTrial, dict[str, Any]]]:
    """Every trial that was measured, with its record."""
    by_hash = {trial.user_attrs["hash"]: trial for trial in study.trials if "hash" in trial.user_attrs}
    return [(by_hash[record["hash"]], record) for record in trials(run)]


def test_what_was_not_trained_to_the_end_has_no_accuracy_and_no_values(
    measured: list[tuple[FrozenTrial, dict[str, Any]]],
) -> None:
    fell = [(trial, record) for trial, record in measured if record["accuracy"] is None]
    assert {record["rung"] for _, record in fell} >= {"latency", "halving"}
    for trial, record in fell:
        assert trial.state == TrialState.PRUNED
        assert trial.values is None
        assert trial.intermediate_values == {}
        assert not [name for name in trial.user_attrs if "accuracy" in name]
        assert not set(trial.user_attrs.values()) & {other["accuracy"] for _, other in measured if other["accuracy"]}
        assert trial.user_attrs["latency_ms"] == record["latency"]
        assert (trial.user_attrs["params"], trial.user_attrs["macs"]) == (record["params"], record["macs"])
        assert trial.user_attrs["reason"] == record["reason"]


def test_pruned_trials_carry_how_far_they_are_over_the_gate_and_where_their_training_was_broken_off(
    study: optuna.Study, measured: list[tuple[FrozenTrial, dict[str, Any]]]
) -> None:
    gate_ms = study.user_attrs["latency gate, ms"]
    for trial, record in measured:
        if record["rung"] == "latency":
            assert trial.constraints == {"budget": record["latency"] / gate_ms - 1}
            assert trial.constraints["budget"] > 0
        else:
            assert trial.constraints["budget"] <= 0
        if record["rung"] == "halving":
            assert trial.user_attrs["running_loss"] == record["provenance"]["proxy"]["running"][-1]
    assert all(trial.constraints for trial in study.trials if trial.state == TrialState.PRUNED)


def test_what_was_trained_is_complete_with_what_was_measured_alone(
    measured: list[tuple[FrozenTrial, dict[str, Any]]], study: optuna.Study
) -> None:
    trained = [(trial, record) for trial, record in measured if record["accuracy"] is not None]
    names = {"proxy accuracy": "accuracy", "latency, ms": "latency", "MACs of an image": "macs"}
    for trial, record in trained:
        assert trial.state == TrialState.COMPLETE
        assert trial.values == [record[names[name]] for name in study.metric_names or ()]
    complete = [trial.number for trial in study.trials if trial.state == TrialState.COMPLETE]
    assert complete == sorted(trial.number for trial, _ in trained)


def test_parameters_are_the_very_values_of_the_network(
    measured: list[tuple[FrozenTrial, dict[str, Any]]], study: optuna.Study
) -> None:
    space = space_of(UNEVEN)
    for trial, record in measured:
        chosen = choices_of(space, spec_of(record["spec"]))
        assert chosen is not None
        assert {name: trial.params[name] for name in chosen} == chosen
        assert all(type(trial.params[name]) is type(value) for name, value in chosen.items())
    for trial in study.trials:
        assert all(trial.params[name] in variable.values for name, variable in variables(space.nodes).items())
    assert {trial.params["w"] for trial in study.trials} <= set(WIDTHS)
    assert study.trials[0].distributions["d1"] == optuna.distributions.IntDistribution(1, 4)


def test_importance_and_the_best_trials_are_of_what_was_trained(
    measured: list[tuple[FrozenTrial, dict[str, Any]]], study: optuna.Study
) -> None:
    trained = {trial.number for trial, record in measured if record["accuracy"] is not None}
    assert {trial.number for trial in study.best_trials} <= trained
    place = (study.metric_names or []).index("proxy accuracy")
    with pytest.warns(UserWarning, match="to achieve low `target` values"):
        shares = optuna.importance.get_param_importances(study, target=lambda trial: -trial.values[place])
    assert shares.keys() <= variables(space_of(UNEVEN).nodes).keys()
    assert sum(shares.values()) == pytest.approx(1)
