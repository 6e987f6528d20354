"""A line of `trials.jsonl` as a value, whatever the line holds."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.json_types import Json, JsonObject
from archdsl.runtimes.setting import with_runtime
from archdsl.search.report.reading import items, mapping, number, numbers, text
from archdsl.search.trial import BESIDE, LIBRARY, marked
from archdsl.search.worker.scores.every import NAMES

LONGER, AGAIN = "train_longer", "measured_again"


@dataclass(frozen=True)
class Timing:
    """How a latency was measured."""

    spread: float | None
    """(p50 - p10) / p10"""
    is_unstable: bool
    """Whether the measurement called itself so: it drifted, or too few of its rounds were undisturbed."""
    undisturbed: int | None
    """Rounds that count; None where the file does not say it."""
    interval: tuple[float, float] | None
    """Of the latency, in ms; None where no round counts, or the file does not say it."""
    machine: JsonObject
    """The device, the setting and the versions; empty if the file does not say them."""
    document: JsonObject
    """Everything that the file says of it."""

    @classmethod
    def of(cls, value: Json) -> Timing:
        """What an earlier version calls `mode` is the runtime."""
        document = mapping(value)
        if "provenance" in document and isinstance(document["provenance"], dict):
            document = document | {"provenance": with_runtime(document["provenance"])}
        machine, unstable = mapping(document.get("provenance")), document.get("unstable")
        undisturbed, interval = number(document.get("undisturbed")), numbers(document.get("interval_ms"))
        return cls(
            spread=number(document.get("spread")),
            is_unstable=unstable is True,
            undisturbed=None if undisturbed is None else int(undisturbed),
            interval=(interval[0], interval[1]) if len(interval) == 2 else None,
            machine=machine,
            document=document,
        )


@dataclass(frozen=True)
class Proxy:
    """How a proxy accuracy came about."""

    fidelity: str
    """The length of training that names the accuracy."""
    data: str
    error: float | None
    """Standard error of the accuracy, from the number of validation images alone."""
    document: JsonObject
    """Everything that the file says of it."""

    @property
    def lengths(self) -> str:
        """As `fidelity`; of a finalist's trainings all of them, where they differ."""
        named = [text(mapping(each).get("fidelity")) for each in items(self.document.get("trainings"))]
        return " or ".join(dict.fromkeys(each or self.fidelity for each in named)) or self.fidelity

    @property
    def is_shortened(self) -> bool:
        """Whether a training was shortened to end in time."""
        trainings = [self.document, *(mapping(each) for each in items(self.document.get("trainings")))]
        return any(number(training.get("planned_epochs")) is not None for training in trainings)

    @classmethod
    def of(cls, value: Json) -> Proxy:
        """Empty texts stand for what is not known."""
        document = mapping(value)
        names = text(document.get("fidelity")), text(document.get("data"))
        return cls(*names, number(document.get("error")), document)


@dataclass(frozen=True)
class TrialLine:
    """A network and how far it came; None for what the line does not say."""

    number: int | None
    name: str
    hash: str
    rung: str
    outcome: str
    reason: str
    params: float | None
    macs: float | None
    latency: float | None
    """ms per batch, at the search's statistic."""
    inside_budget: bool | None
    accuracy: float | None
    """Proxy accuracy, 0 to 1."""
    seconds: float
    spec: JsonObject
    provenance: JsonObject
    choices: JsonObject
    """What the network chose of the space; empty if that cannot be told."""

    @property
    def timing(self) -> Timing:
        """How the latency was measured."""
        return Timing.of(self.provenance.get("latency"))

    @property
    def proxy(self) -> Proxy:
        """How the accuracy came about."""
        return Proxy.of(self.provenance.get("proxy"))

    @property
    def scores(self) -> dict[str, float]:
        """Zero-cost scores by name; params and MACs are the trial's own fields."""
        recorded = mapping(self.provenance.get("scores"))
        values = {name: number(recorded.get(name)) for name in NAMES[2:]}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def last_rung(self) -> str:
        """The rung at which it ended."""
        return {"fell": self.rung, "failed": "failed"}.get(self.outcome, "trained")

    @property
    def is_baseline(self) -> bool:
        """Whether it is a network that was named beside the space."""
        return self.origin in BESIDE

    @property
    def is_of_library(self) -> bool:
        """Whether it is one that a library gave for the budget."""
        return self.origin == LIBRARY

    @property
    def origin(self) -> str | None:
        """Where it comes from, beside the space; None for a point that the search chose."""
        origin = self.provenance.get("from")
        return None if origin is None else str(origin)

    @property
    def label(self) -> str:
        """The name in a table, in which baselines are marked."""
        return marked(self.name, self.origin)

    @property
    def overrides(self) -> str:
        """`w=32 d1=2`: what it chose."""
        return " ".join(f"{name}={value}" for name, value in self.choices.items())


def trial_of(record: JsonObject, choices: JsonObject | None = None) -> TrialLine:
    """A record, whatever it holds."""
    spec, inside, order = mapping(record.get("spec")), record.get("inside_budget"), number(record.get("number"))
    return TrialLine(
        number=None if order is None else int(order),
        name=text(spec.get("name")) or text(record.get("hash")) or "unnamed",
        hash=text(record.get("hash")),
        rung=text(record.get("rung"), "unknown"),
        outcome=text(record.get("outcome"), "unknown"),
        reason=text(record.get("reason")),
        params=number(record.get("params")),
        macs=number(record.get("macs")),
        latency=number(record.get("latency")),
        inside_budget=inside if isinstance(inside, bool) else None,
        accuracy=number(record.get("accuracy")),
        seconds=number(record.get("seconds")) or 0.0,
        spec=spec,
        provenance=mapping(record.get("provenance")),
        choices=choices or {},
    )
