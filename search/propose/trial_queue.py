"""Points that a study is to ask for: those that were enqueued, and those of trials that a search left under way."""

from __future__ import annotations

from collections.abc import Callable

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from archdsl.json_types import JsonObject
from archdsl.search.network import Choices
from archdsl.search.policy import Policy
from archdsl.search.propose.distributions import Parameter
from archdsl.search.propose.local_coordinator import LocalCoordinator
from archdsl.search.propose.storage import unheard
from archdsl.search.trial import ALSO, Trial
from archdsl.spaces.variables import Variable

BUDGET = "budget"
HASH, RUNG, REASON = "hash", "rung", "reason"
"""Under which names a trial carries its constraint, its network and where and why it was refused."""
LATENCY = "latency_ms"
"""Under which name a trial carries what was measured."""
FROM, RESULT = "from", "result"
"""Under which names a trial of an earlier run's network carries that run's folder, and what was trained there."""
OUTSIDE = "outside"
"""Under which name a trial of a network that is no point of the space is marked: it has no parameters."""
LOST, BEGUN, _RELEASED = "lost", "begun", "released"
_GENERATION = ":generation"
"""How the name ends under which a sampler of generations keeps a trial's own."""
FIXED = "fixed_params"  # where Optuna keeps the point that was enqueued


def generation_of(trial: FrozenTrial) -> dict[str, int]:
    """The generation that a trial belongs to, by its sampler's name for it; earlier versions left it where Optuna does.

    Empty where its sampler has none.
    """
    attributes = trial.system_attrs | trial.user_attrs
    return {name: value for name, value in attributes.items() if name.endswith(_GENERATION)}


class TrialQueue(LocalCoordinator):
    """What a study has to ask for before its sampler is asked."""

    _study: optuna.Study
    _study_key: int
    """By which the database knows the study."""
    _database: BaseStorage
    policy: Policy
    variables: dict[str, Variable]
    parameters: dict[str, Parameter]
    """As the study holds the variables."""

    @property
    def has_waiting(self) -> bool:
        """Whether a point was enqueued that was not asked for yet."""
        return bool(self._waiting())

    def _waiting(self) -> list[FrozenTrial]:
        """Points that were enqueued and not asked for yet."""
        return self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))

    def key_of(self, trial: optuna.Trial | FrozenTrial) -> int:
        """By which the database knows a trial."""
        return self._database.get_trial_id_from_study_id_trial_number(self._study_key, trial.number)

    def enqueue(self, point: Choices, again: bool = False, facts: JsonObject | None = None) -> None:
        """Ask for this point next, unless it was asked for before; variables not in it take their first value.

        `facts` stand beside its trial.
        """
        parameters = {
            name: self.parameters[name].encode(point.get(name, variable.values[0] if variable.values else variable.low))
            for name, variable in self.variables.items()
        }
        with unheard():
            self._study.enqueue_trial(parameters, user_attrs=facts or None, skip_if_exists=not again)

    def recover(self, record_of: Callable[[str], Trial | None], tell: Callable[[optuna.Trial, Trial], None]) -> None:
        """Settle the trials that were under way when the search ended: told if they have a record, else asked again."""
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            record = record_of(trial.user_attrs.get(HASH, ""))
            if record is None:
                self.unfinished(trial)
                continue
            with unheard():
                tell(optuna.Trial(self._study, self.key_of(trial)), record)

    def unfinished(self, trial: FrozenTrial) -> None:
        """The same point once more, in a new trial that knows how often it was lost; enqueued first, or a kill between
        the two would lose it.
        """
        parameters = trial.system_attrs.get(FIXED, trial.params)
        is_point = OUTSIDE not in trial.user_attrs and parameters.keys() == self.variables.keys()
        is_known = any(other.system_attrs.get(FIXED) == parameters for other in self._waiting())
        if is_point and not is_known:
            lost = trial.user_attrs.get(LOST, 0) + (_RELEASED not in trial.user_attrs)
            kept = {LOST: lost, BEGUN: HASH in trial.user_attrs} | generation_of(trial)
            kept |= {ALSO: trial.user_attrs[ALSO]} if ALSO in trial.user_attrs else {}
            with unheard():
                self._study.enqueue_trial(parameters, user_attrs=kept)
        self._study.tell(trial.number, state=TrialState.FAIL)

    def begin_outside(self, network_hash: str, name: str) -> optuna.Trial:
        """A trial of a network that is no point of the space: without parameters, so that no sampler learns of it.

        It knows how often the search was killed while this network was tried.
        """
        failed = self._study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
        mine = [trial for trial in failed if trial.user_attrs.get(HASH) == network_hash]
        lost = sum(OUTSIDE in trial.user_attrs and _RELEASED not in trial.user_attrs for trial in mine)
        with unheard():
            trial = optuna.Trial(self._study, self._database.create_new_trial(self._study_key))
        for attribute, value in ((OUTSIDE, True), (ALSO, name), (LOST, lost), (HASH, network_hash)):
            trial.set_user_attr(attribute, value)
        return trial

    def is_killer(self, trial: optuna.Trial) -> bool:
        """Whether the search was killed so often while this point was tried that it must not be tried again."""
        return bool(trial.user_attrs.get(LOST, 0) >= self.policy.study.most_lost)

    def was_begun(self, trial: optuna.Trial) -> bool:
        """Whether this point came as far as a network when it was lost."""
        return bool(trial.user_attrs.get(BEGUN, True))

    def release(self, trial: optuna.Trial) -> None:
        """The search ends by itself while this trial is under way: the trial is not to blame."""
        trial.set_user_attr(_RELEASED, True)
