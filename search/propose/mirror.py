"""What proposes a trial's parameters: one of Optuna's samplers, on a copy of the study in memory.

The copy holds what models need and a study does not: the place of each value instead of the value, and a filled-in
accuracy for every measured trial (`fills.py`), for the Gaussian process and NSGA-II read complete trials alone. A
refused candidate is pruned there too, with a constraint that says that it cannot be used. The generation of NSGA-II
that a trial belongs to stands beside it in the study, and is copied with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from archdsl.json_types import Scalar
from archdsl.search.network import Choices
from archdsl.search.propose.distributions import Parameter, choices
from archdsl.search.propose.measured_trials import Measured
from archdsl.search.propose.trial_queue import BUDGET, generation_of

Parameters = Mapping[str, Parameter]


class Proposal(NamedTuple):
    """A value for every variable, and what its sampler has to find beside the trial later."""

    values: Choices
    attributes: dict[str, int]


class Mirror(NamedTuple):
    """A study as samplers see it."""

    trials: Sequence[FrozenTrial]
    measured: Sequence[Measured]
    parameters: Parameters
    """As the study holds them."""
    places: Parameters

    def propose(self, directions: Sequence[StudyDirection], sampler: BaseSampler, seed: int) -> Proposal:
        """What the sampler proposes; where it fails on what the study holds, a random point."""
        try:
            return self._proposed(directions, sampler)
        except Exception:
            return self._proposed(directions, RandomSampler(seed=seed))

    def _proposed(self, directions: Sequence[StudyDirection], sampler: BaseSampler) -> Proposal:
        study = optuna.create_study(directions=directions, sampler=sampler)
        if not isinstance(sampler, RandomSampler):  # it looks at nothing
            study.add_trials(list(self._copied()))
            self._recall_parents(study, sampler)
        trial = study.ask()
        values = choices(trial, self.places)
        return Proposal(values, generation_of(study.get_trials(deepcopy=False)[trial.number]))

    def _copied(self) -> Iterator[FrozenTrial]:
        """The trials that say something, in their order."""
        measured = {trial.trial.number: trial for trial in self.measured}
        distributions = {name: parameter.distribution for name, parameter in self.places.items()}
        for trial in self.trials:
            if trial.params.keys() != self.parameters.keys():
                continue
            params = self._params(trial)
            copy = partial(create_trial, distributions=distributions, system_attrs=generation_of(trial))
            if (complete := measured.get(trial.number)) is not None:
                yield copy(params=params, values=complete.values, constraints={BUDGET: complete.excess})
            elif trial.state == TrialState.PRUNED:
                yield copy(params=params, state=trial.state, constraints={BUDGET: 1.0})
            elif trial.state == TrialState.RUNNING:
                yield copy(params=params, state=trial.state)

    def _params(self, trial: FrozenTrial) -> Choices:
        values = {name: parameter.decode(trial.params[name]) for name, parameter in self.parameters.items()}
        return {name: place.encode(values[name]) for name, place in self.places.items()}

    def _recall_parents(self, study: optuna.Study, sampler: BaseSampler) -> None:
        """The parents of the generations so far are chosen again, as they were when each generation began."""
        if isinstance(sampler, NSGAIISampler):
            last = max((number for trial in self.trials for number in generation_of(trial).values()), default=0)
            for generation in range(1, last + 1):
                sampler.get_parent_population(study, generation)


class Proposing(BaseSampler):
    """Draws the parameters of one trial as they are proposed, at the first that is drawn."""

    def __init__(self, propose: Callable[[], Choices], parameters: Parameters) -> None:
        """`propose` gives a value for every variable; it is not called for a point that was enqueued."""
        self._propose, self._parameters = propose, parameters
        self._values: Choices | None = None

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """None: each parameter is drawn by itself, of one proposal."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Choices:
        """Nothing."""
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Scalar:
        """The parameter that stands for the proposed value."""
        if self._values is None:
            self._values = self._propose()
        return self._parameters[param_name].encode(self._values[param_name])
