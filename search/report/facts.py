"""What a report tells, as values: the same for the terminal, the page, the CSV and the JSON."""

from __future__ import annotations

from typing import Any, NamedTuple

from archdsl.language.document import Spec
from archdsl.search.propose.study_facts import Importance
from archdsl.search.report.reading import mapping, number, text, timing_of
from archdsl.search.store.reading import Reading
from archdsl.search.worker.scores.every import NAMES

LONGER, AGAIN = "train_longer", "measured_again"


class Trial(NamedTuple):
    """A line of `trials.jsonl`: a network and how far it climbed; None for what the line does not say."""

    number: int | None
    name: str
    hash: str
    rung: str
    outcome: str
    reason: str
    params: float | None
    macs: float | None
    latency: float | None
    """ms a batch, at the search's statistic."""
    inside_budget: bool | None
    accuracy: float | None
    """Proxy accuracy, 0 to 1."""
    seconds: float
    spec: dict[str, Any]
    provenance: dict[str, Any]
    choices: dict[str, Any]
    """What the network chose of the space; empty if that cannot be told."""

    @property
    def timing(self) -> dict[str, Any]:
        """How the latency was measured."""
        return timing_of(self.provenance.get("latency"))

    @property
    def proxy(self) -> dict[str, Any]:
        """How the accuracy came about."""
        return mapping(self.provenance.get("proxy"))

    @property
    def scores(self) -> dict[str, float]:
        """At initialisation, by name; params and MACs are the trial's own."""
        found = mapping(self.provenance.get("scores"))
        known = {name: number(found.get(name)) for name in NAMES[2:]}
        return {name: value for name, value in known.items() if value is not None}

    @property
    def error(self) -> float | None:
        """Standard error of the accuracy, from the size of the validation set alone."""
        return number(self.proxy.get("error"))

    @property
    def fidelity(self) -> str:
        """The length of training that names the accuracy."""
        return text(self.proxy.get("fidelity"))

    @property
    def end(self) -> str:
        """The rung at which it ended."""
        return {"fell": self.rung, "failed": "failed"}.get(self.outcome, "trained")

    @property
    def overrides(self) -> str:
        """`w=32 d1=2`: what it chose."""
        return " ".join(f"{name}={value}" for name, value in self.choices.items())


def trial_of(record: dict[str, Any], choices: dict[str, Any] | None = None) -> Trial:
    """A record, whatever it holds."""
    spec, inside, order = mapping(record.get("spec")), record.get("inside_budget"), number(record.get("number"))
    return Trial(
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


class Attempt(NamedTuple):
    """A network that could have been the winner."""

    name: str
    hash: str
    latency: float | None
    """ms as measured again, pooled over fresh processes; None where it was not."""
    word: str
    """PASS, FAIL or UNSURE."""
    reason: str
    timing: dict[str, Any]
    gate_reading: float | None = None
    """ms as its trial measured."""

    @property
    def passed(self) -> bool:
        """Whether it kept the budget."""
        return self.word == "PASS"


class ClassAccuracy(NamedTuple):
    """How many images of a class the winner names rightly, of how many, by the set of images."""

    name: str
    validation: tuple[int, int] | None
    held_out: tuple[int, int] | None


class Verdict(NamedTuple):
    """What became of the promise; `passed` None while the search has not ended."""

    passed: bool | None
    word: str
    """PASS, FAIL or UNSURE; empty where there is no verdict."""
    name: str
    hash: str
    latency: float | None
    accuracy: float | None
    reason: str
    attempts: list[Attempt]
    reading: Reading | None
    """As measured again; None where it was not, or in a run of an earlier version."""
    disturbed: str
    """How many readings a busy machine disturbed; empty where none was."""
    held_out: dict[str, Any]
    """The winner's accuracy on images that no choice has seen; empty if it is not known."""
    per_class: list[ClassAccuracy]
    """Of the winner, in the order of its classes; empty if it is not known."""
    balanced: dict[str, float]
    """The mean of the classes' recalls, by the set of images: "validation", and "held_out" where there are any."""


class Rung(NamedTuple):
    """Candidates that ended at one rung, and why: reasons with their counts, the commonest first."""

    name: str
    meaning: str
    ended: int
    seconds: float | None
    """What measuring and training them took; None for a rung that takes no time of its own."""
    reasons: list[tuple[str, int]]


class Agreement(NamedTuple):
    """Spearman's rank correlation of two numbers of some networks.

    `chance` is the share of random orders whose correlation is at least as far from 0.
    """

    name: str
    n: int
    rho: float | None
    chance: float | None


class Finals(NamedTuple):
    """Finalists: the proxy accuracy as in the search, and after longer training."""

    pairs: list[tuple[Trial, Trial]]
    agreement: Agreement


class Prediction(NamedTuple):
    """Predicted and measured ms of networks, each predicted from all the others; the errors are relative."""

    points: list[tuple[str, float, float]]
    median_error: float | None
    largest_error: float | None
    agreement: Agreement | None
    reason: str
    """Why there is no prediction."""


class Report(NamedTuple):
    """A run, as far as its folder tells it."""

    folder: str
    settings: dict[str, Any]
    state: str
    """`finished`, `interrupted`, or `not ended`: still running, or killed."""
    seconds: float | None
    facts: dict[str, Any]
    """The device."""
    gate_ms: float | None
    noise: float | None
    trials: list[Trial]
    longer: list[Trial]
    front: list[Trial]
    verdict: Verdict
    rungs: list[Rung]
    refused: str
    """Why the candidates that fell unmeasured are not known; empty if they are."""
    importance: list[Importance]
    scores: list[Agreement]
    """What ranks the proxy accuracy of this run's networks."""
    finals: Finals
    prediction: Prediction
    winner: Spec | None
    reproduce: list[tuple[str, str]]
    """What a command does, and the command."""
    problems: list[str]

    @property
    def space(self) -> str:
        """The name of the space."""
        return text(mapping(self.settings.get("space")).get("name"), "unknown")

    @property
    def stat(self) -> str:
        """The statistic that the latencies are."""
        return text(self.settings.get("stat"), "latency")

    @property
    def budget_ms(self) -> float | None:
        """The latency budget."""
        return number(self.settings.get("latency_budget_ms"))

    def as_json(self) -> dict[str, Any]:
        """The same facts for programs."""
        plain: dict[str, Any] = _values(self)
        return plain | {"space": self.space, "winner": self.winner.to_json() if self.winner else None}


def _values(value: Any) -> Any:
    """Named tuples as objects."""
    if hasattr(value, "_asdict"):
        return {name: _values(inner) for name, inner in value._asdict().items()}
    if isinstance(value, list | tuple):
        return [_values(inner) for inner in value]
    return value
