"""What a worker is asked about data and training, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pydantic import JsonValue

from archdsl.json_types import JsonObject
from archdsl.search.loaded_data import DataRequest, LoadedData
from archdsl.search.policy.inherit import FineTuningPolicy
from archdsl.search.worker.request import Request


@dataclass(frozen=True)
class LoadRequest(Request[LoadedData]):
    """Load the data, and tell of it."""

    do = "data"
    data: DataRequest

    def as_json(self) -> JsonObject:
        """As it goes over the pipe."""
        return {"do": self.do, "data": [*self.data]}


@dataclass(frozen=True)
class ScoreReply:
    """Scores at initialisation by name, and the seconds that those took which run the network."""

    scores: dict[str, float]
    seconds: dict[str, float]


@dataclass(frozen=True)
class ScoreRequest(Request[ScoreReply]):
    """Score a network at initialisation (`worker/scores`)."""

    do = "score"
    spec: dict[str, JsonValue]
    data: DataRequest
    seed: int
    device: str


@dataclass(frozen=True)
class CountReply:
    """What a network costs: parameters, and multiply-adds of one image."""

    params: int
    macs: int


@dataclass(frozen=True)
class CountRequest(Request[CountReply]):
    """What does a network cost that has no spec?"""

    do = "count"
    spec: dict[str, JsonValue]


@dataclass(frozen=True)
class Answers:
    """Which images of a set were named rightly, as `archdsl.training.accuracy.packed` writes them."""

    answers: str
    images: int


@dataclass(frozen=True)
class TrainingOutcome:
    """What a training gave, as `archdsl.training.recipe.Outcome` tells it."""

    accuracy: float
    finite: bool
    finished: bool
    running: tuple[float, ...] = ()
    halted: int | None = None
    error: float | None = None
    loss: float | None = None
    held_out: float | None = None
    steps: int | None = None
    seconds: float = 0.0
    autocast: str | None = None
    validation: Answers | None = None
    held: Answers | None = None


@dataclass(frozen=True)
class Inheriting:
    """How a network is to begin with the weights of a trained parent instead of initial ones."""

    parent: str
    """The parent's file in the run's folder, with the classes and channels of the data."""
    sha256: str
    """Of the file that the parent came from."""
    epochs: float
    """Of the fine-tuning that follows."""
    refit_steps: int = 0
    """Of each kept block where the network has fewer or other blocks than the parent; 0: no refit."""
    refit_images: int = 1000
    tuning: FineTuningPolicy = field(default_factory=FineTuningPolicy)
    library: str | None = None
    """The folder of the parent's library, where the network is made of blocks of it."""
    library_sha256: str | None = None
    """Of what that library is made for."""
    blocks: tuple[tuple[str, int, int, str | None], ...] = ()
    """Its blocks by stage, first position, span and key in the library; those without a key are the parent's."""
    is_decided: bool = False
    """Whether it inherited before, so that it is not asked again whether inheriting pays."""
    begins_anew: bool = True
    """Whether it is trained from initial weights where inheriting does not pay; else it is not trained."""


@dataclass(frozen=True)
class Inherited:
    """How a network began."""

    loss: float | None = None
    """Mean cross entropy on training images right after inheriting, in nats; None where it was not computed."""
    parent_loss: float | None = None
    """Of the parent, on the same images."""
    reason: str | None = None
    """Why it was trained from initial weights after all; None where it was fine-tuned."""
    lr: float | None = None
    """The peak rate of the fine-tuning."""
    refitted: int = 0
    """Blocks that the refit made better."""
    is_untuned: bool = False
    """Whether the fine-tuning was undone, since it named fewer validation images rightly than before."""
    blocks: tuple[tuple[str, str, str], ...] = ()
    """Each node or block, the parent's that it came from, and how its tensors did."""

    def untuned(self) -> Inherited:
        """The same, with the fine-tuning undone."""
        return replace(self, is_untuned=True)


@dataclass(frozen=True)
class InheritedLossRequest(Request[Inherited]):
    """What does a network keep of its parent, before any training?"""

    do = "inherited_loss"
    spec: dict[str, JsonValue]
    data: DataRequest
    seed: int
    device: str
    threads: int | None
    inheriting: Inheriting


@dataclass(frozen=True)
class TrainReply:
    """A training, and where its weights are."""

    outcome: TrainingOutcome | None
    """None where it was not trained, since it cannot inherit."""
    threads: int | None = None
    kept: str | None = None
    not_kept: str | None = None
    """Why the weights could not be written."""
    inherited: Inherited | None = None
    """None where nothing was to be inherited."""


@dataclass(frozen=True)
class TrainRequest(Request[TrainReply]):
    """Train a network for at most so many seconds; with `keep`, a path, its weights are written there."""

    do = "train"
    spec: dict[str, JsonValue]
    data: DataRequest
    epochs: float
    batch: int
    images: int
    seed: int
    device: str
    threads: int | None
    seconds: float | None = None
    limits: tuple[tuple[int, float], ...] = ()
    """Running losses, by mark, above which the training is stopped."""
    keep: str | None = None
    keep_inherited: str | None = None
    """In the place of `keep` where it inherits, and so has another length."""
    inheriting: Inheriting | None = None
    least_steps: int | None = None
    """To which it may be shortened to end in time; None: it is not, and is not finished where it does not."""
    refit_seconds: float | None = None
    """Of `seconds`, by when a refit ends; None: by its last step."""


@dataclass(frozen=True)
class PaceReply:
    """Seconds of a training step, and of the validation of an image."""

    step_s: float
    image_s: float


@dataclass(frozen=True)
class PaceRequest(Request[PaceReply]):
    """How long does a training step take?"""

    do = "pace"
    spec: dict[str, JsonValue]
    batch: int
    device: str
    threads: int | None
