"""How far each of some children is expected to push the front out, times the chance that it keeps the constraints.

Objectives and constraints of what was not tried are predicted by a Gaussian process each, unless the caller knows
better. One objective is the gain, of which it counts how unsure its prediction is; the others are costs, taken as they
are predicted and made one by weights of chance, drawn anew each time, so that the front grows everywhere. Every fourth
time no cost counts: points of little cost push a front out with ease, and would keep a search from the best gain.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from archdsl.search.policy import Policy
from archdsl.search.predict.fields import Fields, field_columns
from archdsl.search.predict.gaussian_process import Posterior, posterior
from archdsl.search.predict.ranks import Floats
from archdsl.search.propose.improvement import improvements
from archdsl.search.propose.observation import Observation, Params


class Prediction(NamedTuple):
    """What a caller knows of a point before it is tried."""

    values: Sequence[float | None]
    """By objective; taken as known instead of the model's. None leaves it to the model."""
    constraints: Mapping[str, float] = {}
    """By name; taken instead of the mean of the model, which still says how unsure it is."""


Features = Callable[[Params], Fields | None]
Predict = Callable[[Params], Prediction]


@dataclass(frozen=True)
class Acquisition:
    """Rates children of one study."""

    signs: Floats
    """1 for an objective that is minimised, -1 for one that is maximised: (objectives,)."""
    features: Features
    policy: Policy
    predict: Predict | None = None
    gain: int | None = None
    """Place of the objective that is the gain; None draws one each time."""
    log_objectives: Collection[int] = ()
    """Places of objectives that are modelled by their logarithm."""

    def ratings(self, observed: Sequence[Observation], children: Sequence[Params], generator: random.Random) -> Floats:
        """The expected improvement of each child: (children,). One observation at least is complete."""
        policy, complete = self.policy.evolution, [observation for observation in observed if observation.is_complete]
        nothing = Prediction([None] * len(self.signs))
        predictions = [nothing if self.predict is None else self.predict(params) for params in children]
        exact = np.array([each.values for each in predictions], dtype=float)  # NaN where it is None
        gain = generator.randrange(len(self.signs)) if self.gain is None else self.gain
        seen = np.array([observation.values for observation in complete], dtype=float)
        models = [self._objective(place, observed, children, exact[:, place]) for place in range(len(self.signs))]
        guessed = np.column_stack([self._natural(place, model.means) for place, model in enumerate(models)])
        both = np.vstack([seen, guessed]) * self.signs
        costs = _as_one(np.delete(both, gain, axis=1), generator) * (generator.random() >= policy.gain_share)
        gains = -self.signs[gain] * self._modelled(gain, seen[:, gain])
        means = -self.signs[gain] * models[gain].means
        rated = improvements(
            costs[: len(seen)], gains, costs[len(seen) :], means, models[gain].deviations, limit=policy.cost_limit
        )
        return rated * self._chance(observed, children, predictions)

    def _objective(
        self, place: int, observed: Sequence[Observation], children: Sequence[Params], exact: Floats
    ) -> Posterior:
        """An objective of each child, as it is modelled: as it is given, and by the model where that is NaN."""
        exact = self._modelled(place, exact)
        if not np.isnan(exact).any():
            return Posterior(exact, np.zeros(len(children)))
        values = [(observation.params, observation.values[place]) for observation in observed]
        targets = [(params, value) for params, value in values if value is not None]
        points = [params for params, _ in targets]
        model = self._fitted(points, self._modelled(place, np.array([value for _, value in targets])), children)
        is_open = np.isnan(exact)
        return Posterior(np.where(is_open, model.means, exact), np.where(is_open, model.deviations, 0.0))

    def _chance(
        self, observed: Sequence[Observation], children: Sequence[Params], predictions: Sequence[Prediction]
    ) -> Floats:
        """How likely each child keeps all constraints: (children,)."""
        chance = np.ones(len(children))
        for name in sorted({name for observation in observed for name in observation.constraints}):
            rows = [observation for observation in observed if name in observation.constraints]
            values = np.array([observation.constraints[name] for observation in rows])
            model = self._fitted([observation.params for observation in rows], values, children)
            means = [each.constraints.get(name, mean) for each, mean in zip(predictions, model.means, strict=True)]
            chance = chance * model._replace(means=np.array(means)).chance_below(0.0)
        return chance

    def _fitted(self, points: Sequence[Params], values: Floats, children: Sequence[Params]) -> Posterior:
        """What the values of these points, (points,), tell of each child."""
        policy = self.policy.surrogate.process
        described = [self.features(params) for params in points[-policy.most :]]
        rows = [features for features in described if features is not None]
        if not rows:
            return Posterior(np.zeros(len(children)), np.zeros(len(children)))
        columns = field_columns([*rows, *(self.features(params) or {} for params in children)])
        kept = np.array([features is not None for features in described])
        return posterior(columns[: len(rows)], values[-policy.most :][kept], columns[len(rows) :], policy.noise)

    def _modelled(self, place: int, values: Floats) -> Floats:
        """Values of an objective as the model has them; NaN stays.

        Raises:
            ValueError: one of an objective that is modelled by its logarithm is not above 0.
        """
        if place in self.log_objectives and (values <= 0).any():
            rule = f"objective {place} is modelled by its logarithm, so that all its values must be above 0"
            raise ValueError(f"{rule}; got {np.nanmin(values):g}")
        logarithms: Floats = np.log(values) if place in self.log_objectives else values
        return logarithms

    def _natural(self, place: int, modelled: Floats) -> Floats:
        """Values of an objective in its own unit."""
        values: Floats = np.exp(modelled) if place in self.log_objectives else modelled
        return values


def _as_one(costs: Floats, generator: random.Random) -> Floats:
    """Costs (points, costs) as one from 0 to 1 a point, by weights of chance; 0 where there are none."""
    low, high = costs.min(0), costs.max(0)
    weights = np.array([generator.expovariate(1.0) for _ in range(costs.shape[1])])
    scaled = (costs - low) / np.where(high > low, high - low, 1.0)
    single: Floats = scaled @ (weights / max(weights.sum(), 1e-9))
    return single
