"""The optimiser under the search: knobs as parameters, what trials end as, samplers that fail, the front."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from archdsl.load.spaces import draw, space_of
from archdsl.search.config import Sampler
from archdsl.search.policy import Policy
from archdsl.search.policy.propose import SamplerPolicy
from archdsl.search.propose import samplers
from archdsl.search.propose.study import Study
from archdsl.search.store.front import front
from archdsl.search.trial import Trial
from archdsl.spaces.variables import Variable, variables
from tests.support import trials
from tests.support.searching import SPACE
from tests.support.studies import stored_study

OBJECTIVES = ("max proxy_accuracy", "min latency")
KNOBS = variables(space_of(SPACE).nodes)
Make = Callable[..., Study]
Found = Callable[[Study], list[optuna.trial.FrozenTrial]]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Of the database that the studies of a test share."""
    return f"sqlite:///{tmp_path}/studies.db"


@pytest.fixture
def make(url: str) -> Iterator[Make]:
    """Studies with names of their own, closed at the end."""
    made: list[Study] = []

    def make(
        objectives: tuple[str, ...] = OBJECTIVES, seed: int = 0, sampler: Sampler = "auto", **numbers: int
    ) -> Study:
        name, policy = f"study-{len(made)}", Policy(samplers=SamplerPolicy(**numbers))
        made.append(Study(url, KNOBS, objectives, seed, resume=False, name=name, sampler=sampler, policy=policy))
        return made[-1]

    yield make
    for study in made:
        study.close()


@pytest.fixture
def found(url: str) -> Found:
    """What the database holds of a study."""

    def read(study: Study) -> list[optuna.trial.FrozenTrial]:
        with stored_study(url, study.name) as stored:
            return stored.trials

    return read


def test_every_trial_has_every_knob_under_one_name(make: Make) -> None:
    study = make()
    trial, choices = study.ask()
    assert choices.keys() == KNOBS.keys() == trial.params.keys()
    assert all(choices[name] in variable.values for name, variable in KNOBS.items())


def test_what_was_not_trained_to_the_end_is_pruned_with_its_constraint_and_what_was_measured(
    make: Make, found: Found, url: str
) -> None:
    study = make()
    for accuracy in (0.4, 0.6):
        study.trained(study.ask()[0], {"proxy_accuracy": accuracy, "latency": 3.0})
    study.gated(study.ask()[0], 0.5, {"latency": 9.0})
    study.halved(study.ask()[0], {"latency": 2.0})
    study.refused(study.ask()[0], "static")
    study.refused(study.ask()[0])
    study.refused(study.ask()[0], is_inside=True)
    assert [trial.state for trial in found(study)] == [TrialState.COMPLETE] * 2 + [TrialState.PRUNED] * 5
    assert [trial.constraints["budget"] for trial in found(study)] == [-1.0, -1.0, 0.5, -1.0, 1.0, 1.0, -1.0]
    assert [trial.user_attrs.get("latency_ms") for trial in found(study)[2:4]] == [9.0, 2.0]
    assert all(trial.values is None for trial in found(study)[2:])
    assert study.refusals() == [None] * 4 + ["static", None, None]
    with stored_study(url, study.name) as stored:
        assert [trial.number for trial in stored.best_trials] == [1]


def test_what_is_filled_in_for_models_is_of_what_was_trained_by_then(make: Make) -> None:
    """The mean for what fell at the gate, the least for what was broken off, and never anything that was filled in."""
    study = make(("max proxy_accuracy", "min latency", "min macs"))
    under_way = study.ask()[0]
    study.gated(study.ask()[0], 0.5, {"latency": 9.0, "macs": 7.0, "params": 5.0})
    for accuracy in (0.4, 0.6):
        study.trained(study.ask()[0], {"proxy_accuracy": accuracy, "latency": 3.0, "macs": 1.0})
    study.halved(study.ask()[0], {"latency": 2.0, "macs": 8.0})
    study.gated(study.ask()[0], 0.5, {"latency": 9.0, "macs": 7.0})
    study.trained(under_way, {"proxy_accuracy": 0.1, "latency": 1.0, "macs": 1.0})
    study.halved(study.ask()[0], {"latency": 2.0, "macs": 8.0})
    values = [trial.values for trial in study.completed()]
    assert values[1] == (0.0, 9.0, 7.0)
    assert values[4:] == [(0.4, 2.0, 8.0), (0.5, 9.0, 7.0), (0.1, 2.0, 8.0)]
    assert [trial.is_trained for trial in study.completed()] == [True, False, True, True, False, False, False]


@pytest.mark.parametrize("sampler", ["gp", "tpe", "nsga2"])
def test_models_see_measured_trials_in_full_and_places_instead_of_values(
    make: Make, found: Found, monkeypatch: pytest.MonkeyPatch, sampler: Sampler
) -> None:
    study, seen, proposed = make(sampler=sampler, startup=1), list[list[optuna.trial.FrozenTrial]](), samplers.sampler

    def watched(*arguments: Any) -> optuna.samplers.BaseSampler:
        made = proposed(*arguments)
        begin = made.before_trial

        def before_trial(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
            seen.append(study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED)))
            begin(study, trial)

        monkeypatch.setattr(made, "before_trial", before_trial)
        return made

    monkeypatch.setattr(samplers, "sampler", watched)
    study.trained(study.ask()[0], {"proxy_accuracy": 0.4, "latency": 3.0})
    study.gated(study.ask()[0], 0.5, {"latency": 9.0})
    study.halved(study.ask()[0], {"latency": 2.0})
    study.refused(study.ask()[0], is_inside=True)
    chosen = study.ask()[1]
    assert [trial.values for trial in seen[-1]] == [[0.4, 3.0], [0.4, 9.0], [0.4, 2.0], None]
    assert [trial.constraints["budget"] for trial in seen[-1]] == [-1.0, 0.5, -1.0, 1.0]
    for trial, stored in zip(seen[-1], found(study), strict=False):
        assert {name: KNOBS[name].values[place] for name, place in trial.params.items()} == stored.params
    assert found(study)[-1].params == chosen


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


def test_equal_seeds_ask_for_equal_points(make: Make) -> None:
    def points(seed: int) -> list[dict[str, Any]]:
        study, generator, asked = make(seed=seed, sampler="gp", startup=2), random.Random(0), []
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
def test_the_gaussian_process_takes_what_says_nothing(make: Make, case: str, objectives: tuple[str, ...]) -> None:
    study = make(objectives, sampler="gp", startup=1)
    for number in range(3):
        trial, point = study.ask()
        assert point.keys() == KNOBS.keys()
        DEGENERATE[case](study, trial, number)


def test_a_sampler_that_fails_is_replaced_by_chance(make: Make, found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(optuna.samplers.GPSampler, "sample_relative", broken)
    study = make(sampler="gp", startup=1)
    for _ in range(3):
        trial, point = study.ask()
        assert point.keys() == KNOBS.keys()
        study.trained(trial, {"proxy_accuracy": 0.1, "latency": 2.0})
    assert [trial.state for trial in found(study)] == [TrialState.COMPLETE] * 3


def used_samplers(make: Make, sampler: Sampler, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which of Optuna's propose each of six trials, a model after two of them and TPE after four."""
    study = make(sampler=sampler, startup=2, most_gp=3)
    generator, used, choose = random.Random(0), list[str](), samplers.sampler

    def watched(*arguments: Any) -> optuna.samplers.BaseSampler:
        made = choose(*arguments)
        used.append(type(made).__name__)
        return made

    monkeypatch.setattr(samplers, "sampler", watched)
    for _ in range(6):
        study.trained(study.ask()[0], values(generator))
    return used


def test_after_many_trials_tpe_takes_over(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    used = used_samplers(make, "gp", monkeypatch)
    assert used == ["RandomSampler"] * 2 + ["GPSampler"] * 2 + ["TPESampler"] * 2


@pytest.mark.parametrize(
    ("sampler", "later"),
    [("auto", "RandomSampler"), ("evolution", "RandomSampler"), ("random", "RandomSampler"), ("tpe", "TPESampler")],
)
def test_the_sampler_that_was_asked_for_proposes(
    make: Make, monkeypatch: pytest.MonkeyPatch, sampler: Sampler, later: str
) -> None:
    assert used_samplers(make, sampler, monkeypatch) == ["RandomSampler"] * 2 + [later] * 4


def test_generations_of_nsga2_are_bred_of_the_ones_before(make: Make, found: Found) -> None:
    study, generator, asked = make(sampler="nsga2", population=4), random.Random(0), []
    for _ in range(12):
        trial, point = study.ask()
        asked.append(point)
        study.trained(trial, values(generator))
    generations = [trial.user_attrs["NSGAIISampler:generation"] for trial in found(study)]
    assert generations == [0] * 4 + [1] * 4 + [2] * 4


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


def record(name: str, accuracy: float, latency: float) -> Trial:
    return trials.trial(network_hash=name, accuracy=accuracy, latency_ms=latency)


def test_the_front_holds_what_nothing_beats_in_everything_the_most_accurate_first() -> None:
    records = [record("a", 0.5, 3.0), record("b", 0.6, 3.0), record("c", 0.4, 1.0), record("d", 0.4, 2.0)]
    assert [found.network_hash for found in front(records, OBJECTIVES)] == ["b", "c"]
    assert [found.network_hash for found in front(records, ("max proxy_accuracy",))] == ["b"]
    assert [found.network_hash for found in front(records, ("min params", "min macs"))] == ["b", "a", "c", "d"]
    assert front([], OBJECTIVES) == []


def test_equal_networks_stand_on_the_front_once() -> None:
    assert len(front([record("a", 0.5, 3.0), record("a", 0.5, 3.0)], OBJECTIVES)) == 1
