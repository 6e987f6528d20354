"""Evolution as a sampler of Optuna, used without archdsl: Optuna's own tests of samplers, and what else it promises."""

from __future__ import annotations

import copy
import json
import math
import pickle
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import optuna
import pytest
from optuna.samplers import BaseSampler, RandomSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase, MultiObjectiveSamplerTestCase, RelativeSamplerTestCase
from optuna.trial import TrialState

from archdsl.search.propose.acquisition import Prediction
from archdsl.search.propose.evolution import EvolutionSampler
from tests.support.places import ROOT

PAGE = ROOT / "docs" / "how-to" / "evolution-sampler.md"
Params = Mapping[str, Any]
Objective = Callable[[optuna.Trial], Any]


class TestEvolutionSampler(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    """As it is by default: the first trials are drawn at random."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: EvolutionSampler(seed=0)


class TestEvolutionFromTheFirstTrialOn(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    """Each trial after the first is bred, so that nothing passes by falling back to random draws."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: EvolutionSampler(seed=0, n_startup_trials=0)


class Refusing(RandomSampler):
    """Draws nothing."""

    def sample_independent(self, *arguments: Any) -> Any:
        raise AssertionError("a parameter was drawn by itself")


def studied(sampler: BaseSampler, objective: Objective, trials: int, *directions: str) -> optuna.Study:
    study = optuna.create_study(sampler=sampler, directions=list(directions or ["minimize"]))  # type: ignore[arg-type]
    study.optimize(objective, n_trials=trials)
    return study


def mixed(trial: optuna.Trial) -> float:
    """0 at best."""
    kind = trial.suggest_categorical("kind", ["a", "b", "c"])
    count, rate = trial.suggest_int("count", 1, 50), trial.suggest_float("rate", 1e-5, 1, log=True)
    return abs(count - 23) / 10 + {"a": 1, "b": 0, "c": 0.5}[kind] + abs(math.log10(rate) + 2.5)


def grid(trial: optuna.Trial) -> float:
    """Of twelve points."""
    return trial.suggest_int("x", 0, 3) + float(trial.suggest_categorical("y", [0, 1, 2]))


def conditional(trial: optuna.Trial) -> float:
    """Of seven points: one kind has a number, the other a category."""
    if trial.suggest_categorical("kind", ["number", "category"]) == "number":
        return float(trial.suggest_int("number", 0, 3))
    return float(trial.suggest_categorical("category", [0, 1, 2]))


@pytest.mark.parametrize("seed", range(5))
def test_it_comes_far_nearer_to_the_best_than_random_draws(seed: int) -> None:
    evolved, drawn = (
        studied(each, mixed, 50).best_value for each in (EvolutionSampler(seed), RandomSampler(seed=seed))
    )
    assert evolved < drawn / 3


def test_to_maximise_is_to_minimise_what_is_negative() -> None:
    least = studied(EvolutionSampler(seed=1), mixed, 25)
    most = studied(EvolutionSampler(seed=1), lambda trial: -mixed(trial), 25, "maximize")
    assert [trial.params for trial in least.trials] == [trial.params for trial in most.trials]


def test_equal_seeds_propose_equal_points_and_others_do_not() -> None:
    runs = [[trial.params for trial in studied(EvolutionSampler(seed), mixed, 15).trials] for seed in (3, 3, 4)]
    assert runs[0] == runs[1] != runs[2]


def test_copies_draw_alike_until_they_are_reseeded() -> None:
    study = studied(EvolutionSampler(seed=0), mixed, 12)
    trial = study.ask()
    frozen = study.trials[trial.number]
    space = study.sampler.infer_relative_search_space(study, frozen)
    copies = [copy.deepcopy(study.sampler), pickle.loads(pickle.dumps(study.sampler)), copy.deepcopy(study.sampler)]
    copies[2].reseed_rng()
    points = [[each.sample_relative(study, frozen, space) for _ in range(8)] for each in copies]
    assert points[0] == points[1] != points[2]


@pytest.mark.parametrize(("objective", "points"), [(grid, 12), (conditional, 7)])
def test_no_point_is_tried_again_before_all_were_tried(objective: Objective, points: int) -> None:
    study = studied(EvolutionSampler(seed=0, n_startup_trials=1), objective, points + 3)
    tried = [tuple(trial.params.items()) for trial in study.trials]
    assert len(set(tried[:points])) == points


def test_a_point_that_is_under_way_is_not_proposed_beside_it() -> None:
    study = studied(EvolutionSampler(seed=0, n_startup_trials=1), grid, 4)
    for _ in range(8):
        grid(study.ask())
    assert len({tuple(trial.params.items()) for trial in study.trials}) == 12


def test_a_pruned_point_is_not_tried_again_and_a_failed_one_may_be() -> None:
    study = studied(EvolutionSampler(seed=0, n_startup_trials=1), grid, 11)
    last = study.ask()
    grid(last)
    study.tell(last, state=TrialState.FAIL)
    again = study.ask()
    grid(again)
    assert again.params == last.params
    study.tell(again, state=TrialState.PRUNED)
    repeated = study.ask()
    grid(repeated)
    assert repeated.params != last.params


def test_constraints_are_kept_more_often_than_by_chance_and_used_up_to_their_edge() -> None:
    """A quarter of random points keep this one; the best of them lie at its edge."""

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        trial.set_constraint("sum", x + y - math.sqrt(0.5))
        return x + 2 * y, x

    study = studied(EvolutionSampler(seed=0), objective, 50, "maximize", "minimize")
    kept = [trial.constraints["sum"] <= 0 for trial in study.trials]
    assert sum(kept[30:]) >= 10  # of 20, by chance 5
    assert 1.38 < max(trial.values[0] for trial in study.best_trials) <= math.sqrt(2)


def test_infinite_values_and_ranges_that_change_do_no_harm() -> None:
    def objective(trial: optuna.Trial) -> float:
        high = 1.0 if trial.number < 12 else 2.0
        value = trial.suggest_float("x", 0, high)
        return math.inf if trial.number % 4 == 0 else value

    study = studied(EvolutionSampler(seed=0, n_startup_trials=3), objective, 20)
    assert study.best_value < 0.2


def total(params: Params) -> int:
    """The sum of two whole coordinates."""
    x, y = params["x"], params["y"]
    assert isinstance(x, int)
    assert isinstance(y, int)
    return x + y


def test_what_a_caller_knows_of_its_points_is_used() -> None:
    """Points of equal sums are one, odd ones are refused, and what is predicted is not modelled."""
    asked = list[Params]()

    def predict(params: Params) -> Prediction:
        asked.append(params)
        return Prediction([float(total(params))])

    sampler = EvolutionSampler(
        seed=0,
        n_startup_trials=1,
        identify=lambda params: total(params),
        refuse=lambda params: bool(total(params) % 2),
        features=lambda params: {"sum": float(total(params))},
        predict=predict,
    )
    study = optuna.create_study(sampler=sampler)
    study.enqueue_trial({"x": 9, "y": 9})
    study.optimize(lambda trial: trial.suggest_int("x", 0, 9) + trial.suggest_int("y", 0, 9), n_trials=10)
    assert [trial.value for trial in study.trials][:2] == [18, 0]
    assert {trial.value for trial in study.trials} == set(range(0, 20, 2))
    assert all(total(params) % 2 == 0 for params in asked)


def test_with_a_search_space_all_parameters_are_bred_together() -> None:
    space = {"x": optuna.distributions.IntDistribution(0, 9), "y": optuna.distributions.FloatDistribution(0, 1)}
    sampler = EvolutionSampler(seed=0, n_startup_trials=0, search_space=space, independent_sampler=Refusing())
    study = optuna.create_study(sampler=sampler)
    study.enqueue_trial({"x": 5, "y": 0.5})
    study.optimize(lambda trial: trial.suggest_int("x", 0, 9) + trial.suggest_float("y", 0, 1), n_trials=15)
    assert study.best_value < 1


def test_an_objective_that_is_modelled_by_its_logarithm_is_above_0() -> None:
    sampler = EvolutionSampler(seed=0, n_startup_trials=1, log_objectives=[0])
    rule = "objective 0 is modelled by its logarithm, so that all its values must be above 0; got -1"
    with pytest.raises(ValueError, match=f"^{rule}$"):
        studied(sampler, lambda trial: trial.suggest_float("x", 0, 1) * 0 - 1, 3)


def test_it_is_imported_without_torch() -> None:
    code = "import sys, archdsl.search.propose.evolution; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_page_on_the_sampler_quotes_the_recorded_comparison() -> None:
    made = runpy.run_path(str(ROOT / "benchmarks" / "sampler_plain.py"))["table"]
    result = json.loads((ROOT / "benchmarks" / "results" / "sampler_plain.json").read_text())
    page = PAGE.read_text()
    assert f"<!-- figures -->\n{made(result)}<!-- end of figures -->" in page


def test_it_is_ahead_of_random_draws_in_the_recorded_comparison() -> None:
    result = json.loads((ROOT / "benchmarks" / "results" / "sampler_plain.json").read_text())
    assert result["seeds"] == 20
    for problem in result["problems"].values():
        assert problem["evolution_is_ahead_of"]["RandomSampler"] > 15  # by chance in 1 of 170 comparisons of equals
        evolved, drawn = (problem["samplers"][name]["median"] for name in ("EvolutionSampler", "RandomSampler"))
        assert evolved > drawn


def test_the_page_says_which_samplers_are_ahead() -> None:
    problems = json.loads((ROOT / "benchmarks" / "results" / "sampler_plain.json").read_text())["problems"]
    assert all(problem["evolution_is_ahead_of"]["NSGAIISampler"] > 15 for problem in problems.values())
    assert problems["formula"]["evolution_is_ahead_of"]["TPESampler"] < 10
    assert problems["table"]["evolution_is_ahead_of"]["TPESampler"] > 15


def test_the_example_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    verbosity = optuna.logging.get_verbosity()
    try:
        exec(code, {})
    finally:
        optuna.logging.set_verbosity(verbosity)
    assert f"```text\n{capsys.readouterr().out}```" in PAGE.read_text()
