"""The optimiser under the search: knobs as parameters, what trials end as, samplers that fail, the front."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from searching import SPACE

from archdsl import load_space
from archdsl.schema.variables import Variable, variables
from archdsl.search.results.front import front
from archdsl.search.settings import Sampler
from archdsl.search.study import samplers
from archdsl.search.study.knobs import decode, distribution, encode
from archdsl.search.study.local import Study
from archdsl.spaces import draw, space_of

OBJECTIVES = ("max proxy_accuracy", "min latency")
KNOBS = variables(space_of(SPACE).nodes)
Make = Callable[..., Study]


@pytest.fixture
def make() -> Iterator[Make]:
    """Studies in memory, closed at the end."""
    made: list[Study] = []

    def make(objectives: tuple[str, ...] = OBJECTIVES, seed: int = 0, sampler: Sampler = "auto") -> Study:
        made.append(Study("sqlite://", KNOBS, objectives, seed, resume=False, sampler=sampler))
        return made[-1]

    yield make
    for study in made:
        study.close()


def found(study: Study) -> list[optuna.trial.FrozenTrial]:
    return study._study.get_trials(deepcopy=False)


@pytest.mark.parametrize("name", ["lit-dat-64", "lit-dat-224"])
def test_every_value_of_every_knob_survives_being_a_parameter(name: str) -> None:
    for variable in variables(load_space(name).nodes).values():
        for value in variable.values:
            parameter = encode(variable, value)
            assert decode(variable, parameter) == value
            assert distribution(variable)._contains(distribution(variable).to_internal_repr(parameter))


@pytest.mark.parametrize(
    ("variable", "value", "parameter"),
    [
        (Variable("a", (1, 2, 4)), 4, 2),
        (Variable("a", (0.3, 0.6, 0.9)), 0.9, 2),
        (Variable("a", (4, 2)), 2, "2"),
        (Variable("a", (False, True)), True, "True"),
        (Variable("a", ("mlp", "hilo"), is_label=True), "hilo", "hilo"),
        (Variable("a", (), 0.1, 0.9), 0.5, 0.5),
    ],
)
def test_ordered_values_are_indices_and_others_are_categories(variable: Variable, value: Any, parameter: Any) -> None:
    assert encode(variable, value) == parameter
    assert decode(variable, parameter) == value


def test_every_trial_has_every_knob_under_one_name(make: Make) -> None:
    study = make()
    trial, choices = study.ask()
    assert choices.keys() == KNOBS.keys() == trial.params.keys()
    assert all(choices[name] in variable.values for name, variable in KNOBS.items())


def test_gated_trials_complete_and_refused_ones_are_pruned_all_with_their_constraint(make: Make) -> None:
    study = make()
    for accuracy in (0.4, 0.6):
        study.trained(study.ask()[0], {"proxy_accuracy": accuracy, "latency": 3.0})
    study.gated(study.ask()[0], 0.5, {"latency": 9.0})
    study.refused(study.ask()[0], "static")
    study.refused(study.ask()[0])
    assert [trial.state for trial in found(study)] == [TrialState.COMPLETE] * 3 + [TrialState.PRUNED] * 2
    assert [trial.constraints["budget"] for trial in found(study)] == [-1.0, -1.0, 0.5, 1.0, 1.0]
    assert found(study)[2].values == [0.5, 9.0]  # the mean of what was trained
    assert study.refusals() == [None, None, None, "static", None]
    assert [trial.number for trial in study._study.best_trials] == [1]


def test_a_point_that_is_enqueued_comes_next_and_once(make: Make) -> None:
    study, point = make(), {name: variable.values[-1] for name, variable in KNOBS.items()}
    study.enqueue(point)
    study.enqueue(point)
    assert study.has_waiting
    assert study.ask()[1] == point
    assert not study.has_waiting
    study.enqueue(point, again=True)
    assert study.ask()[1] == point


def values(generator: random.Random) -> dict[str, float]:
    return {"proxy_accuracy": generator.random(), "latency": 5 * generator.random()}


def test_equal_seeds_ask_for_equal_points(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samplers, "STARTUP", 2)

    def points(seed: int) -> list[dict[str, Any]]:
        study, generator, asked = make(seed=seed, sampler="gp"), random.Random(0), []
        for _ in range(3):
            trial, point = study.ask()
            asked.append(point)
            study.trained(trial, values(generator))
        return asked

    assert points(3) == points(3)
    assert points(3) != points(4)


DEGENERATE: dict[str, Callable[[Study, optuna.Trial, int], None]] = {
    "all gated": lambda study, trial, number: study.gated(trial, 1.0, {"latency": 9.0 + number}),
    "all gated alike": lambda study, trial, number: study.gated(trial, 1.0, {"latency": 9.0}),
    "all equal": lambda study, trial, number: study.trained(trial, {"proxy_accuracy": 0.1, "latency": 2.0}),
    "huge": lambda study, trial, number: study.trained(trial, {"proxy_accuracy": 0.1 * number, "latency": 1e300}),
}


@pytest.mark.parametrize("objectives", [OBJECTIVES, ("max proxy_accuracy",)])
@pytest.mark.parametrize("case", DEGENERATE)
def test_the_gaussian_process_takes_what_says_nothing(
    make: Make, monkeypatch: pytest.MonkeyPatch, case: str, objectives: tuple[str, ...]
) -> None:
    monkeypatch.setattr(samplers, "STARTUP", 1)
    study = make(objectives, sampler="gp")
    for number in range(3):
        trial, point = study.ask()
        assert point.keys() == KNOBS.keys()
        DEGENERATE[case](study, trial, number)


def test_a_sampler_that_fails_is_replaced_by_chance(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(samplers, "STARTUP", 1)
    monkeypatch.setattr(optuna.samplers.GPSampler, "sample_relative", broken)
    study = make(sampler="gp")
    for _ in range(3):
        trial, point = study.ask()
        assert point.keys() == KNOBS.keys()
        study.trained(trial, {"proxy_accuracy": 0.1, "latency": 2.0})
    assert [trial.state for trial in found(study)] == [TrialState.COMPLETE] * 3


def test_after_many_trials_tpe_takes_over(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samplers, "STARTUP", 2)
    monkeypatch.setattr(samplers, "MOST_GP", 3)
    study, generator, used = make(sampler="gp"), random.Random(0), []
    for _ in range(6):
        trial, _ = study.ask()
        used.append(type(study._study.sampler).__name__)
        study.trained(trial, values(generator))
    assert used == ["RandomSampler"] * 2 + ["GPSampler"] * 2 + ["TPESampler"] * 2


@pytest.mark.parametrize(
    ("sampler", "later"),
    [("auto", "RandomSampler"), ("evolution", "RandomSampler"), ("random", "RandomSampler"), ("tpe", "TPESampler")],
)
def test_the_sampler_that_was_asked_for_proposes(
    make: Make, monkeypatch: pytest.MonkeyPatch, sampler: Sampler, later: str
) -> None:
    monkeypatch.setattr(samplers, "STARTUP", 2)
    monkeypatch.setattr(samplers, "MOST_GP", 3)
    study, generator, used = make(sampler=sampler), random.Random(0), []
    for _ in range(6):
        trial, _ = study.ask()
        used.append(type(study._study.sampler).__name__)
        study.trained(trial, values(generator))
    assert used == ["RandomSampler"] * 2 + [later] * 4


def test_generations_of_nsga2_are_bred_of_the_ones_before(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samplers, "POPULATION", 4)
    study, generator, asked = make(sampler="nsga2"), random.Random(0), []
    for _ in range(12):
        trial, point = study.ask()
        asked.append(point)
        study.trained(trial, values(generator))
    assert all(key.startswith("NSGAIISampler") for trial in found(study) for key in trial.system_attrs if "NSGA" in key)
    generations = {value for trial in found(study) for key, value in trial.system_attrs.items() if "generation" in key}
    assert generations >= {0, 1, 2}


def test_what_was_completed_is_told_with_its_choices(make: Make) -> None:
    study = make()
    for number, is_inside in enumerate((True, False)):
        trial, point = study.ask()
        if is_inside:
            study.trained(trial, {"proxy_accuracy": 0.5, "latency": 2.0})
        else:
            study.gated(trial, 1.0, {"latency": 9.0})
        last = study.completed()[number]
        assert (last.choices, last.is_inside, last.is_trained) == (point, is_inside, is_inside)
    assert study.completed()[0].values == (0.5, 2.0)
    study.halved(study.ask()[0], {"latency": 1.0})
    assert (study.completed()[2].is_inside, study.completed()[2].is_trained) == (True, False)


def test_drawn_points_are_uniform_over_the_values() -> None:
    generator, variable = random.Random(0), Variable("a", (1, 2, 3))
    assert {draw(variable, generator) for _ in range(50)} == {1, 2, 3}


def record(name: str, accuracy: float, latency: float, params: int = 1) -> dict[str, Any]:
    return {"hash": name, "accuracy": accuracy, "latency": latency, "params": params, "macs": params}


def test_the_front_holds_what_nothing_beats_in_everything_the_most_accurate_first() -> None:
    records = [record("a", 0.5, 3.0), record("b", 0.6, 3.0), record("c", 0.4, 1.0), record("d", 0.4, 2.0)]
    assert [found["hash"] for found in front(records, OBJECTIVES)] == ["b", "c"]
    assert [found["hash"] for found in front(records, ("max proxy_accuracy",))] == ["b"]
    assert [found["hash"] for found in front(records, ("min params", "min macs"))] == ["b", "a", "c", "d"]
    assert front([], OBJECTIVES) == []


def test_equal_networks_stand_on_the_front_once() -> None:
    assert len(front([record("a", 0.5, 3.0), record("a", 0.5, 3.0)], OBJECTIVES)) == 1
