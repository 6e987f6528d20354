"""Copies of a parent with fewer channels and blocks: each made once, chosen for a gate and again for a measurement."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from archdsl.cost import count
from archdsl.json_types import JsonObject
from archdsl.language.canonical import canonical_hash
from archdsl.language.document import Spec
from archdsl.load.smaller import narrower
from archdsl.load.specs import spec_of
from archdsl.search.config import Settings
from archdsl.search.network import Network
from archdsl.search.policy.inherit import LibraryPolicy, ReachPolicy
from archdsl.search.predict.formula import Terms
from archdsl.search.store.narrower import KeptCopy, KeptNarrower

LatencyOf = Callable[[Spec], float]


class Made(NamedTuple):
    """A narrower copy of a base. channels: its share of the base's."""

    channels: Fraction
    spec: Spec
    network_hash: str
    over_budget: bool
    """Whether it exceeds a budget of params, MACs or memory."""


class CopyMaker:
    """Makes the narrower copies of a network once, however often they are asked for."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: dict[str, tuple[Made, ...]] = {}

    def of(self, base: Spec) -> tuple[Made, ...]:
        """All narrower copies of a network, the widest first."""
        base_hash = canonical_hash(base)
        if base_hash not in self._made:
            self._made[base_hash] = tuple(self._make(base))
        return self._made[base_hash]

    def _make(self, base: Spec) -> Iterator[Made]:
        for channels, spec in narrower(base):
            over = Network(spec, count(spec)).over_budget(self._settings) is not None
            yield Made(channels, spec, canonical_hash(spec), over)


class Copy(NamedTuple):
    """A copy that is tried. base: the number of its base. ms: predicted. tries: how often it was corrected before."""

    spec: Spec
    network_hash: str
    base: int
    channels: Fraction
    ms: float
    tries: int = 0


class NarrowerCopies:
    """The copies of a parent that a search tries."""

    def __init__(self, bases: Sequence[Spec], maker: CopyMaker, policy: ReachPolicy, library: LibraryPolicy) -> None:
        """`bases` are what the copies are made of, the one with the most blocks first."""
        self._bases, self._maker, self._policy, self._library = bases, maker, policy, library
        self.tried: list[Copy] = []
        self.measured: list[tuple[Terms, float]] = []
        """Terms and ms of networks by which predictions are corrected."""
        self.is_alone = True
        """Whether nothing but copies is tried."""

    def for_gate(self, gate_ms: float, latency_of: LatencyOf) -> list[Copy]:
        """Of each cut of the parent the widest copy that is predicted to keep the gate; as many as are tried.

        The widest comes first: what has fewer channels keeps less of its parent than what has fewer blocks. Where none
        of them keeps the gate, the widest copy of the last base, the smallest network of the space.
        """
        found, cuts = list[Copy](), len(self._policy.depths)
        for number in range(len(self._bases)):
            if found and number >= cuts:
                break
            hashes = {each.network_hash for each in found}
            copy = self._widest(number, gate_ms, latency_of)
            if copy is not None and copy.network_hash not in hashes:
                found.append(copy)
        return sorted(found, key=lambda copy: copy.channels, reverse=True)[: self._policy.copies]

    def find(self, spec: Spec, ms: float) -> Copy | None:
        """The copy that equals a network which took `ms`; None where none does."""
        network_hash = canonical_hash(spec)
        for number, base in enumerate(self._bases):
            for made in self._maker.of(base):
                if made.network_hash == network_hash:
                    return Copy(made.spec, network_hash, number, made.channels, ms)
        return None

    def fastest(self, latency_of: LatencyOf) -> list[Copy]:
        """The copy that is predicted to be the fastest; empty where none keeps the other budgets."""
        every = [
            Copy(made.spec, made.network_hash, number, made.channels, latency_of(made.spec))
            for number, base in enumerate(self._bases)
            for made in self._maker.of(base)
            if not made.over_budget
        ]
        return sorted(every, key=lambda copy: copy.ms)[:1]

    def begin(self, copies: Sequence[Copy], name: str) -> None:
        """Try these copies; `name` is the parent's."""
        for copy in copies:
            self._add(copy, name)

    def is_of_parent(self, copy: Copy) -> bool:
        """Whether it is a copy of the parent; else of the smallest network of the space."""
        return copy.base < len(self._policy.depths)

    def is_missed(self, latency_ms: float, gate_ms: float) -> bool:
        """Whether a copy that took so long is over the gate, or leaves much of it unused."""
        return not self._library.used * gate_ms <= latency_ms <= gate_ms

    def is_last(self, copy: Copy) -> bool:
        """Whether no other is made in the place of a copy that is too slow: it was corrected often enough."""
        return copy.tries >= self._library.tries

    def again(self, copy: Copy, latency_ms: float, gate_ms: float, latency_of: LatencyOf, name: str) -> Copy | None:
        """Another copy than one that measured `latency_ms`, which keeps the gate if its prediction errs by as much.

        It has the same blocks, or else fewer where the copy was too slow and more where it was fast. None where there
        is no such copy, or the last one that is made was measured.
        """
        if self.is_last(copy):
            return None
        predicted_ms, is_over = latency_of(copy.spec), latency_ms > gate_ms
        scale = latency_ms / predicted_ms
        limit_ms = gate_ms / scale * (self._library.margin if is_over else 1.0)
        others = range(copy.base + 1, len(self._bases)) if is_over else range(copy.base - 1, -1, -1)
        for number in (copy.base, *others):
            other = self._widest(number, limit_ms, latency_of)
            if other is not None and (is_over or other.ms > predicted_ms):
                return self._add(other._replace(ms=scale * other.ms, tries=copy.tries + 1), name)
        return None

    def restore(self, kept: KeptNarrower) -> None:
        """The copies that the run tried before."""
        self.is_alone = kept.is_alone
        self.measured = [(Terms(macs, operators), ms) for macs, operators, ms in kept.measured]
        for document, copy in zip(kept.networks, kept.copies, strict=True):
            spec = spec_of(document)
            channels = Fraction(copy.channels)
            self.tried.append(Copy(spec, canonical_hash(spec), copy.base, channels, copy.predicted_ms, copy.tries))

    def as_json(self) -> JsonObject:
        """What `restore` takes, and the bases."""
        copies = [
            KeptCopy(base=copy.base, channels=str(copy.channels), predicted_ms=copy.ms, tries=copy.tries)
            for copy in self.tried
        ]
        kept = KeptNarrower(
            networks=tuple(copy.spec.to_json() for copy in self.tried),
            bases=tuple(base.to_json() for base in self._bases),
            copies=tuple(copies),
            measured=tuple((terms.macs, terms.operators, ms) for terms, ms in self.measured),
            is_alone=self.is_alone,
        )
        return kept.model_dump(mode="json")

    def _widest(self, number: int, limit_ms: float, latency_of: LatencyOf) -> Copy | None:
        """The widest copy of a base that keeps the budgets, if it was not tried before."""
        for made in self._maker.of(self._bases[number]):
            ms = latency_of(made.spec)
            if ms > limit_ms or made.over_budget:
                continue
            if made.network_hash in {each.network_hash for each in self.tried}:
                continue
            return Copy(made.spec, made.network_hash, number, made.channels, ms)
        return None

    def _add(self, copy: Copy, name: str) -> Copy:
        named = copy.spec.model_copy(update={"name": f"{name[:50]}-narrower-{len(self.tried) + 1}"})
        self.tried.append(copy._replace(spec=named))
        return self.tried[-1]
