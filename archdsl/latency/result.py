"""What was measured: one model's latency, and several beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from archdsl.json_types import Json, JsonObject
from archdsl.latency.provenance import Noted, Provenance
from archdsl.latency.stats import STATS, Ratio, checked_stat, percentile, ratio
from archdsl.numbers import plain_text
from archdsl.timing.rounds import Rounds
from archdsl.timing.turns import joined
from archdsl.timing.verdict import LEAST_SHARE

AGAIN = "A/A"
LEAST_ROUNDS = 10
"""Undisturbed rounds below which nothing can be told of a latency's stability."""
TOLERANCE = 0.05
"""Drift within a run, or difference between twice the same, above which a measurement is called unstable."""


class Latency(NamedTuple):
    """One model's latency; a sample is the mean of one round's calls, in ms per batch, in the order of the rounds.

    Statistics are over the undisturbed rounds, or over all where none is (`unstable` says so).
    """

    name: str
    samples: tuple[float, ...]
    provenance: JsonObject
    """`Provenance.as_json`, with what was noted of this measurement beside it."""
    disturbed: frozenset[int] = frozenset()
    """Numbers of the rounds, from 0, in which the process did not have its cores to itself."""
    turns: tuple[int, ...] = ()
    """Rounds of each turn, where the process took turns with others; empty where it did not."""

    @classmethod
    def of_turns(cls, turns: Sequence[Latency]) -> Latency:
        """What one process measured in its turns as one latency; of what was noted, the busiest turn's."""
        rounds, first, noted = joined([turn.rounds for turn in turns]), turns[0], [turn.noted for turn in turns]
        load: tuple[float, ...] | None = max(
            (taken.load_average for taken in noted if taken.load_average), default=None
        )
        gpu_processes: list[Json] = [*sorted({name for taken in noted for name in taken.gpu_processes or ()})]
        busiest: JsonObject = {
            "cpu_share": min((taken.cpu_share for taken in noted if taken.cpu_share is not None), default=None),
            "other_cores": max((taken.other_cores for taken in noted if taken.other_cores is not None), default=None),
            "load_average": None if load is None else [*load],
            "gpu_processes": gpu_processes or None,
            "slowed": rounds.slowed,
            "throttled": any(turn.provenance.get("throttled") for turn in turns) or first.provenance.get("throttled"),
        }
        counts: JsonObject = {"rounds": len(rounds.ms), "undisturbed": sum(rounds.undisturbed)}
        told = {name: fact for name, fact in busiest.items() if name in first.provenance}
        return cls(first.name, rounds.ms, first.provenance | told | counts, disturbed_rounds(rounds), rounds.turns)

    @property
    def counting(self) -> tuple[float, ...]:
        """The samples of the undisturbed rounds; all where none is."""
        return tuple(ms for number, ms in enumerate(self.samples) if number not in self.disturbed) or self.samples

    @property
    def rounds(self) -> Rounds:
        """The samples with those marked that count, for pooling with other processes'."""
        undisturbed = tuple(number not in self.disturbed for number in range(len(self.samples)))
        slowed = self.provenance.get("slowed")
        return Rounds(self.samples, undisturbed, turns=self.turns, slowed=slowed if isinstance(slowed, int) else 0)

    def __repr__(self) -> str:
        """`Latency('litv2_s', p50 12.35 ms, p10 12.1 ms, p90 13.02 ms, 40 rounds, cpu)`"""
        stats = (
            [f"{stat} {plain_text(self.stat(stat), 4)} ms" for stat in ("p50", "p10", "p90")] if self.samples else []
        )
        device = self.provenance.get("device")
        facts = [repr(self.name), *stats, f"{len(self.samples)} rounds", *([str(device)] if device else [])]
        return f"Latency({', '.join(facts)}{', unstable' if self.samples and self.unstable else ''})"

    @property
    def origin(self) -> Provenance:
        """Device, versions and setting.

        Raises:
            MeasureError: the provenance lacks one of them.
        """
        return Provenance.from_json(self.provenance)

    @property
    def noted(self) -> Noted:
        """What was noted of this measurement.

        Raises:
            MeasureError: the provenance has something else in its place.
        """
        return Noted.from_json(self.provenance)

    def stat(self, name: str) -> float:
        """`min`, `p10`, `p50` or `p90` of the undisturbed rounds, in ms per batch."""
        return percentile(self.counting, STATS[checked_stat(name)])

    @property
    def min_ms(self) -> float:
        """The fastest round."""
        return self.stat("min")

    @property
    def p10_ms(self) -> float:
        """What a quiet moment of a shared machine gives; steadier than the minimum."""
        return self.stat("p10")

    @property
    def p50_ms(self) -> float:
        """The median round."""
        return self.stat("p50")

    @property
    def p90_ms(self) -> float:
        """What nine rounds of ten stay under."""
        return self.stat("p90")

    @property
    def spread(self) -> float:
        """(p50 - p10) / p10: how far an ordinary round lies above a quiet one."""
        return (self.p50_ms - self.p10_ms) / self.p10_ms

    @property
    def drift(self) -> float:
        """How far p10 of the second half of the undisturbed rounds lies from p10 of the first half, relative."""
        samples = self.counting
        half = len(samples) // 2
        first, second = (percentile(part, 10) for part in (samples[:half], samples[half:]))
        return abs(second / first - 1)

    @property
    def is_disturbed(self) -> bool:
        """Whether less than a quarter of the rounds were undisturbed, or the process had less than half a core."""
        share = self.noted.cpu_share
        return self.rounds.share < LEAST_SHARE or (share is not None and share < 0.5)

    @property
    def unstable(self) -> bool:
        """Whether it drifts by more than 5 %, was disturbed, or has under ten undisturbed rounds, too few to tell."""
        few = sum(self.rounds.undisturbed) < LEAST_ROUNDS
        return few or self.is_disturbed or self.drift > TOLERANCE

    def as_json(self) -> JsonObject:
        """The same facts for programs."""
        return {
            "name": self.name,
            **{f"{stat}_ms": self.stat(stat) for stat in STATS},
            "spread": self.spread,
            "unstable": self.unstable,
            "samples_ms": [*self.samples],
            "disturbed_rounds": [*sorted(self.disturbed)],
            "provenance": self.provenance,
        }


class Comparison(NamedTuple):
    """Latencies of one interleaved run; `again` is the first item, built and measured a second time."""

    stat: str
    latencies: dict[str, Latency]
    again: Latency

    def __repr__(self) -> str:
        """`Comparison(p10: litv2_s 12.35 ms, lit_s 10.2 ms; A/A 1.002, 40 rounds, cpu)`"""
        items = [f"{name} {plain_text(item.stat(self.stat), 4)} ms" for name, item in self.latencies.items()]
        device = self.first.provenance.get("device")
        noise = [] if self.noise is None else [f"A/A {self.noise.value:.3f}"]
        facts = [*noise, f"{len(self.first.samples)} rounds", *([str(device)] if device else [])]
        return f"Comparison({self.stat}: {', '.join(items)}; {', '.join(facts)})"

    @property
    def first(self) -> Latency:
        """What the others are compared with."""
        return next(iter(self.latencies.values()))

    @property
    def ratios(self) -> dict[str, Ratio | None]:
        """Each item's latency over the first item's; None where too few rounds were undisturbed for both."""
        return {name: self._ratio(item) for name, item in self.latencies.items()}

    @property
    def noise(self) -> Ratio | None:
        """The first item over itself; how far it is from 1 is what this run cannot tell apart. None as in `ratios`."""
        return self._ratio(self.again)

    def compared(self, item: Latency) -> list[int]:
        """The rounds in which neither an item nor the first one was disturbed: those that their ratio is of."""
        disturbed = item.disturbed | self.first.disturbed
        return [number for number in range(len(item.samples)) if number not in disturbed]

    def _ratio(self, item: Latency) -> Ratio | None:
        """Of the statistic over the rounds in which neither was disturbed, ten at least."""
        kept = self.compared(item)
        if len(kept) < LEAST_ROUNDS:
            return None
        samples, base = (tuple(latency.samples[number] for number in kept) for latency in (item, self.first))
        return ratio(samples, base, self.stat)

    @property
    def unstable(self) -> bool:
        """Whether any latency is, or the same model measured twice differs by more than 5 %, or cannot be compared."""
        latencies = (*self.latencies.values(), self.again)
        noise = self.noise
        return noise is None or abs(noise.value - 1) > TOLERANCE or any(item.unstable for item in latencies)

    def differs(self, name: str) -> bool | None:
        """Whether an item is shown to differ from the first: its interval excludes 1, its ratio exceeds the noise.

        None where one of the two ratios is unknown.
        """
        of_it, noise = self.ratios[name], self.noise
        if of_it is None or noise is None:
            return None
        return not of_it.low <= 1 <= of_it.high and abs(of_it.value - 1) > abs(noise.value - 1)

    def rows(self) -> list[JsonObject]:
        """The facts of each item, with its ratio to the first."""
        ratios = self.ratios
        return [
            item.as_json() | {"ratio": _facts(ratios[name]), "differs": self.differs(name)}
            for name, item in self.latencies.items()
        ]

    def as_json(self) -> JsonObject:
        """The same facts for programs."""
        rows: list[Json] = [*self.rows()]
        again = self.again.as_json() | {"ratio": _facts(self.noise)}
        return {"stat": self.stat, "unstable": self.unstable, "items": rows, "again": again}


def _facts(ratio: Ratio | None) -> JsonObject | None:
    return None if ratio is None else ratio._asdict()


def counts_of(rounds: Rounds) -> JsonObject:
    """What the provenance of a latency says of its rounds."""
    return {
        "rounds": len(rounds.ms),
        "undisturbed": sum(rounds.undisturbed),
        "slowed": rounds.slowed,
        "calls": rounds.calls,
    }


def disturbed_rounds(rounds: Rounds) -> frozenset[int]:
    """Numbers of the rounds, from 0, that do not count."""
    return frozenset(number for number, counts in enumerate(rounds.undisturbed) if not counts)
