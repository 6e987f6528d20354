"""Optuna as the engine: what to try next, and what came of it.

Four things here are learned from how Optuna 5 works. A gated trial carries its constraint and ends COMPLETE or PRUNED,
never FAIL, or its violation is forgotten; FAIL is for a trial that was broken off, of which nothing is known. The
Gaussian process reads COMPLETE trials alone, so a candidate that was measured and gated completes, with the mean
accuracy of the others in place of the one that it does not have. It can fail on what it is given, and then the next
trial is drawn at random. And every sampler is seeded from the search's seed and the number of trials that began, so
that a resumed search asks for what an uninterrupted one would, and workers side by side for different points.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import optuna
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState

from archdsl.errors import ArchError, SearchError
from archdsl.schema.variables import Variable
from archdsl.search.settings import Sampler
from archdsl.search.study import samplers
from archdsl.search.study.knobs import choices, decode
from archdsl.search.study.storage import brief, open_storage, shown, unheard
from archdsl.search.study.waiting import BUDGET, FROM, HASH, LATENCY, REASON, RUNG, Waiting

METRICS = {"proxy_accuracy": "proxy accuracy", "latency": "latency, ms", "params": "params", "macs": "MACs of an image"}
"""What a dashboard calls an objective."""
_BROKEN_OFF = "broken off"
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


class Completed(NamedTuple):
    """A measured trial: its choices, and its objectives in their order."""

    choices: dict[str, Any]
    values: tuple[float, ...]
    excess: float
    """Over the budget by a factor of 1 + this, if it is more than 0."""
    is_trained: bool
    """Whether it was trained to the end; else the accuracy among its values is made up."""
    latency_ms: float | None = None

    @property
    def is_inside(self) -> bool:
        """Whether it is inside the budget."""
        return self.excess <= 0


class Study(Waiting):
    """The optimiser of one search, kept in the run's folder."""

    def __init__(
        self,
        storage: str,
        variables: dict[str, Variable],
        objectives: Sequence[str],
        seed: int,
        resume: bool,
        name: str = "search",
        sampler: Sampler = "auto",
    ) -> None:
        """Opens the study, or makes it.

        Raises:
            SearchError: there is one that cannot be read.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.variables, self.objectives, self.seed, self.sampler = variables, tuple(objectives), seed, sampler
        try:
            with unheard():
                self._storage = self.open(storage)
                self._study = optuna.create_study(
                    storage=self._storage,
                    study_name=name,
                    directions=["maximize" if text.startswith("max") else "minimize" for text in objectives],
                    load_if_exists=resume,
                )
                self._study.set_metric_names([METRICS[text.split()[1]] for text in objectives])
            # a trial that waits to be trained is not asked for
            self._study._pop_waiting_trial_id = self._claimed  # type: ignore[method-assign]
        except ArchError:
            raise
        except Exception as error:
            remedy = "move it away to go on without what the optimiser learned" if resume else "use another folder"
            raise SearchError(f"{shown(storage)}: {brief(error)}; {remedy}") from None

    def open(self, url: str) -> BaseStorage:
        """Where Optuna keeps the study."""
        return open_storage(url)

    def close(self) -> None:
        """Let go of the database."""
        self._storage.remove_session()
        if isinstance(self._storage, RDBStorage):
            self._storage.engine.dispose()

    def describe(self, facts: dict[str, Any]) -> None:
        """What is searched, for whoever looks at the study with Optuna's own tools."""
        for name, value in facts.items():
            self._study.set_user_attr(name, value)

    def note(self, trial: optuna.Trial, facts: dict[str, Any]) -> None:
        """What stands beside a trial in Optuna's own tools; before it is told, as an ended one takes nothing more."""
        for name, value in facts.items():
            if value is not None:
                trial.set_user_attr(name, value)

    def completed(self) -> list[Completed]:
        """What was measured so far, in order."""
        trials = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return [
            Completed(
                {name: decode(variable, trial.params[name]) for name, variable in self.variables.items()},
                tuple(trial.values),
                trial.constraints.get(BUDGET, 1.0),
                _is_trained(trial),
                trial.user_attrs.get(LATENCY),
            )
            for trial in trials
            if trial.params.keys() == self.variables.keys()
        ]

    @property
    def begun(self) -> int:
        """Trials that ended or are under way, also with other workers: each asks by a seed of its own."""
        states = [trial.state for trial in self._study.get_trials(deepcopy=False)]
        return sum(state in _ENDED or state == TrialState.RUNNING for state in states)

    def refusals(self) -> list[str | None]:
        """Of every trial that ended, in order, the rung at which it was refused; None if it was measured."""
        return [trial.user_attrs.get(RUNG) for trial in self._study.get_trials(deepcopy=False, states=_ENDED)]

    # ---------------------------------------------------------------------------------------------- asking and telling

    def ask(self) -> tuple[optuna.Trial, dict[str, Any]]:
        """The next trial, and a value for every variable."""
        with unheard():
            seed, sampler = self._sampler()
            self._study.sampler = sampler
            trial = self._study.ask()
            try:
                return trial, choices(trial, self.variables)
            except Exception:
                self._study.sampler = RandomSampler(seed=seed)
                return trial, choices(trial, self.variables)

    def _sampler(self) -> tuple[int, BaseSampler]:
        seed = (self.seed * 1_000_003 + self.begun) % 2**31
        completed = len(self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
        return seed, samplers.sampler(self.sampler, seed, completed)

    def begin(self, trial: optuna.Trial, known: str, origin: str | None = None) -> None:
        """A candidate with this hash is measured now; `origin` is the earlier run that it comes from, if any."""
        if origin is not None and FROM not in trial.user_attrs:
            trial.set_user_attr(FROM, origin)
        trial.set_user_attr(HASH, known)

    def trained(self, trial: optuna.Trial, values: dict[str, float]) -> None:
        """A candidate inside the budgets, with all its objectives by metric."""
        self._constrain(trial, -1.0)
        self._study.tell(trial, [values[text.split()[1]] for text in self.objectives])

    def gated(self, trial: optuna.Trial, excess: float, values: dict[str, float]) -> None:
        """A measured candidate over a budget by a factor of 1 + excess: no accuracy was paid for."""
        self._constrain(trial, max(excess, 1e-6))
        filled = {"proxy_accuracy": self._mean_accuracy(), **values}
        self._study.tell(trial, [filled[text.split()[1]] for text in self.objectives])

    def halved(self, trial: optuna.Trial, values: dict[str, float]) -> None:
        """A candidate inside the budgets whose training was broken off: as the least accurate of those that ended."""
        self._constrain(trial, -1.0)
        self.note(trial, {_BROKEN_OFF: True})
        filled = {"proxy_accuracy": min(self._accuracies(), default=0.0), **values}
        self._study.tell(trial, [filled[text.split()[1]] for text in self.objectives])

    def refused(self, trial: optuna.Trial, rung: str | None = None, reason: str | None = None) -> None:
        """A candidate that fell at a rung before it was measured; without a rung, one that failed."""
        self._constrain(trial, 1.0)
        self.note(trial, {RUNG: rung, REASON: reason and reason.splitlines()[0][:300]})
        self._study.tell(trial, state=TrialState.PRUNED)

    def _constrain(self, trial: optuna.Trial, excess: float) -> None:
        """How far over the budget, once: what a search that was killed has already told, stands."""
        if BUDGET not in trial.constraints:
            with unheard():
                trial.set_constraint(BUDGET, excess)

    def _mean_accuracy(self) -> float:
        """Of the trials that were trained; 0 before there is one."""
        known = self._accuracies()
        return sum(known) / len(known) if known else 0.0

    def _accuracies(self) -> list[float]:
        """Of the trials that were trained."""
        if "max proxy_accuracy" not in self.objectives:
            return []
        index = self.objectives.index("max proxy_accuracy")
        trials = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return [trial.values[index] for trial in trials if _is_trained(trial)]


def _is_trained(trial: FrozenTrial) -> bool:
    """Whether a completed trial was inside the budget, and trained to the end."""
    return trial.constraints.get(BUDGET, 1.0) <= 0 and _BROKEN_OFF not in trial.user_attrs
