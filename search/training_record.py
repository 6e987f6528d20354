"""How a proxy accuracy came about, as a trial keeps it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from pydantic import TypeAdapter

from archdsl.json_types import JsonObject


@dataclass(frozen=True)
class SeedAccuracy:
    """What one of a finalist's longer trainings gave."""

    seed: int
    accuracy: float
    held_out: float | None = None
    answers: str | None = None
    """Which validation images were named rightly, as `archdsl.training.accuracy.packed` writes them."""
    fidelity: str | None = None
    """Of this training, as the next two; None where these are the record's."""
    epochs: float | None = None
    planned_epochs: float | None = None

    def as_json(self) -> JsonObject:
        """The same facts for a file; what only some trainings have stands there where it is known."""
        facts: JsonObject = {"seed": self.seed, "accuracy": self.accuracy, "held_out": self.held_out}
        more = {name: value for name, value in asdict(self).items() if name not in facts and value is not None}
        return facts | more


@dataclass(frozen=True)
class Training:
    """How a proxy accuracy came about; None for what an earlier version did not write.

    Of a finalist it tells the last training, and `per_seed` the accuracy of each.
    """

    fidelity: str | None = None
    """The budget that names the accuracy, as `2 epochs of 2,000 images`."""
    data: str | None = None
    seed: int | None = None
    threads: int | None = None
    device: str | None = None
    torch: str | None = None
    seconds: float | None = None
    steps: int | None = None
    loss: float | None = None
    """Mean training loss over the last epoch."""
    error: float | None = None
    """Standard error of the accuracy, from the number of validation images alone."""
    held_out: float | None = None
    """Accuracy on images that nothing was chosen by; None where there are none."""
    key: str | None = None
    """Its name in the cache of results; None where it was shortened, and so is not kept there."""
    running: tuple[float, ...] = ()
    """The running training loss after each twentieth of the steps that was reached."""
    epochs: float | None = None
    planned_epochs: float | None = None
    """Where it was shortened to end in time; None where it has its full length."""
    batch: int | None = None
    autocast: str | None = None
    halted: int | None = None
    """The mark of the running loss at which it was stopped early; None where it was not."""
    answers: str | None = None
    """Which validation images were named rightly, as `archdsl.training.accuracy.packed` writes them."""
    validation_images: int | None = None
    held_out_images: int | None = None
    per_seed: tuple[SeedAccuracy, ...] = ()
    """A finalist's longer trainings, one a seed."""
    spread: float | None = None
    """The most less the least of their accuracies."""
    parent: str | None = None
    """The SHA-256 of the file of the parent that the network inherited from; None where it began with initial
    weights.
    """
    not_inherited: str | None = None
    """Why it began with initial weights in a search that has a parent."""
    inherited_loss: float | None = None
    """On some training images right after inheriting, in nats."""
    parent_loss: float | None = None
    """Of the parent, on the same images."""
    lr: float | None = None
    """The peak rate of a fine-tuning after inheriting."""
    refitted: int | None = None
    """Blocks that a refit made better."""
    is_untuned: bool | None = None
    """Whether the fine-tuning was undone, since it named fewer validation images rightly than before."""
    inherited_blocks: tuple[tuple[str, str, str], ...] = ()
    """Each node or block of a network that inherited, the parent's that it came from, and how its tensors did."""

    @property
    def lengths(self) -> str:
        """As `fidelity`; of a finalist's trainings all of them, where they differ."""
        named = [each.fidelity or self.fidelity for each in self.per_seed] or [self.fidelity]
        return " or ".join(dict.fromkeys(each or "a training of unknown length" for each in named))

    @property
    def is_shortened(self) -> bool:
        """Whether it, or one of a finalist's, was shortened to end in time."""
        planned = (self.planned_epochs, *(each.planned_epochs for each in self.per_seed))
        return any(epochs is not None for epochs in planned)

    @classmethod
    def from_json(cls, facts: JsonObject) -> Training:
        """`provenance.proxy` of a line of `trials.jsonl`, and `facts` of a stored result.

        Raises:
            ValidationError: a part is of another type.
        """
        named = {_TRAINING_FIELDS.get(name, name): value for name, value in facts.items()}
        return _TRAINING.validate_python(named)

    def as_json(self) -> JsonObject:
        """The same facts for a file; what only some trainings have stands there where it is known."""
        facts: JsonObject = asdict(self)
        facts |= {"running": list(self.running), "per_seed": [each.as_json() for each in self.per_seed]}
        facts["inherited_blocks"] = [list(row) for row in self.inherited_blocks]
        kept = {name: value for name, value in facts.items() if name not in _WHERE_KNOWN or value not in (None, [])}
        return {"trainings" if name == "per_seed" else name: value for name, value in kept.items()}


_TRAINING_FIELDS = {"trainings": "per_seed"}
_WHERE_KNOWN = (
    *("halted", "planned_epochs", "answers", "validation_images", "held_out_images", "per_seed", "spread"),
    *("parent", "not_inherited", "inherited_loss", "parent_loss", "lr", "refitted", "is_untuned", "inherited_blocks"),
)
_TRAINING = TypeAdapter(Training)
