"""Optuna as the engine: what to try next, and what came of it.

Four things here are learned from how Optuna 5 works. A gated trial carries its constraint and ends COMPLETE or PRUNED,
never FAIL, or its violation is forgotten; FAIL is for a trial that was broken off, of which nothing is known. The
Gaussian process reads COMPLETE trials alone, so a candidate that was measured and gated completes, with the mean
accuracy of the others in place of the one that it does not have. It can fail on what it is given, and then the next
trial is drawn at random. And every sampler is seeded from the search's seed and the number of trials that ended, so
that a resumed search asks for what an uninterrupted one would.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState

from archdsl.errors import ArchError, SearchError
from archdsl.schema.variables import Variable
from archdsl.search.results.front import Record
from archdsl.search.settings import Sampler
from archdsl.search.study import samplers
from archdsl.search.study.alone import Alone
from archdsl.search.study.knobs import choices, decode, encode
from archdsl.search.study.storage import brief, open_storage, shown, unheard

MOST_LOST = 2
"""Times that a search may be killed while one point is tried, before that point is given up."""

METRICS = {"proxy_accuracy": "proxy accuracy", "latency": "latency, ms", "params": "params", "macs": "MACs of an image"}
"""What a dashboard calls an objective."""
BUDGET = "budget"
HASH, RUNG, REASON = "hash", "rung", "reason"
"""Under which names a trial carries its constraint, its network and where and why it was refused."""
FROM, RESULT = "from", "result"
"""Under which names a trial of an earlier run's network carries that run's folder, and what was trained there."""
LOST, BEGUN, _RELEASED = "lost", "begun", "released"
FIXED = "fixed_params"  # where Optuna keeps the point that was enqueued
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


class Completed(NamedTuple):
    """A measured trial: its choices, its objectives in their order, and whether it is inside the budget."""

    choices: dict[str, Any]
    values: tuple[float, ...]
    is_inside: bool


class Study(Alone):
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

    @property
    def ended(self) -> int:
        """Trials of which something is known, refusals among them."""
        return len(self._study.get_trials(deepcopy=False, states=_ENDED))

    def completed(self) -> list[Completed]:
        """What was measured so far, in order."""
        trials = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return [
            Completed(
                {name: decode(variable, trial.params[name]) for name, variable in self.variables.items()},
                tuple(trial.values),
                trial.constraints.get(BUDGET, 1.0) <= 0,
            )
            for trial in trials
            if trial.params.keys() == self.variables.keys()
        ]

    def refusals(self) -> list[str | None]:
        """Of every trial that ended, in order, the rung at which it was refused; None if it was measured."""
        return [trial.user_attrs.get(RUNG) for trial in self._study.get_trials(deepcopy=False, states=_ENDED)]

    @property
    def has_waiting(self) -> bool:
        """Whether a point was enqueued that was not asked for yet."""
        return bool(self._waiting())

    def _waiting(self) -> list[FrozenTrial]:
        """Points that were enqueued and not asked for yet."""
        return self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))

    def _claimed(self) -> int | None:
        """The first of them, now ours."""
        for trial in self._waiting():
            with suppress(UpdateFinishedTrialError):
                if self._study._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                    return trial._trial_id
        return None

    def enqueue(self, point: dict[str, Any], again: bool = False, facts: dict[str, Any] | None = None) -> None:
        """Ask for this point next, unless it was asked for before; variables not in it take their first value.

        `facts` stand beside its trial.
        """
        parameters = {
            name: encode(variable, point.get(name, variable.values[0] if variable.values else variable.low))
            for name, variable in self.variables.items()
        }
        with unheard():
            self._study.enqueue_trial(parameters, user_attrs=facts or None, skip_if_exists=not again)

    def recover(self, record_of: Callable[[str], Record | None], tell: Callable[[optuna.Trial, Record], None]) -> None:
        """Settle the trials that were under way when the search ended: told if they have a record, else asked again."""
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            record = record_of(trial.user_attrs.get(HASH, ""))
            if record is None:
                self.unfinished(trial)
                continue
            with unheard():
                tell(optuna.Trial(self._study, trial._trial_id), record)

    def unfinished(self, trial: FrozenTrial) -> None:
        """The same point once more, in a new trial that knows how often it was lost; enqueued first, or a kill between
        the two would lose it.
        """
        parameters = trial.system_attrs.get(FIXED, trial.params)
        is_known = any(other.system_attrs.get(FIXED) == parameters for other in self._waiting())
        if parameters.keys() == self.variables.keys() and not is_known:
            lost = trial.user_attrs.get(LOST, 0) + (_RELEASED not in trial.user_attrs)
            with unheard():
                self._study.enqueue_trial(parameters, user_attrs={LOST: lost, BEGUN: HASH in trial.user_attrs})
        self._study.tell(trial.number, state=TrialState.FAIL)

    def is_killer(self, trial: optuna.Trial) -> bool:
        """Whether the search was killed so often while this point was tried that it must not be tried again."""
        return bool(trial.user_attrs.get(LOST, 0) >= MOST_LOST)

    def was_begun(self, trial: optuna.Trial) -> bool:
        """Whether this point came as far as a network when it was lost."""
        return bool(trial.user_attrs.get(BEGUN, True))

    def release(self, trial: optuna.Trial) -> None:
        """The search ends by itself while this trial is under way: the trial is not to blame."""
        trial.set_user_attr(_RELEASED, True)

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
        states = [trial.state for trial in self._study.get_trials(deepcopy=False)]
        number = sum(state in _ENDED or state == TrialState.RUNNING for state in states)  # other workers' run now
        seed = (self.seed * 1_000_003 + number) % 2**31
        return seed, samplers.sampler(self.sampler, seed, states.count(TrialState.COMPLETE))

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
        return [trial.values[index] for trial in trials if trial.constraints.get(BUDGET, 1) <= 0]
