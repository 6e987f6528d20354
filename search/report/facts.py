"""What a report says, as values: the same for the terminal, the page, the CSV and the JSON."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from archdsl.json_types import JsonObject
from archdsl.language.document import Spec
from archdsl.search.propose.study_facts import Importance
from archdsl.search.report.changes import WinnerChanges
from archdsl.search.report.library import LibraryLines
from archdsl.search.report.reading import mapping, number, text
from archdsl.search.report.trials import Timing, TrialLine
from archdsl.search.store.budget_share import BudgetShare
from archdsl.search.store.parent import ParentSummary
from archdsl.search.store.reading import Reading
from archdsl.search.store.winner import Float32Beside, HeldOutAccuracy, Word


@dataclass(frozen=True)
class Attempt:
    """A network that could have been the winner."""

    name: str
    hash: str
    latency: float | None
    """ms as measured again, pooled over fresh processes; None where it was not."""
    word: str
    """PASS, FAIL or UNSURE."""
    reason: str
    timing: JsonObject
    gate_reading: float | None = None
    """ms as its trial measured."""

    @property
    def passed(self) -> bool:
        """Whether it kept the budget."""
        return self.word == "PASS"

    @property
    def measured(self) -> Timing:
        """How the latency was measured again."""
        return Timing.of(self.timing)


@dataclass(frozen=True)
class ClassAccuracy:
    """How many images of a class the winner names rightly, of how many, by the set of images."""

    name: str
    validation: tuple[int, int] | None
    held_out: tuple[int, int] | None


@dataclass(frozen=True)
class Verdict:
    """What became of the promise; `passed` None while the search has not ended."""

    passed: bool | None
    word: Word | Literal[""]
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
    held_out: HeldOutAccuracy | None
    float32: Float32Beside | None
    """What a winner in int8 reaches in float32; None where nothing was quantised."""
    per_class: list[ClassAccuracy]
    """Of the winner, in the order of its classes; empty if it is not known."""
    balanced: dict[str, float]
    """The mean of the classes' recalls, by the set of images: "validation", and "held_out" where there are any."""
    budget_share: BudgetShare | None = None
    """How much of the space the latency budget leaves; None where it is not known."""
    parent: ParentSummary | None = None
    """The trained network that candidates inherited from."""

    @property
    def has_winner(self) -> bool:
        """Whether a network is handed over: it passed, or was measured again and may pass."""
        return self.word == "PASS" or (self.word == "UNSURE" and self.reading is not None)


@dataclass(frozen=True)
class Rung:
    """Candidates that ended at one rung, and why: reasons with their counts, the commonest first."""

    name: str
    meaning: str
    ended: int
    seconds: float | None
    """What measuring and training them took; None for a rung that takes no time of its own."""
    reasons: list[tuple[str, int]]


@dataclass(frozen=True)
class Agreement:
    """Spearman's rank correlation of two numbers of some networks.

    `chance` is the share of random orders whose correlation is at least as far from 0.
    """

    name: str
    n: int
    rho: float | None
    chance: float | None


@dataclass(frozen=True)
class Finals:
    """Finalists: the proxy accuracy as in the search, and after longer training."""

    pairs: list[tuple[TrialLine, TrialLine]]
    agreement: Agreement


@dataclass(frozen=True)
class Prediction:
    """Predicted and measured ms of networks, each predicted from all the others; the errors are relative."""

    points: list[tuple[str, float, float]]
    median_error: float | None
    largest_error: float | None
    agreement: Agreement | None
    reason: str
    """Why there is no prediction."""
    method: str = "a regression"


@dataclass(frozen=True)
class NextStep:
    """Something to do with the result, and the command line that does it."""

    text: str
    """A sentence, with the figures that it rests on."""
    command: str


@dataclass(frozen=True)
class Report:
    """A run, as far as its folder tells it."""

    folder: str
    settings: JsonObject
    state: Literal["finished", "interrupted", "not ended"]
    """`not ended`: the search is still running, or was killed."""
    seconds: float | None
    facts: JsonObject
    """The device."""
    gate_ms: float | None
    noise: float | None
    trials: list[TrialLine]
    longer: list[TrialLine]
    front: list[TrialLine]
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
    changes: WinnerChanges | None
    """From the winner's parent, or the nearest seed of the space."""
    inherited: list[tuple[str, str, str]]
    """Of a winner that inherited each node or block, the parent's that it came from, and how its tensors did."""
    library: LibraryLines | None
    """None where the run had no library."""
    next_steps: list[NextStep]
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

    def as_json(self) -> JsonObject:
        """The same facts for programs."""
        plain: JsonObject = dataclasses.asdict(dataclasses.replace(self, winner=None, changes=None))
        verdict, held_out, reading = mapping(plain["verdict"]), self.verdict.held_out, self.verdict.reading
        held_out_facts = {} if held_out is None else dataclasses.asdict(held_out)
        verdict |= {
            "reading": None if reading is None else reading.as_json(),
            "held_out": {name: value for name, value in held_out_facts.items() if value is not None},
        }
        if self.verdict.float32 is None:
            del verdict["float32"]
        winner = None if self.winner is None else self.winner.to_json()
        importance: list[JsonObject] = [shares._asdict() for shares in self.importance]
        changes = None if self.changes is None else self.changes.as_json()
        both: JsonObject = {"winner": winner, "changes": changes}
        return plain | both | {"verdict": verdict, "importance": [*importance], "space": self.space}
