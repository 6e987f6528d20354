"""What to try next: networks that hold, are inside the static budgets and were not tried before."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Iterable
from itertools import takewhile

import optuna

from archdsl.errors import SearchError
from archdsl.json_types import JsonObject
from archdsl.language.document import Spec
from archdsl.load.spaces import choices_of, draw, seeds
from archdsl.search.config import METRICS, Settings
from archdsl.search.network import Choices, Network
from archdsl.search.policy import Policy
from archdsl.search.policy.propose import DrawingPolicy
from archdsl.search.propose.candidates import Drawn, Raised, Refused, candidate, random_candidate
from archdsl.search.propose.heirs import may_inherit
from archdsl.search.propose.network_evolution import Evolution
from archdsl.search.propose.scaled import Scaled
from archdsl.search.propose.study import Breeding, Study
from archdsl.search.trial import ALSO
from archdsl.spaces.space import Space
from archdsl.spaces.variables import variables


class Proposals:
    """The seeds of the space, scaled into the budget, then what the optimiser proposes."""

    def __init__(
        self,
        study: Study,
        space: Space,
        settings: Settings,
        policy: Policy,
        seen: set[str],
        funnel: Counter[str],
        too_slow: Callable[[Network], bool] = lambda network: False,
        latency: Callable[[Network], float | None] = lambda network: None,
        gate_ms: float | None = None,
        *,
        why_too_slow: Callable[[Spec], str | None] = lambda spec: None,
        why_too_inaccurate: Callable[[Network], str | None] = lambda network: None,
        parent: Callable[[], Spec | None] = lambda: None,
        tries_others: Callable[[], bool] = lambda: True,
    ) -> None:
        """`seen` are hashes of networks that need no further trial; `funnel` counts where the refused ones end.

        `too_slow` says of which networks it is sure before they are measured; `latency` predicts ms where it can; what
        takes longer than `gate_ms` is not trained. `why_too_slow` and `why_too_inaccurate` give the figures of what is
        refused before it is measured; the latter holds for what an optimiser proposes, not for seeds and random points.
        The `parent` of a search is its first seed where it is a point of the space, so that its depth cuts are tried;
        `tries_others` says whether some networks are proposed that cannot inherit from it.
        """
        self._why_too_slow, self._why_too_inaccurate = why_too_slow, why_too_inaccurate
        self._parent, self._tries_others = parent, tries_others
        self._is_too_slow = too_slow
        self._is_useless: Callable[[Network], bool] = lambda network: self._is_passed_over(network) or too_slow(network)
        self.study, self.space, self.settings, self.policy = study, space, settings, policy
        self.seen, self.funnel = seen, funnel
        self.exhausted = False
        """Whether drawing at random, too, found nothing new that is not surely too slow."""
        self.raised: list[str] = []
        """What the code of blocks raised while candidates were looked at."""
        self._origins = dict[str, str]()
        self._drawn: Drawn = {}
        self._variables = variables(space.nodes)
        self._evolution = Evolution(space, study.parameters, settings, policy, latency, self._is_useless, gate_ms)
        self._asked_for_smallest = False
        seeds = [*parent_choices(space, parent()), *seed_choices(settings)]
        self._scaled = Scaled(space, self._variables, settings, policy.scaling, seeds, self._is_useless, gate_ms)
        self._seeds = deque[tuple[Choices, JsonObject]]((choices, {}) for choices in seeds)
        self.funnel.update(rung for rung in study.refusals() if rung is not None)

    def add(self, earlier: Iterable[tuple[Choices, JsonObject]], origins: dict[str, str]) -> None:
        """Propose these choices after the seeds, each once, with what stands beside its trial; `origins` are the
        earlier runs of networks, by hash.
        """
        self._seeds.extend(earlier)
        self._origins = origins

    def add_baselines(self, points: Iterable[tuple[Choices, str]]) -> None:
        """Propose these choices before all others, each once; with the names of their networks."""
        self._seeds.extendleft((choices, {ALSO: name}) for choices, name in reversed([*points]))

    def next(self) -> tuple[Network, optuna.Trial] | None:
        """One proposal; None if it is of no use."""
        self._draw_if_fruitless()
        if self.exhausted:
            return None
        while self._seeds and not self.study.has_waiting:
            choices, facts = self._seeds.popleft()
            self.study.enqueue(choices, facts=facts)
        breeding, is_proposed = self._breeding(), not self.study.has_waiting
        trial, choices = self.study.ask(breeding)
        if self.study.is_killer(trial) and not self.study.was_begun(trial):
            times = self.policy.study.most_lost
            self._refuse(trial, "static", f"the search was killed {times} times while this network was examined")
            return None
        try:
            network = candidate(self.space, choices.__getitem__, self.settings)
        except Refused as refused:
            if isinstance(refused, Raised):
                self.raised.append(refused.args[1])
            self._refuse(trial, *refused.args)
            return None
        if network.network_hash in self.seen:
            self._refuse(trial, "duplicate")
            return None
        if (name := trial.user_attrs.get(ALSO)) is not None:
            self.seen.add(network.network_hash)
            self.study.begin(trial, network.network_hash)
            return network._replace(spec=network.spec.model_copy(update={"name": name})), trial
        if self._is_passed_over(network):
            self._refuse(trial, "inheritance")
            return None
        if self._is_too_slow(network):
            self._refuse(trial, "predicted", self._why_too_slow(network.spec))
            return None
        if is_proposed and (reason := self._why_too_inaccurate(network)) is not None:
            self._refuse(trial, "preselection", reason)
            return None
        self.seen.add(network.network_hash)
        self.study.begin(trial, network.network_hash, self._origins.get(network.network_hash))
        return network, trial

    def _is_passed_over(self, network: Network) -> bool:
        """Whether it cannot inherit from the parent, and is not the one in so many that is tried all the same."""
        parent, every = self._parent(), self.policy.inheritance.one_in
        if parent is None or (len(self.seen) % every == every - 1 and self._tries_others()):
            return False
        return not may_inherit(network.spec, parent)

    def _refuse(self, trial: optuna.Trial, rung: str, reason: str | None = None) -> None:
        self.funnel[rung] += 1
        self.study.refused(trial, rung, reason)

    def _draw_if_fruitless(self) -> None:
        """Where the last proposals were of no use, a random point is next: as the study stands, so that a search that
        was killed right here and resumed draws it too.
        """
        in_a_row = len(list(takewhile(lambda ended: ended is not None, reversed(self.study.refusals()))))
        if in_a_row and in_a_row % self.policy.drawing.most_fruitless == 0 and not self.study.has_waiting:
            drawn = random_candidate(
                self.space,
                self._variables,
                self.settings,
                self.seen,
                self._generator(),
                self.policy.drawing,
                is_hopeless=self._is_useless,
                drawn_before=self._drawn,
            )
            self.exhausted = drawn is None
            if drawn is not None:
                self.study.enqueue(drawn[1], again=True)

    def _breeding(self) -> Breeding | None:
        """Evolution, where it proposes what is next; something scaled is next until there is enough to breed of."""
        if self.settings.sampler not in ("auto", "evolution") or self.study.has_waiting:
            return None
        completed = self.study.completed()
        if not self._evolution.is_ready(completed):
            for scaled in self._scaled.each(completed, self.seen):
                self.study.enqueue(scaled)
                if self.study.has_waiting:  # it may have been asked for before, and refused
                    return None
            return None
        seed = self._seed()
        return lambda otherwise: self._evolution.sampler(completed, self.seen, seed, otherwise)

    def ask_for_the_smallest(self) -> None:
        """The network with the fewest MACs of some hundred drawn is tried next; once."""
        if self._asked_for_smallest:
            return
        self._asked_for_smallest = True
        if drawn := _drawn(self.space, self.settings, self.policy.drawing, self.seen, self._generator()):
            _, choices = min(drawn, key=lambda pair: pair[0].counted.macs)
            self.study.enqueue(choices)

    def _generator(self) -> random.Random:
        """Of the search's seed and of how far it is, so that a resumed search draws what an uninterrupted one would."""
        return random.Random(self._seed())

    def _seed(self) -> str:
        return f"{self.settings.seed} {self.study.begun}"


def seed_choices(settings: Settings) -> list[Choices]:
    """The choices of the space's seeds, read from the space as written: the data may bring other channels."""
    return [choices for _, choices in seeds(settings.space_document)]


def parent_choices(space: Space, parent: Spec | None) -> list[Choices]:
    """The choices that give the parent; empty where there is none, or it is no point of the space."""
    choices = None if parent is None else choices_of(space, parent)
    return [] if choices is None else [choices]


def first_candidate(space: Space, settings: Settings, policy: DrawingPolicy) -> Network:
    """A seed, or else a random network, that is inside the static budgets.

    Raises:
        SearchError: there seems to be none.
    """
    raised: str | None = None
    for choices in seed_choices(settings):
        try:
            return candidate(space, choices.__getitem__, settings)
        except Refused as refused:
            raised = refused.args[1] if isinstance(refused, Raised) else raised
    drawn = random_candidate(space, variables(space.nodes), settings, set(), random.Random(settings.seed), policy)
    if drawn is not None:
        return drawn[0]
    raised = raised or _raised(space, settings)
    why = (
        f": none of the networks drawn is valid; a block failed: {raised}"
        if raised
        else _least(space, settings, policy)
    )
    raise SearchError(f"no network of the space '{space.name}' is inside the budgets{why}")


def _raised(space: Space, settings: Settings) -> str | None:
    """What the code of a block raises for a random network; None if nothing."""
    generator = random.Random(settings.seed)
    choices = {name: draw(variable, generator) for name, variable in variables(space.nodes).items()}
    try:
        candidate(space, choices.__getitem__, settings)
    except Refused as refused:
        return str(refused.args[1]) if isinstance(refused, Raised) else None
    return None


def _least(space: Space, settings: Settings, policy: DrawingPolicy) -> str:
    """The least of each budgeted cost among random networks, against its budget."""
    pairs = _drawn(space, None, policy, set(), random.Random(0))
    drawn = [network for network, _ in pairs]
    costs = [network.costs(settings) for network in drawn]
    if not costs:
        return ": none of the networks drawn is valid"
    least = {metric: min(cost[metric] for cost in costs) for metric in METRICS}
    return "".join(
        f"; {METRICS[metric]}: the lowest of {len(drawn)} networks drawn is {least[metric]:,.0f}, "
        f"the budget is {limit:,.0f}"
        for metric, limit in settings.budgets.static.items()
    )


def _drawn(
    space: Space, settings: Settings | None, policy: DrawingPolicy, seen: set[str], generator: random.Random
) -> list[tuple[Network, Choices]]:
    """Some hundred random networks that were not tried yet, with their choices."""
    by_name = variables(space.nodes)
    before: Drawn = {}
    drawn = (
        random_candidate(space, by_name, settings, seen, generator, policy, policy.few_draws, drawn_before=before)
        for _ in range(policy.smallest_of)
    )
    return [pair for pair in drawn if pair is not None]
