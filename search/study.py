"""Optuna as the engine: what to try next, and what came of it.

Four things here are learned from how Optuna 5 works. A gated trial carries its constraint and ends COMPLETE or PRUNED,
never FAIL, or its violation is forgotten; FAIL is for a trial that was broken off, of which nothing is known. The
Gaussian process reads COMPLETE trials alone, so a candidate that was measured and gated completes, with the mean
accuracy of the others in place of the one that it does not have. It can fail on what it is given, and then the next
trial is drawn at random. And every sampler is seeded from the search's seed and the number of trials that ended, so
that a resumed search asks for what an uninterrupted one would.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import TrialState

from archdsl.errors import SearchError
from archdsl.schema.variables import Variable
from archdsl.search.front import Record
from archdsl.search.knobs import choices, encode

STARTUP = 10
"""Trials drawn at random, seeds among them, before a model is fitted."""
MOST_GP = 150
"""Completed trials up to which the Gaussian process pays; TPE after that."""

METRICS = {"proxy_accuracy": "proxy accuracy", "latency": "latency, ms", "params": "params", "macs": "MACs of an image"}
"""What a dashboard calls an objective."""
BUDGET = "budget"
HASH, RUNG, REASON = "hash", "rung", "reason"
"""Under which names a trial carries its constraint, its network and where and why it was refused."""
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


def open_storage(url: str) -> BaseStorage:
    """Where Optuna keeps studies: a database, made if there is none."""
    return RDBStorage(url)


class Study:
    """The optimiser of one search, kept in the run's folder."""

    def __init__(
        self, storage: str, variables: dict[str, Variable], objectives: Sequence[str], seed: int, resume: bool
    ) -> None:
        """Opens the study, or makes it.

        Raises:
            SearchError: there is one that cannot be read.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.variables, self.objectives, self.seed = variables, tuple(objectives), seed
        try:
            with _unheard():
                self._storage = open_storage(storage)
                self._study = optuna.create_study(
                    storage=self._storage,
                    study_name="search",
                    directions=["maximize" if text.startswith("max") else "minimize" for text in objectives],
                    load_if_exists=resume,
                )
                self._study.set_metric_names([METRICS[text.split()[1]] for text in objectives])
        except Exception as error:
            raise SearchError(f"{storage}: {' '.join(str(error).split())[:200]}; use another folder") from None

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

    @property
    def ended(self) -> int:
        """Trials of which something is known, refusals among them."""
        return len(self._study.get_trials(deepcopy=False, states=_ENDED))

    def refusals(self) -> list[str | None]:
        """Of every trial that ended, in order, the rung at which it was refused; None if it was measured."""
        return [trial.user_attrs.get(RUNG) for trial in self._study.get_trials(deepcopy=False, states=_ENDED)]

    @property
    def has_waiting(self) -> bool:
        """Whether a point was enqueued that was not asked for yet."""
        return bool(self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))

    def enqueue(self, point: dict[str, Any], again: bool = False) -> None:
        """Ask for this point next, unless it was asked for before; variables not in it take their first value."""
        parameters = {
            name: encode(variable, point.get(name, variable.values[0] if variable.values else variable.low))
            for name, variable in self.variables.items()
        }
        with _unheard():
            self._study.enqueue_trial(parameters, skip_if_exists=not again)

    def recover(self, record_of: Callable[[str], Record | None], tell: Callable[[optuna.Trial, Record], None]) -> None:
        """Settle the trials that were under way when the search ended: told if they have a record, else asked again."""
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            record = record_of(trial.user_attrs.get(HASH, ""))
            if record is not None:
                with _unheard():
                    tell(optuna.Trial(self._study, trial._trial_id), record)
                continue
            self._study.tell(trial.number, state=TrialState.FAIL)
            parameters = trial.system_attrs.get("fixed_params", trial.params)
            if parameters.keys() == self.variables.keys():
                self._study.enqueue_trial(parameters)

    def ask(self) -> tuple[optuna.Trial, dict[str, Any]]:
        """The next trial, and a value for every variable."""
        with _unheard():
            seed, sampler = self._sampler()
            self._study.sampler = sampler
            trial = self._study.ask()
            try:
                return trial, choices(trial, self.variables)
            except Exception:
                self._study.sampler = RandomSampler(seed=seed)
                return trial, choices(trial, self.variables)

    def _sampler(self) -> tuple[int, BaseSampler]:
        states = [trial.state for trial in self._study.get_trials(deepcopy=False)]
        seed = (self.seed * 1_000_003 + sum(state in _ENDED for state in states)) % 2**31
        done = states.count(TrialState.COMPLETE)
        if done < STARTUP:
            return seed, RandomSampler(seed=seed)
        if done <= MOST_GP:
            return seed, GPSampler(seed=seed, n_startup_trials=0)
        return seed, TPESampler(seed=seed, multivariate=True, group=True)

    def begin(self, trial: optuna.Trial, known: str) -> None:
        """A candidate with this hash is measured now."""
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
            with _unheard():
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
        return [trial.values[index] for trial in trials if trial.constraints.get(BUDGET, 1) <= 0]


@contextmanager
def _unheard() -> Iterator[None]:
    """Optuna's warnings go nowhere: that something is experimental, and each time that a sampler falls back."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
