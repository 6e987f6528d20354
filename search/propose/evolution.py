"""Evolution as a sampler of Optuna: many children of the best points, of which the most promising is tried.

    study = optuna.create_study(sampler=EvolutionSampler(seed=0), directions=["maximize", "minimize"])

A child takes each parameter from one of two parents and changes some of them, or is drawn at random (`breeding.py`).
Parents are the better half of what was tried, by how many others each is beaten. Of a hundred children that were not
tried yet the one is proposed that is expected to push the front out the furthest (`acquisition.py`), times the chance
that it keeps the constraints (Gardner et al. 2014), which are those of `Trial.set_constraint`.

It works on the parameters of any study. What a caller knows better about its points, it tells by functions: archdsl's
search which parameters are one network, which networks are surely too slow, what networks are and how fast they are.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from archdsl.search.policy import SHIPPED, Policy
from archdsl.search.predict.ranks import Floats
from archdsl.search.propose.acquisition import Acquisition, Features, Predict
from archdsl.search.propose.breeding import Breeder, Space, better_half, described
from archdsl.search.propose.observation import Observation, Params, Tried, Value, observations, union_space

Identify = Callable[[Params], Hashable | None]
Refuse = Callable[[Params], bool]
Observe = Callable[[optuna.Study], Sequence[Observation]]


class EvolutionSampler(BaseSampler):
    """Evolution with a Gaussian process, for one or more objectives and mixed parameters.

    Trials that failed say nothing; pruned ones are not proposed again, and their constraints count.
    """

    def __init__(
        self,
        seed: int | str | None = None,
        *,
        n_startup_trials: int = 10,
        children: int = SHIPPED.evolution.children,
        gain: int | None = None,
        log_objectives: Collection[int] = (),
        search_space: Mapping[str, BaseDistribution] | None = None,
        independent_sampler: BaseSampler | None = None,
        observe: Observe | None = None,
        identify: Identify | None = None,
        refuse: Refuse | None = None,
        features: Features | None = None,
        predict: Predict | None = None,
        policy: Policy = SHIPPED,
    ) -> None:
        """All that follows the seed is optional.

        Args:
            seed: of the random numbers; equal seeds propose equal points for equal studies.
            n_startup_trials: complete trials, before anything is bred of them; until then points are drawn at random.
            children: points that are bred and predicted for each that is proposed.
            gain: place of the objective of which it counts how unsure its prediction is, as an accuracy; the others
                are costs, taken as predicted. Without it the gain is another one each time.
            log_objectives: places of objectives that are modelled by their logarithm, as latencies. All values of such
                an objective are above 0.
            search_space: parameters that every trial has; without it those of the trials that ended.
            independent_sampler: what draws a parameter by itself: at first, and where no child is new.
            observe: what is known of a study, instead of its trials as they are.
            identify: what a point is, for points that are the same: each is tried once. None for a point that is none.
            refuse: whether a point is not worth to be tried. It costs no trial, and may change from call to call.
            features: what a point is as numbers, instead of its parameters; a name with " is " in it stands for a word
                and is absent where the word is another. None for a point that is none.
            predict: what is known of a point before it is tried.
            policy: the numbers that breeding and predicting go by.
        """
        self._generator, self._policy = random.Random(seed), policy
        self._n_startup_trials, self._children = n_startup_trials, children
        self._gain, self._log_objectives = gain, tuple(log_objectives)
        self._search_space, self._observe = search_space, observe
        self._identify, self._refuse, self._features, self._predict = identify, refuse, features, predict
        self._independent = independent_sampler or RandomSampler(self._generator.randrange(2**32))

    def reseed_rng(self) -> None:
        """Draw from another sequence of random numbers than a copy of this sampler does."""
        self._generator.seed()
        self._independent.reseed_rng()

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters that a child has: those that are named, else all of the trials that ended."""
        if self._search_space is not None:
            return dict(self._search_space)
        return union_space(study.get_trials(deepcopy=False))

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Value]:
        """The most promising of some children; nothing where there is too little to breed of, or no child is new."""
        if not search_space:
            return {}
        if self._observe is not None:
            observed = self._observe(study)
        else:
            observed = observations(study.get_trials(deepcopy=False), len(study.directions), trial.number)
        valued = [observation for observation in observed if any(value is not None for value in observation.values)]
        parents = [observation for observation in valued if observation.is_complete]
        if not parents or len(valued) < self._n_startup_trials:
            return {}
        signs = np.array([-1.0 if each == StudyDirection.MAXIMIZE else 1.0 for each in study.directions])
        children = self._bred(better_half(parents, signs), observed, search_space)
        if not children:
            return {}
        ratings = self._acquisition(signs, search_space).ratings(observed, children, self._generator)
        return dict(children[int(np.argmax(ratings))])

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Value:
        """A value by the independent sampler."""
        value: Value = self._independent.sample_independent(study, trial, param_name, param_distribution)
        return value

    def _bred(self, parents: Sequence[Params], observed: Sequence[Observation], space: Space) -> list[dict[str, Value]]:
        """Children that were not tried and are not refused, each once."""
        policy, bred = self._policy.evolution, dict[Hashable, dict[str, Value]]()
        breeder = Breeder(space, self._generator, policy.random_share)
        identify = self._identify or (lambda params: tuple(params.values()))
        tried = Tried(observation.params for observation in observed)
        taken = (
            {None}
            if self._identify is None
            else {None, *(self._identify(observation.params) for observation in observed)}
        )
        for _ in range(policy.tries * self._children):
            child = breeder.child(parents)
            identity = None if child in tried else identify(child)
            if identity in taken or identity in bred or (self._refuse is not None and self._refuse(child)):
                continue
            bred[identity] = child
            if len(bred) == self._children:
                break
        return list(bred.values())

    def _acquisition(self, signs: Floats, space: Space) -> Acquisition:
        features = self._features or (lambda params: described(space, params))
        return Acquisition(signs, features, self._policy, self._predict, self._gain, self._log_objectives)
