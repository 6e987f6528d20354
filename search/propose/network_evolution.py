"""What a search knows of networks, told to the evolution that proposes them (`evolution.py`).

What holds no network, is over a static budget, is surely too slow or was tried before is bred again at no cost. What a
network is are the fields of its spec, and its params and MACs. Params, MACs and, where the search predicts it better
(`predict/latency_model.py`), the latency are taken as known; the accuracy is the gain. The gate is the constraint: it
counts how likely a child's latency passes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from optuna.samplers import BaseSampler

from archdsl.search.config import Settings
from archdsl.search.network import Network
from archdsl.search.policy import Policy
from archdsl.search.predict.fields import Fields, described
from archdsl.search.propose.acquisition import Prediction
from archdsl.search.propose.candidates import Refused, candidate
from archdsl.search.propose.distributions import Parameter
from archdsl.search.propose.evolution import EvolutionSampler
from archdsl.search.propose.observation import Observation, Params, Value
from archdsl.search.propose.study import Completed
from archdsl.search.store.front import ACCURACY
from archdsl.spaces.space import Space

_GATE = "gate"
"""The constraint: the logarithm of the latency over the gate."""


class Evolution:
    """Makes the sampler that breeds the next network of one search."""

    def __init__(
        self,
        space: Space,
        parameters: Mapping[str, Parameter],
        settings: Settings,
        policy: Policy,
        latency: Callable[[Network], float | None],
        too_slow: Callable[[Network], bool],
        gate_ms: float | None = None,
    ) -> None:
        """`latency` predicts ms where it can; `too_slow` says of which networks the search is sure that they are; what
        takes longer than `gate_ms` is not trained.
        """
        self._space, self._parameters, self._settings = space, parameters, settings
        self._policy, self._latency, self._too_slow, self._gate_ms = policy, latency, too_slow, gate_ms
        self._metrics = [objective.split()[1] for objective in space.objectives]
        self._networks: dict[tuple[Value, ...], Network | None] = {}
        self._features: dict[tuple[Value, ...], Fields | None] = {}

    def is_ready(self, completed: Sequence[Completed]) -> bool:
        """Whether there is enough to breed of."""
        return len(completed) >= self._policy.evolution.least + len(self._space.seeds)

    def sampler(
        self, completed: Sequence[Completed], seen: set[str], seed: int | str, otherwise: BaseSampler
    ) -> BaseSampler:
        """What proposes the most promising of some children; `otherwise` where there is nothing to breed of yet, or
        nothing new is bred. `seen` are hashes of networks that need no further trial.
        """
        if not self.is_ready(completed) or not any(trial.is_trained for trial in completed):
            return otherwise
        observed = [self._observed(trial) for trial in completed]
        lowest_ms = min((trial.latency_ms for trial in completed if trial.latency_ms), default=1.0)
        least_ms = lowest_ms * self._policy.latency_model.least_share
        return EvolutionSampler(
            seed,
            n_startup_trials=0,
            children=self._policy.evolution.children,
            gain=self._space.objectives.index(ACCURACY) if ACCURACY in self._space.objectives else 0,
            log_objectives=[place for place, metric in enumerate(self._metrics) if metric == "latency"],
            search_space={name: parameter.distribution for name, parameter in self._parameters.items()},
            independent_sampler=otherwise,
            observe=lambda study: observed,
            identify=self._identify,
            refuse=lambda params: self._refuses(params, seen),
            features=self._featured,
            predict=lambda params: self._predicted(params, least_ms),
            policy=self._policy,
        )

    def _observed(self, trial: Completed) -> Observation:
        """A measured network: all objectives of one that was trained, of others their latency."""
        params = {name: parameter.encode(trial.choices[name]) for name, parameter in self._parameters.items()}
        values = [trial.latency_ms if metric == "latency" else None for metric in self._metrics]
        constraints = dict[str, float]()
        if self._gate_ms is not None and trial.latency_ms:
            over = math.log(trial.latency_ms / self._gate_ms)
            constraints[_GATE] = min(over, 0.0) if trial.is_trained else over
        return Observation(params, trial.values if trial.is_trained else values, constraints)

    def _identify(self, params: Params) -> str | None:
        """The hash of a network; None where it is none that could be tried."""
        network = self._network(params)
        return None if network is None else network.network_hash

    def _refuses(self, params: Params, seen: set[str]) -> bool:
        network = self._network(params)
        return network is None or network.network_hash in seen or self._too_slow(network)

    def _network(self, params: Params) -> Network | None:
        """The network of parameters; None where it is none that could be tried."""
        key = tuple(params.values())
        if key not in self._networks:
            if len(self._networks) >= self._policy.evolution.most_kept:
                self._networks.clear()
            self._networks[key] = self._made(params, self._settings)
        return self._networks[key]

    def _made(self, params: Params, settings: Settings | None) -> Network | None:
        choices = {name: parameter.decode(params[name]) for name, parameter in self._parameters.items()}
        try:
            return candidate(self._space, choices.__getitem__, settings)
        except Refused:
            return None

    def _featured(self, params: Params) -> Fields | None:
        """What a network is; None where it is none any more. Those that were trained keep no static budget."""
        key = tuple(params.values())
        if key not in self._features:
            if len(self._features) >= self._policy.evolution.most_kept:
                self._features.clear()
            network = self._network(params) or self._made(params, None)
            self._features[key] = (
                None
                if network is None
                else described(network.spec.to_json(), network.counted.params, network.counted.macs)
            )
        return self._features[key]

    def _predicted(self, params: Params, least_ms: float) -> Prediction:
        """What is known of a network: its costs, and its latency where that is predicted, at least so many ms."""
        network = self._network(params)
        if network is None:
            return Prediction([None] * len(self._metrics))
        ms = self._latency(network)
        latency_ms = None if ms is None else max(ms, least_ms)
        costs = {"latency": latency_ms, "params": float(network.counted.params), "macs": float(network.counted.macs)}
        values = [costs.get(metric) for metric in self._metrics]
        if latency_ms is None or self._gate_ms is None:
            return Prediction(values)
        return Prediction(values, {_GATE: math.log(latency_ms / self._gate_ms)})
