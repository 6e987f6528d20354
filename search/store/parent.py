"""The trained network that a search derives its candidates from, as the run's folder tells of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property

from pydantic import JsonValue, TypeAdapter

from archdsl.json_types import Json, JsonObject
from archdsl.language.document import Spec
from archdsl.load.specs import spec_of
from archdsl.search.store.folder import RunFolder
from archdsl.search.store.run_schema import Object

PARENT, PARENT_WEIGHTS = "parent.json", "parent.safetensors"


@dataclass(frozen=True)
class ParentAccuracy:
    """Of the parent on a set of images, with the binomial standard error."""

    accuracy: float
    error: float
    images: int


@dataclass(frozen=True)
class ParentSummary:
    """What is told of a parent beside the winner."""

    name: str
    sha256: str
    validation: ParentAccuracy
    held_out: ParentAccuracy | None = None
    latency_ms: float | None = None
    epochs: float = 0.0
    warnings: tuple[str, ...] = ()
    """Why it is a doubtful parent, in sentences."""

    @property
    def accuracy(self) -> ParentAccuracy:
        """On held-out images where there are any, else on validation images."""
        return self.held_out or self.validation

    @classmethod
    def from_json(cls, facts: Json) -> ParentSummary | None:
        """`parent` in `verdict.json`; None where the search had none.

        Raises:
            ValidationError: a part is of another type.
        """
        return None if facts is None else _SUMMARY.validate_python(facts)

    def as_json(self) -> JsonObject:
        """The same facts for a file."""
        facts: JsonObject = asdict(self)
        return facts | {"warnings": list(self.warnings)}


@dataclass(frozen=True)
class Parent:
    """A trained network, in the classes and channels of the search's data."""

    name: str
    """Of its network."""
    source: str
    """The file that it came from."""
    sha256: str
    """Of that file."""
    spec: dict[str, JsonValue]
    validation: ParentAccuracy
    held_out: ParentAccuracy | None
    epochs: float
    """By which it was adapted to the data; 0 where it was taken as it is."""
    notes: tuple[str, ...] = ()
    """What was done to it, in sentences."""
    warnings: tuple[str, ...] = ()
    """Why it is a doubtful parent, in sentences."""
    latency_ms: float | None = None
    """At the search's statistic, measured once as candidates are; None until then."""

    @cached_property
    def network(self) -> Spec:
        """Its spec as it is read, once: a search asks for it at each point drawn."""
        return spec_of(self.spec)

    @property
    def summary(self) -> ParentSummary:
        """What is told of it beside the winner."""
        measured = (self.validation, self.held_out, self.latency_ms)
        return ParentSummary(self.name, self.sha256, *measured, self.epochs, self.warnings)

    def as_json(self) -> JsonObject:
        """The content of `parent.json`."""
        facts: JsonObject = asdict(self)
        return facts | {"notes": list(self.notes), "warnings": list(self.warnings)}


_PARENT, _SUMMARY = TypeAdapter(Parent), TypeAdapter(ParentSummary)


def stored_parent(folder: RunFolder) -> Parent | None:
    """What a run's folder tells of its parent; None where it has none.

    Raises:
        SearchError: it cannot be read.
    """
    facts = folder.read(PARENT, Object)
    if facts is None or not (folder.path / PARENT_WEIGHTS).is_file():
        return None
    return _PARENT.validate_python(facts)


def keep_parent(folder: RunFolder, parent: Parent) -> None:
    """Write down what is known of the parent, so that a resumed search does not prepare it again."""
    folder.write(PARENT, parent.as_json())
