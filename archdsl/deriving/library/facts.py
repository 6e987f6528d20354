"""What a library tells of itself: what it is made for, and each alternative with its score."""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from archdsl.errors import short
from archdsl.json_types import JsonObject


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Named(_Facts):
    """Something that a library is made of, by its name and the hash of its content."""

    name: str
    sha256: str

    def __str__(self) -> str:
        """Name and the first digits of the hash."""
        return f"{self.name} ({self.sha256[:8]})"


class LibrarySettings(_Facts):
    """How alternatives are fitted and scored.

    images: training images that blocks are fitted on, at most. scored: further ones that they are scored on, at most.
    steps: of a fit. lr: peak rate for a single block; span_lr: for a block in the place of several.
    """

    images: int = 1000
    scored: int = 500
    steps: int = 60
    lr: float = 1e-2
    span_lr: float = 5e-3
    batch: int = 32
    seed: int = 0


class Identity(_Facts):
    """What a library is made for; all of it must agree where the library is used or resumed."""

    parent: Named
    data: Named
    image: tuple[int, int]
    space: Named
    settings: LibrarySettings

    @property
    def sha256(self) -> str:
        """Of all of it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


class Entry(_Facts):
    """One alternative, fitted and scored, or left out.

    first: the first position in the stage, from 0. span: positions that it covers. block: its document. kl: from the
    parent's output to that with it alone exchanged, in nats. before, after: its squared error on the images that it is
    fitted on, relative to what the blocks that it replaces add. reason: why it is left out.
    """

    key: str
    stage: str
    first: int
    span: int
    block: dict[str, JsonValue]
    choice: dict[str, JsonValue] = {}
    state: Literal["fitted", "kept", "left out"]
    kl: float | None = None
    before: float | None = None
    after: float | None = None
    reason: str | None = None
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """For a person: `stage3.2-4 hilo`."""
        last = f"-{self.first + self.span - 1}" if self.span > 1 else ""
        return f"{self.stage}.{self.first}{last} {self.block.get('type')}"


class Index(Identity):
    """`index.json`. keys: of all alternatives in their order. spec, space_document: of the parent and of the space."""

    kind: Literal["library"] = "library"
    version: Literal[1] = 1
    archdsl: str
    spec: dict[str, JsonValue]
    space_document: dict[str, JsonValue]
    keys: tuple[str, ...]
    entries: tuple[Entry, ...] = ()

    @property
    def identity(self) -> Identity:
        """What it is made for."""
        return Identity(parent=self.parent, data=self.data, image=self.image, space=self.space, settings=self.settings)


def key_of(stage: str, first: int, span: int, block: JsonObject) -> str:
    """The key of an alternative: where it stands, and digits of the hash of its canonical block."""
    digits = hashlib.sha256(json.dumps(block, sort_keys=True, default=short).encode()).hexdigest()[:10]
    return f"{stage}.{first}{f'-{first + span - 1}' if span > 1 else ''}.{digits}"
