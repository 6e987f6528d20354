"""Samplers propose what they would of a study that held places and filled-in accuracies, as earlier versions did."""

from __future__ import annotations

import random
import statistics
import warnings
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from archdsl.load.spaces import space_of
from archdsl.search.config import Sampler
from archdsl.search.policy import Policy
from archdsl.search.policy.propose import SamplerPolicy
from archdsl.search.propose import samplers
from archdsl.search.propose.distributions import as_places, choices
from archdsl.search.propose.study import Study
from archdsl.spaces.variables import variables
from tests.support.searching import SPACE
from tests.support.studies import stored_study

WIDTHS = {"$one_of": [16, 32, 64, 96], "$name": "w"}  # in order, and not evenly spaced
UNEVEN = SPACE | {"nodes": [{"id": "stem", "type": "patch_stem", "width": WIDTHS}, *SPACE["nodes"][1:]]}
VARIABLES = variables(space_of(UNEVEN).nodes)
PLACES = {name: as_places(variable) for name, variable in VARIABLES.items()}
OBJECTIVES = ("max proxy_accuracy", "min latency")
SEED = 5


class Filled:
    """A study that holds what was filled in, of which a sampler itself proposes."""

    def __init__(self, sampler: Sampler, policy: SamplerPolicy) -> None:
        self._study = optuna.create_study(directions=["maximize", "minimize"])
        self._sampler, self._policy = sampler, policy
        self._accuracies = list[float]()

    def ask(self) -> tuple[optuna.Trial, dict[str, Any]]:
        ended = self._study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))
        complete = sum(trial.state == TrialState.COMPLETE for trial in ended)
        seed = SEED * 1_000_003 + len(ended)
        self._study.sampler = samplers.sampler(self._sampler, seed, complete, self._policy)
        trial = self._study.ask()
        return trial, choices(trial, PLACES)

    def tell(self, trial: optuna.Trial, end: str, accuracy: float, latency: float) -> None:
        trial.set_constraint("budget", {"gated": latency, "refused": 1.0}.get(end, -1.0))
        if end == "refused":
            self._study.tell(trial, state=TrialState.PRUNED)
            return
        fills = {"gated": statistics.fmean(self._accuracies or [0.0]), "halved": min(self._accuracies, default=0.0)}
        self._study.tell(trial, [fills.get(end, accuracy), latency])
        if end == "trained":
            self._accuracies.append(accuracy)


def tell(study: Study, trial: optuna.Trial, end: str, accuracy: float, latency: float) -> None:
    if end == "refused":
        study.refused(trial, "static")
    elif end == "gated":
        study.gated(trial, latency, {"latency": latency})
    else:
        getattr(study, end)(trial, {"proxy_accuracy": accuracy, "latency": latency})


@pytest.mark.parametrize(("sampler", "count"), [("gp", 9), ("tpe", 24), ("nsga2", 24), ("random", 12)])
def test_equal_trials_lead_to_equal_proposals(sampler: Sampler, count: int) -> None:
    policy = Policy(samplers=SamplerPolicy(startup=4, population=6))
    study = Study("sqlite://", VARIABLES, OBJECTIVES, SEED, resume=False, sampler=sampler, policy=policy)
    filled = Filled(sampler, policy.samplers)
    generator, ends = random.Random(0), list[str]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(count):
            (trial, point), (other, expected) = study.ask(), filled.ask()
            assert point == expected
            ends += generator.choices(("trained", "gated", "halved", "refused"), (5, 2, 1, 2))
            facts = (ends[-1], round(generator.random(), 3), round(5 * generator.random(), 3))
            tell(study, trial, *facts)
            filled.tell(other, *facts)
    study.close()
    assert set(ends) == {"trained", "gated", "halved", "refused"}


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_a_trial_that_was_lost_is_proposed_again_and_changes_nothing_after_it(tmp_path: Path, sampler: Sampler) -> None:
    policy = Policy(samplers=SamplerPolicy(startup=2, population=3))

    def points(lost: int | None) -> list[dict[str, Any]]:
        url = f"sqlite:///{tmp_path}/{lost}.db"
        study, asked = Study(url, VARIABLES, OBJECTIVES, SEED, resume=False, sampler=sampler, policy=policy), []
        for number in range(9):
            trial, point = study.ask()
            if number == lost:
                with stored_study(url) as stored:
                    study.unfinished(stored.trials[trial.number])
                trial, point = study.ask()
            asked.append(point)
            tell(study, trial, "trained", number / 10, 5 - number / 10)
        study.close()
        return asked

    assert points(lost=4) == points(lost=None)
