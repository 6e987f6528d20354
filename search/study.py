"""Optuna as the engine: what to try next, and what came of it.

Three things here are learned from how Optuna 5 works. A gated trial carries its constraint and ends COMPLETE or PRUNED,
never FAIL, or its violation is forgotten. The Gaussian process reads COMPLETE trials alone, so a candidate that was
measured and gated completes, with the mean accuracy of the others in place of the one that it does not have. And every
sampler is seeded from the search's seed and the number of the trial, so that a resumed search asks for what an
uninterrupted one would.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from archdsl.schema.variables import Variable
from archdsl.search.knobs import choices, encode

STARTUP = 10
"""Trials drawn at random, seeds among them, before a model is fitted."""
MOST_GP = 150
"""Completed trials up to which the Gaussian process pays; TPE after that."""

_BUDGET = "budget"


class Study:
    """The optimiser of one search, kept in the run's folder."""

    def __init__(
        self, storage: str, variables: dict[str, Variable], objectives: Sequence[str], seed: int, resume: bool
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.variables, self.objectives, self.seed = variables, tuple(objectives), seed
        self._study = optuna.create_study(
            storage=storage,
            study_name="search",
            directions=["maximize" if text.startswith("max") else "minimize" for text in objectives],
            load_if_exists=resume,
        )
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._study.tell(trial.number, state=TrialState.FAIL)

    def enqueue(self, point: dict[str, Any]) -> None:
        """Ask for this point next; variables that it does not depend on take their first value."""
        parameters = {
            name: encode(variable, point.get(name, variable.values[0] if variable.values else variable.low))
            for name, variable in self.variables.items()
        }
        self._study.enqueue_trial(parameters, skip_if_exists=True)

    def ask(self) -> tuple[optuna.Trial, dict[str, Any]]:
        """The next trial, and a value for every variable."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # samplers announce that they are experimental, and each fallback
            self._study.sampler = self._sampler()
            trial = self._study.ask()
            return trial, choices(trial, self.variables)

    def _sampler(self) -> BaseSampler:
        trials = self._study.get_trials(deepcopy=False)
        seed = (self.seed * 1_000_003 + len(trials)) % 2**31
        done = sum(trial.state == TrialState.COMPLETE for trial in trials)
        if done < STARTUP:
            return RandomSampler(seed=seed)
        if done <= MOST_GP:
            return GPSampler(seed=seed, n_startup_trials=0)
        return TPESampler(seed=seed, multivariate=True, group=True)

    def trained(self, trial: optuna.Trial, values: dict[str, float]) -> None:
        """A candidate inside the budgets, with all its objectives by metric."""
        trial.set_constraint(_BUDGET, -1.0)
        self._study.tell(trial, [values[text.split()[1]] for text in self.objectives])

    def gated(self, trial: optuna.Trial, excess: float, values: dict[str, float]) -> None:
        """A measured candidate over a budget by a factor of 1 + excess: no accuracy was paid for."""
        trial.set_constraint(_BUDGET, max(excess, 1e-6))
        filled = {"proxy_accuracy": self._mean_accuracy(), **values}
        self._study.tell(trial, [filled[text.split()[1]] for text in self.objectives])

    def refused(self, trial: optuna.Trial) -> None:
        """A candidate that is no network inside the static budgets, was tried before, or failed."""
        trial.set_constraint(_BUDGET, 1.0)
        self._study.tell(trial, state=TrialState.PRUNED)

    def _mean_accuracy(self) -> float:
        """Of the trials that were trained; 0 before there is one."""
        if "max proxy_accuracy" not in self.objectives:
            return 0.0
        index = self.objectives.index("max proxy_accuracy")
        trials = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        known = [trial.values[index] for trial in trials if trial.constraints.get(_BUDGET, 1) <= 0]
        return sum(known) / len(known) if known else 0.0
