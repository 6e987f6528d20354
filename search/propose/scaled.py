"""Seeds scaled into the budget, and first draws that are over it tried again as smaller networks of their kind.

A seed is there because it is known to be good, mostly on another machine or at another size; that it is too slow here
says nothing against its kind. Depths are lowered first, each as far from where it was as the others: a block less is
faster on every device, while a narrower one often is not. Widths and other sizes follow once no depth can be lowered.
A seed that is then inside the budget with room left is widened, step by step, until there is none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from archdsl.json_types import Scalar
from archdsl.search.config import Settings
from archdsl.search.network import Choices, Network
from archdsl.search.policy.propose import ScalingPolicy
from archdsl.search.propose.candidates import Refused, candidate
from archdsl.search.propose.study import Completed
from archdsl.spaces.space import Space
from archdsl.spaces.variables import Variable


class _Sized(NamedTuple):
    """A network with what its latency rests on."""

    choices: Choices
    network: Network

    @property
    def size(self) -> tuple[int, int]:
        """Blocks and MACs."""
        return sum(getattr(node, "depth", 0) for node in self.network.spec.nodes), self.network.counted.macs

    def share(self, other: _Sized) -> float:
        """Of another network's latency, at most: of its blocks or of its MACs, whichever is more."""
        return max(side / max(whole, 1) for side, whole in zip(self.size, other.size, strict=True))


class Scaled:
    """Scales the seeds and first draws of one search."""

    def __init__(
        self,
        space: Space,
        variables: Mapping[str, Variable],
        settings: Settings,
        policy: ScalingPolicy,
        seeds: Sequence[Choices],
        too_slow: Callable[[Network], bool] = lambda network: False,
        gate_ms: float | None = None,
    ) -> None:
        """`too_slow` says of which networks the search is sure; what takes longer than `gate_ms` falls."""
        self._space, self._settings, self._seeds, self._too_slow = space, settings, seeds, too_slow
        self._policy, self._gate_ms = policy, gate_ms
        self._ordered = {
            name: variable.numbers for name, variable in variables.items() if variable.is_ordered and variable.values
        }
        self._looked_at = dict[tuple[tuple[str, Scalar], ...], _Sized | None]()

    def each(self, measured: Sequence[Completed], taken: set[str]) -> Iterator[Choices]:
        """Networks that are not taken yet: the next of every seed, the least scaled so far first, then the others'."""
        by_hash = {
            sized.network.network_hash: trial for trial in measured if (sized := self._sized(trial.choices)) is not None
        }
        ways = sorted((self._way(choices, by_hash) for choices in self._seeds), key=len)
        scaled: list[_Sized | None] = [way[-1] for way in ways if way]
        scaled += [self._smaller(trial.choices, 1 / (1 + trial.excess)) for trial in measured if not trial.is_inside]
        for smaller in scaled:
            if (
                smaller is not None
                and smaller.network.network_hash not in taken
                and not self._too_slow(smaller.network)
            ):
                yield smaller.choices

    def smaller(self, choices: Choices, share: float) -> Network | None:
        """The nearest smaller network with such a share of the latency, or else the smallest; None where none holds."""
        sized = self._smaller(choices, share)
        return None if sized is None else sized.network

    def _way(self, choices: Choices, by_hash: Mapping[str, Completed]) -> list[_Sized]:
        """What was measured of a seed, scaled again and again, and what is next; empty where nothing is."""
        way, now, is_wider = list[_Sized](), self._smaller(choices, 1.0), False
        while now is not None:
            way.append(now)
            trial = by_hash.get(now.network.network_hash)
            if trial is None:
                return way
            if trial.is_inside:
                now, is_wider = self._wider(now, trial.latency_ms), True
            else:
                now = None if is_wider else self._smaller(now.choices, 1 / (1 + trial.excess))
                now = None if now in way else now
        return []

    def _smaller(self, choices: Choices, share: float) -> _Sized | None:
        """The nearest smaller network with such a share of the latency, or else the smallest; None where that is too
        slow or over a static budget.
        """
        whole = self._sized(choices)
        smallest, now = None, whole
        while now is not None and whole is not None:
            smallest = now if self._keeps(now) else None
            if smallest is not None and now.share(whole) <= share:
                return smallest
            now = self._lowered(now, whole)
        return smallest

    def _lowered(self, now: _Sized, whole: _Sized) -> _Sized | None:
        """One number lowered by an eighth at least, so that the network is smaller; None where none can be."""
        candidates = list[tuple[tuple[bool, float, int], _Sized]]()
        for name, values in self._ordered.items():
            if name not in now.choices or (place := values.index(now.choices[name])) == 0:
                continue
            most = self._policy.step * values[place]
            value = next((each for each in values[place - 1 :: -1] if each <= most), values[0])
            lower = self._sized(now.choices | {name: value})
            if lower is None or lower.size >= now.size or lower.size[1] > now.size[1]:
                continue
            before = whole.choices[name]
            kept = value / before if isinstance(before, int | float) and before else 0.0
            candidates.append(((lower.size[0] < now.size[0], kept, -lower.size[1]), lower))
        return max(candidates, key=lambda each: each[0])[1] if candidates else None

    def _wider(self, now: _Sized, latency_ms: float | None) -> _Sized | None:
        """One number raised that adds MACs but no block, the one that adds the most; None where there is no room.

        MACs grow with the square of a width, a latency with the MACs at most.
        """
        room = 1.0 if self._gate_ms is None or not latency_ms else self._gate_ms / latency_ms
        candidates = list[_Sized]()
        for name, values in self._ordered.items() if room >= self._policy.room else ():
            place = values.index(now.choices[name]) if name in now.choices else len(values)
            if not (higher := values[place + 1 :]):
                continue
            value = next((each for each in higher if each >= math.sqrt(room) * values[place]), higher[-1])
            wider = self._sized(now.choices | {name: value})
            if wider is not None and wider.size[0] == now.size[0] and self._keeps(wider):
                candidates.append(wider)
        most = max(candidates, key=lambda wider: wider.size[1], default=now)
        return most if most.size[1] > now.size[1] else None

    def _sized(self, choices: Choices) -> _Sized | None:
        """A network that holds, whatever it costs."""
        key = tuple(choices.items())
        if key not in self._looked_at:
            try:
                network = candidate(self._space, choices.__getitem__, None)
                self._looked_at[key] = _Sized(choices, network)
            except Refused:
                self._looked_at[key] = None
        return self._looked_at[key]

    def _keeps(self, now: _Sized) -> bool:
        """Whether it is inside the static budgets, and not surely too slow."""
        return now.network.over_budget(self._settings) is None and not self._too_slow(now.network)
