"""A library on disk: `index.json`, and a `.safetensors` for each fitted block, written as it is finished.

Everything here is read without torch. The facts of a block stand in the header of its file too, so that a library whose
building ended early, or whose index is broken, is resumed without fitting anything twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from archdsl.errors import SearchError, WrongUse, short
from archdsl.files import read_json, write_json
from archdsl.json_types import Json, JsonObject
from archdsl.load.model_header import NoModel, read_safetensors_header

INDEX = "index.json"
BLOCKS = "blocks"
FACTS = "archdsl_block"
"""Under which key a block's file carries its facts, as JSON."""
FOR = "archdsl_library"
"""Under which key it carries the hash of what its library is made for."""


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


@dataclass(frozen=True)
class Library:
    """A finished library in a folder."""

    folder: Path
    index: Index

    @property
    def usable(self) -> tuple[Entry, ...]:
        """The alternatives that were not left out."""
        return tuple(entry for entry in self.index.entries if entry.state != "left out")

    @property
    def left_out(self) -> tuple[Entry, ...]:
        """The others, each with its reason."""
        return tuple(entry for entry in self.index.entries if entry.state == "left out")

    def file(self, key: str) -> Path:
        """Of a fitted block."""
        return block_file(self.folder, key)

    def check(
        self,
        *,
        parent: Named | None = None,
        data: Named | None = None,
        image: tuple[int, int] | None = None,
        space: Named | None = None,
    ) -> None:
        """Refuse the library where it is of another parent, other data, another image size or another space.

        Raises:
            SearchError: it is; both are named.
        """
        found = dict[str, tuple[object, object]]()
        for what, mine, asked in (
            ("parent", self.index.parent, parent),
            ("data", self.index.data, data),
            ("space", self.index.space, space),
        ):
            if asked is not None and asked.sha256 != mine.sha256:
                found[what] = mine, asked
        if image is not None and image != self.index.image:
            found["image size"] = _sides(self.index.image), _sides(image)
        refuse_difference(self.folder, found)

    def as_json(self) -> JsonObject:
        """The index, with the alternatives counted."""
        facts: JsonObject = self.index.model_dump(mode="json")
        left_out: Json = [{"name": entry.name, "reason": entry.reason} for entry in self.left_out]
        counted: JsonObject = {"folder": str(self.folder), "usable": len(self.usable), "left_out": left_out}
        return counted | facts


def refuse_difference(folder: Path, found: Mapping[str, tuple[object, object]]) -> None:
    """Raises `SearchError` where a library differs in something from what is asked for: (the library's, asked)."""
    if found:
        texts = [f"{what} is {mine}, not {asked}" for what, (mine, asked) in found.items()]
        raise SearchError(
            f"{folder} is another library: its {'; its '.join(texts)}; build one in another folder "
            "with archdsl library build"
        )


def _sides(image: tuple[int, int]) -> str:
    return f"{image[0]}x{image[1]}"


def differences(index: Identity, asked: Identity) -> dict[str, tuple[object, object]]:
    """In what two libraries differ, by name: (the first one's, the second one's)."""
    found = dict[str, tuple[object, object]]()
    for what in ("parent", "data", "space"):
        mine, other = getattr(index, what), getattr(asked, what)
        if mine.sha256 != other.sha256:
            found[what] = mine, other
    if index.image != asked.image:
        found["image size"] = _sides(index.image), _sides(asked.image)
    ours, theirs = index.settings.model_dump(), asked.settings.model_dump()
    differing = [name for name in ours if ours[name] != theirs[name]]
    found |= {f"setting {_OPTIONS.get(name, name)}": (ours[name], theirs[name]) for name in differing}
    return found


def block_file(folder: Path, key: str) -> Path:
    """Where a fitted block lies."""
    return folder / BLOCKS / f"{key}.safetensors"


def read_index(folder: Path) -> Index | None:
    """The index of a library, finished or not; None where there is none that can be read."""
    content = read_json(folder / INDEX)
    if content is None:
        return None
    try:
        return Index.model_validate(content)
    except ValidationError:
        return None


def write_index(folder: Path, begun: Index, entries: Iterable[Entry]) -> Index:
    """Write the index with what is finished, in one step."""
    index = begun.model_copy(update={"entries": tuple(entries)})
    write_json(folder / INDEX, index.model_dump(mode="json"), indent=1)
    return index


def stored_entry(folder: Path, key: str, identity: Identity) -> Entry | None:
    """What a finished block's file says of it; None where there is no whole file of this library."""
    try:
        header, _ = read_safetensors_header(block_file(folder, key))
        if header.get(FOR) != identity.sha256:
            return None
        entry = Entry.model_validate(json.loads(header.get(FACTS, "")))
    except (OSError, NoModel, ValueError):
        return None
    return entry if entry.key == key else None


def read_library(folder: str | Path) -> Library:
    """A finished library, checked to be whole.

    Raises:
        WrongUse: there is no such folder.
        SearchError: it is no library, its index is broken, or alternatives are missing; what is missing is named.
    """
    path = Path(folder)
    if not path.is_dir():
        command = f"archdsl library build PARENT --data DATA -o {path}"
        raise WrongUse(f"no such folder: {path}; make a library with: {command}")
    again = f"repeat archdsl library build -o {path}, which fits only what is missing"
    index = read_index(path)
    if index is None:
        what = "its index.json is broken" if (path / INDEX).exists() else "it has no index.json"
        raise SearchError(f"{path} is no library: {what}; {again}")
    known = {entry.key for entry in index.entries}
    missing = [key for key in index.keys if key not in known]
    if missing:
        raise SearchError(
            f"{path} is half built: {len(missing)} of {len(index.keys)} alternatives are missing, the first of them "
            f"{missing[0]}; {again}"
        )
    identity = index.identity
    for entry in index.entries:
        if entry.state != "left out" and stored_entry(path, entry.key, identity) is None:
            file = block_file(path, entry.key)
            what = "is broken" if file.exists() else "is missing"
            raise SearchError(f"{path}: {file.name} {what}; {again}")
    return Library(path, index)


def weights_hash(file: Path, spec_hash: str) -> str:
    """The SHA-256 of a network: the hash of its spec, and the values of its tensors by name, without counters."""
    _, places = read_safetensors_header(file)
    digest = hashlib.sha256(spec_hash.encode())
    with file.open("rb") as opened:
        for name in sorted(places):
            if name.endswith(_COUNTERS):
                continue
            begin, end = places[name]
            digest.update(f"\n{name} ".encode())
            opened.seek(begin)
            digest.update(opened.read(end - begin))
    return digest.hexdigest()


def values_hash(tensors: Iterable[tuple[str, bytes]], spec_hash: str) -> str:
    """As `weights_hash`, of tensors in memory, by name with their bytes."""
    digest = hashlib.sha256(spec_hash.encode())
    for name, values in sorted(tensors):
        if not name.endswith(_COUNTERS):
            digest.update(f"\n{name} ".encode())
            digest.update(values)
    return digest.hexdigest()


_OPTIONS = {"images": "fit-images", "scored": "score-images"}
"""Settings whose options have other names."""
_COUNTERS = ("num_batches_tracked",)


def key_of(stage: str, first: int, span: int, block: JsonObject) -> str:
    """The key of an alternative: where it stands, and digits of the hash of its canonical block."""
    digits = hashlib.sha256(json.dumps(block, sort_keys=True, default=short).encode()).hexdigest()[:10]
    return f"{stage}.{first}{f'-{first + span - 1}' if span > 1 else ''}.{digits}"
