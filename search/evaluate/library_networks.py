"""The networks that a library gives for a search's budgets: solved for, and solved again where one is too slow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from archdsl.cost import count
from archdsl.deriving.choice import BudgetTooSmall
from archdsl.deriving.library.covering import DerivedBlock
from archdsl.deriving.library.folder import Library
from archdsl.deriving.library.solutions import Derived, Solver
from archdsl.json_types import JsonObject
from archdsl.language.canonical import canonical_hash
from archdsl.language.document import Spec
from archdsl.load.smaller import with_fewer_blocks
from archdsl.load.specs import spec_of
from archdsl.search.config import Settings
from archdsl.search.evaluate.library_facts import library_facts
from archdsl.search.network import Network
from archdsl.search.policy.inherit import LibraryPolicy
from archdsl.search.predict.formula import Terms
from archdsl.search.store.run_library import KeptNetwork, KeptNetworks

LATENCY = "latency"
_FIRST = ("best", "measured")
"""What the network is that others follow."""


class Solved(NamedTuple):
    """A network that was solved for. what: which one. limit_ms: within which. tries: how often it was solved again.
    scale: by which its latency is believed to differ from the solver's, as that of the network before it did.
    """

    what: str
    derived: Derived
    limit_ms: float | None
    tries: int = 0
    scale: float = 1.0

    @property
    def network_hash(self) -> str:
        """Of its canonical form."""
        return canonical_hash(self.derived.spec)

    @property
    def predicted_ms(self) -> float:
        """The solver's latency, corrected by what the network before it was measured to take."""
        return self.scale * self.derived.costs[LATENCY]


class LibraryNetworks:
    """What a search takes from a library."""

    def __init__(
        self,
        library: Library,
        solver: Solver,
        settings: Settings,
        policy: LibraryPolicy,
        measured: Sequence[tuple[Terms, float]] = (),
    ) -> None:
        """The solver's costs are `params`, `macs` and, where latencies are limited, `latency` in ms.

        `measured` are the networks by which its latencies were corrected.
        """
        self.library, self.solver, self._settings, self._policy = library, solver, settings, policy
        self.measured = tuple(measured)
        self.solved: list[Solved] = []
        self.depth_cut: Spec | None = None
        """The parent with fewer of its own blocks in each stage, as many as the budgets let it keep."""
        self._blocks: dict[str, tuple[DerivedBlock, ...]] = {}

    def blocks_of(self, spec: Spec) -> tuple[DerivedBlock, ...]:
        """The blocks that make up a network; empty for one that the library does not make up."""
        network_hash = canonical_hash(spec)
        if network_hash not in self._blocks:
            self._blocks[network_hash] = self.solver.blocks_of(spec) or ()
        return self._blocks[network_hash]

    def solve(self, gate_ms: float | None) -> None:
        """The best network, others that differ from it, and the best one of single blocks.

        Raises:
            BudgetTooSmall: no network of the library is predicted to keep the budgets.
        """
        self.depth_cut = self._depth_cut(gate_ms)
        best = self._solve_for("best", gate_ms)
        if best is None or not best.exchanged:
            return
        self._add("best", best, gate_ms)
        for _ in range(self._policy.others):
            if (other := self._solve_for("another", gate_ms)) is not None:
                self._add("another", other, gate_ms)
        try:
            single = self._solve_for("single blocks", gate_ms)
        except BudgetTooSmall:  # which is why there are spans
            return
        if single is not None:
            self._add("single blocks", single, gate_ms)

    def take_measured(self, measured: Sequence[tuple[Derived, float]], gate_ms: float) -> Solved | None:
        """The one of these networks with the least KL that was measured to keep the gate; None without.

        It stands where no network is predicted to keep it: a measurement counts for more than a prediction.
        """
        for derived, ms in sorted(measured, key=lambda pair: pair[0].kl):
            again = self.solver.of_blocks(derived.blocks)
            if ms > gate_ms or not again.exchanged or again.costs[LATENCY] <= 0:
                continue
            if Network(again.spec, count(again.spec)).over_budget(self._settings) is None:
                return self._add("measured", again, again.costs[LATENCY], scale=ms / again.costs[LATENCY])
        return None

    def solve_again(self, network_hash: str, latency_ms: float, gate_ms: float) -> Solved | None:
        """Another network than one that measured `latency_ms`, whose latency keeps the gate if it errs by as much.

        It stands in the place of a network that is over the gate, and beside the best one where that leaves much of the
        gate unused. None where it was solved often enough, or there is none.
        """
        missed = next((each for each in self.solved if each.network_hash == network_hash), None)
        if missed is None or missed.limit_ms is None or missed.tries >= self._policy.tries:
            return None
        if missed.derived.costs[LATENCY] <= 0:  # no latency is predicted
            return None
        is_wasteful = missed.what in _FIRST and latency_ms < self._policy.used * gate_ms
        if latency_ms <= gate_ms and not is_wasteful:
            return None
        what = "best" if missed.what in _FIRST else missed.what  # it is solved for, and not measured yet
        scale = latency_ms / missed.derived.costs[LATENCY]
        limit_ms = gate_ms / scale * (self._policy.margin if latency_ms > gate_ms else 1.0)
        try:
            derived = self._solve_for(what, limit_ms)
        except BudgetTooSmall:
            return None
        if derived is None or not derived.exchanged:
            return None
        return self._add(what, derived, limit_ms, missed.tries + 1, scale)

    def next_best(self) -> Solved | None:
        """The best network that differs from all before in two positions, within the limit of the best one.

        None where there is none, or enough were solved for.
        """
        best = next((each for each in reversed(self.solved) if each.what in _FIRST), None)
        if best is None or len(self.solved) >= self._policy.most:
            return None
        derived = self._solve_for("another", best.limit_ms)
        if derived is None or not derived.exchanged:
            return None
        return self._add("another", derived, best.limit_ms, scale=best.scale)

    def restore(self, kept: KeptNetworks) -> None:
        """What was solved when the run began."""
        self.depth_cut = None if kept.depth_cut is None else spec_of(kept.depth_cut)
        for each in kept.networks:
            blocks = [DerivedBlock(*block) for block in each.blocks]
            self._add(each.what, self.solver.of_blocks(blocks), each.limit_ms, each.tries, each.scale)

    def as_json(self) -> JsonObject:
        """What `restore` takes."""
        networks = [
            KeptNetwork(
                what=each.what,
                limit_ms=each.limit_ms,
                tries=each.tries,
                scale=each.scale,
                blocks=tuple((b.stage, b.first, b.span, b.key) for b in each.derived.blocks),
            )
            for each in self.solved
        ]
        cut = None if self.depth_cut is None else self.depth_cut.to_json()
        facts = library_facts(self.solver, [each.limit_ms for each in self.solved if each.what in _FIRST])
        kept = KeptNetworks(
            library=str(self.library.folder),
            networks=tuple(networks),
            measured=tuple((terms.macs, terms.operators, ms) for terms, ms in self.measured),
            depth_cut=cut,
            facts=facts,
        )
        return kept.model_dump(mode="json")

    def _add(self, what: str, derived: Derived, limit_ms: float | None, tries: int = 0, scale: float = 1.0) -> Solved:
        solved = Solved(what, derived, limit_ms, tries, scale)
        self.solved.append(solved)
        self._blocks[solved.network_hash] = derived.blocks
        return solved

    def _solve_for(self, what: str, limit_ms: float | None) -> Derived | None:
        """A network within the limits that was not solved before."""
        limits = self._limits(limit_ms)
        is_single = what == "single blocks"
        unlike = [each.derived for each in self.solved if not is_single or each.what == what]
        taken = {each.network_hash for each in self.solved}
        for _ in range(self._policy.static_tries):
            derived = self.solver.solve(limits, unlike, spans=not is_single)
            if derived is None:
                return None
            network = Network(derived.spec, count(derived.spec))
            if network.network_hash not in taken and network.over_budget(self._settings) is None:
                return derived
            unlike.append(derived)
        return None

    def _depth_cut(self, limit_ms: float | None) -> Spec | None:
        """The deepest even cut within the limits; None where there is none, or the parent keeps them itself."""
        parent, limits = self.solver.parent, self._limits(limit_ms)
        hashes = [canonical_hash(parent)]
        for percent in range(100, 0, -5):
            spec = with_fewer_blocks(parent, percent / 100)
            if canonical_hash(spec) == hashes[-1] and percent < 100:
                continue
            hashes.append(canonical_hash(spec))
            costs = self.solver.costs(spec)
            is_inside = all(costs[metric] <= limit for metric, limit in limits.items())
            if is_inside and Network(spec, count(spec)).over_budget(self._settings) is None:
                return spec if percent < 100 else None
        return None

    def _limits(self, limit_ms: float | None) -> Mapping[str, float]:
        budgets = self._settings.budgets
        limits = {LATENCY: limit_ms, "params": budgets.params, "macs": budgets.macs}
        return {metric: float(limit) for metric, limit in limits.items() if limit is not None}


def costs_by(latency_ms: Callable[[Spec], float]) -> Callable[[Spec], Mapping[str, float]]:
    """What the integer program sums up of a network."""

    def costs(spec: Spec) -> Mapping[str, float]:
        counted = count(spec)
        return {LATENCY: latency_ms(spec), "params": float(counted.params), "macs": float(counted.macs)}

    return costs
