"""Optuna as the engine: what to try next, and what came of it.

A study holds what was measured, and parameters as the values that they are. Three things here are learned from how
Optuna 5 works. A trial with a constraint ends COMPLETE or PRUNED, never FAIL, or its violation is forgotten; FAIL is
for a trial that was broken off, of which nothing is known. Samplers can fail on what they are given, and then the next
trial is drawn at random; they look at a copy of the study in which nothing is missing (`mirror.py`). And every sampler
is seeded from the search's seed and the number of trials that began, so that a resumed search asks for what an
uninterrupted one would, and workers side by side for different points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState

from archdsl.errors import ArchError, SearchError
from archdsl.json_types import Json, JsonObject
from archdsl.search.config import Sampler
from archdsl.search.network import Choices
from archdsl.search.policy import Policy
from archdsl.search.propose import samplers
from archdsl.search.propose.distributions import Form, as_indices, as_places, as_values, choices
from archdsl.search.propose.measured_trials import ATTRIBUTES, BROKEN_OFF, GATED, Measured, measured_trials
from archdsl.search.propose.mirror import Mirror, Proposing
from archdsl.search.propose.storage import brief, open_storage, unheard
from archdsl.search.propose.trial_queue import BUDGET, FROM, HASH, LATENCY, OUTSIDE, REASON, RUNG, TrialQueue
from archdsl.search.store.database_url import shown
from archdsl.spaces.variables import Variable

METRICS = {"proxy_accuracy": "proxy accuracy", "latency": "latency, ms", "params": "params", "macs": "MACs of an image"}
"""What a dashboard calls an objective."""
FORMAT = 2
"""Of studies whose parameters are values; those without the attribute hold indices, and invented accuracies."""
_FORMAT = "format"
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


Breeding = Callable[[BaseSampler], BaseSampler]
"""Makes a sampler of the study as it is, from the one that draws where nothing is bred."""
OpenTrial = optuna.Trial
"""A trial of the study that is under way; other rooms name its type by this."""


class Completed(NamedTuple):
    """A measured trial: its choices, and its objectives in their order."""

    choices: Choices
    values: tuple[float, ...]
    excess: float
    """Over the budget by a factor of 1 + this, if it is more than 0."""
    is_trained: bool
    """Whether it was trained to the end; else the accuracy among its values is filled in."""
    latency_ms: float | None = None

    @property
    def is_inside(self) -> bool:
        """Whether it is inside the budget."""
        return self.excess <= 0


class Study(TrialQueue):
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
        *,
        policy: Policy,
    ) -> None:
        """Opens the study, or makes it.

        Raises:
            SearchError: there is one that cannot be read, or that a later version made.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.variables, self.objectives, self.seed, self.sampler = variables, tuple(objectives), seed, sampler
        self.name, self.policy = name, policy
        try:
            with unheard():
                self._database = self.open(storage)
                self._study = optuna.create_study(
                    storage=self._database,
                    study_name=self.name,
                    directions=_directions(objectives),
                    load_if_exists=resume,
                )
                self._study_key = self._database.get_study_id_from_name(self.name)
                self._study.set_metric_names([METRICS[text.split()[1]] for text in objectives])
            self.parameters = {name: self._form()(variable) for name, variable in variables.items()}
        except ArchError:
            raise
        except Exception as error:
            remedy = "move it away to continue without the trials that it holds" if resume else "use another folder"
            raise SearchError(f"{shown(storage)}: {brief(error)}; {remedy}") from None

    def open(self, url: str) -> BaseStorage:
        """Where Optuna keeps the study."""
        return open_storage(url, self.policy.study.locked_s)

    @property
    def must_stay_older(self) -> bool:
        """Whether the study may not become one of this version, even before it has trials."""
        return False

    @property
    def is_older(self) -> bool:
        """Whether an earlier version made the study: its parameters stay indices."""
        return _FORMAT not in self._study.user_attrs

    def _form(self) -> Form:
        """How the study holds variables; one without trials becomes a study of this version.

        Raises:
            SearchError: a later version made it.
        """
        version = self._study.user_attrs.get(_FORMAT)
        if version is None and (self.must_stay_older or self._study.get_trials(deepcopy=False)):
            return as_indices
        if version is None:
            self._study.set_user_attr(_FORMAT, FORMAT)
        elif version != FORMAT:
            raise SearchError(f"this study has format {version}, which a later version of archdsl made; update archdsl")
        return as_values

    def close(self) -> None:
        """Let go of the database."""
        self._database.remove_session()
        if isinstance(self._database, RDBStorage):
            self._database.engine.dispose()

    def describe(self, facts: JsonObject) -> None:
        """What is searched, for whoever looks at the study with Optuna's own tools."""
        for name, value in facts.items():
            self._study.set_user_attr(name, value)

    def note(self, trial: optuna.Trial, facts: Mapping[str, Json]) -> None:
        """What stands beside a trial in Optuna's own tools; before it is told, as an ended one takes nothing more."""
        for name, value in facts.items():
            if value is not None:
                trial.set_user_attr(name, value)

    def completed(self) -> list[Completed]:
        """What was measured so far, in order."""
        return [
            Completed(
                {name: parameter.decode(each.trial.params[name]) for name, parameter in self.parameters.items()},
                each.values,
                each.excess,
                each.is_trained,
                each.trial.user_attrs.get(LATENCY),
            )
            for each in self._measured()
            if each.trial.params.keys() == self.variables.keys()
        ]

    def _measured(self) -> list[Measured]:
        ended = self._study.get_trials(deepcopy=False, states=_ENDED)
        return measured_trials([trial for trial in ended if OUTSIDE not in trial.user_attrs], self.objectives)

    @property
    def begun(self) -> int:
        """Trials that ended or are under way, also with other workers: each asks by a seed of its own."""
        states = [trial.state for trial in self._study.get_trials(deepcopy=False)]
        return sum(state in _ENDED or state == TrialState.RUNNING for state in states)

    def refusals(self) -> list[str | None]:
        """Of every trial that ended, in order, the rung at which it was refused; None if it was measured."""
        return [trial.user_attrs.get(RUNG) for trial in self._study.get_trials(deepcopy=False, states=_ENDED)]

    # ---------------------------------------------------------------------------------------------- asking and telling

    def ask(self, breeding: Breeding | None = None) -> tuple[optuna.Trial, Choices]:
        """The next trial, and a value for every variable; `breeding` is asked first, where no point was enqueued."""
        seed = (self.seed * 1_000_003 + self.begun) % 2**31
        with unheard():
            proposing = Proposing(lambda: self._proposed(trial, seed), self.parameters)
            self._study.sampler = proposing if breeding is None else breeding(proposing)
            trial = self.next_trial()
            return trial, choices(trial, self.parameters)

    def next_trial(self) -> optuna.Trial:
        """The first trial that was enqueued, else a new one."""
        return self._study.ask()

    def _proposed(self, trial: optuna.Trial, seed: int) -> Choices:
        """What a sampler proposes for a trial; what the sampler keeps beside it is noted before its parameters are."""
        trials, measured = self._study.get_trials(deepcopy=False), self._measured()
        sampler = samplers.sampler(self.sampler, seed, len(measured), self.policy.samplers)
        places = {name: as_places(variable) for name, variable in self.variables.items()}
        proposal = Mirror(trials, measured, self.parameters, places).propose(
            _directions(self.objectives), sampler, seed
        )
        self.note(trial, proposal.attributes)
        return proposal.values

    def begin(self, trial: optuna.Trial, network_hash: str, origin: str | None = None) -> None:
        """A candidate with this hash is measured now; `origin` is the earlier run that it comes from, if any."""
        if origin is not None and FROM not in trial.user_attrs:
            trial.set_user_attr(FROM, origin)
        trial.set_user_attr(HASH, network_hash)

    def trained(self, trial: optuna.Trial, values: dict[str, float]) -> None:
        """A candidate inside the budgets, with all its objectives by metric."""
        self._constrain(trial, -1.0)
        self._study.tell(trial, [values[text.split()[1]] for text in self.objectives])

    def gated(self, trial: optuna.Trial, excess: float, values: dict[str, float]) -> None:
        """A measured candidate over a budget by a factor of 1 + excess: no accuracy was paid for."""
        self._constrain(trial, max(excess, 1e-6))
        self._pruned(trial, GATED, values)

    def halved(self, trial: optuna.Trial, values: dict[str, float]) -> None:
        """A candidate inside the budgets whose training was broken off: what it would have reached is not known."""
        self._constrain(trial, -1.0)
        self._pruned(trial, BROKEN_OFF, values)

    def _pruned(self, trial: optuna.Trial, mark: str, values: dict[str, float]) -> None:
        """A measured candidate without an accuracy; its other objectives stand beside it."""
        facts = {name: values.get(metric) for metric, name in ATTRIBUTES.items() if name not in trial.user_attrs}
        self.note(trial, {mark: True, **facts})
        self._study.tell(trial, state=TrialState.PRUNED)

    def refused(
        self, trial: optuna.Trial, rung: str | None = None, reason: str | None = None, is_inside: bool = False
    ) -> None:
        """A candidate that fell at a rung before it was measured; without a rung, one that failed, or whose zero-cost
        score was too low. `is_inside` says that it was measured, and keeps the budget.
        """
        self._constrain(trial, -1.0 if is_inside else 1.0)
        self.note(trial, {RUNG: rung, REASON: reason and reason.splitlines()[0][:300]})
        self._study.tell(trial, state=TrialState.PRUNED)

    def _constrain(self, trial: optuna.Trial, excess: float) -> None:
        """How far over the budget, once: what a search that was killed has already told, stands."""
        if BUDGET not in trial.constraints:
            with unheard():
                trial.set_constraint(BUDGET, excess)


def _directions(objectives: Sequence[str]) -> list[StudyDirection]:
    return [StudyDirection.MAXIMIZE if text.startswith("max") else StudyDirection.MINIMIZE for text in objectives]
