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

from pydantic import ValidationError

from archdsl.deriving.library.facts import Entry, Identity, Index, Named
from archdsl.errors import SearchError, WrongUse
from archdsl.files import read_json, write_json
from archdsl.json_types import Json, JsonObject
from archdsl.load.model_header import NoModel, read_safetensors_header

INDEX = "index.json"
BLOCKS = "blocks"
FACTS = "archdsl_block"
"""Under which key a block's file carries its facts, as JSON."""
FOR = "archdsl_library"
"""Under which key it carries the hash of what its library is made for."""


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
        differing = dict[str, tuple[object, object]]()
        for what, mine, asked in (
            ("parent", self.index.parent, parent),
            ("data", self.index.data, data),
            ("space", self.index.space, space),
        ):
            if asked is not None and asked.sha256 != mine.sha256:
                differing[what] = mine, asked
        if image is not None and image != self.index.image:
            differing["image size"] = _sides(self.index.image), _sides(image)
        refuse_difference(self.folder, differing)

    def as_json(self) -> JsonObject:
        """The index, with the alternatives counted."""
        facts: JsonObject = self.index.model_dump(mode="json")
        left_out: Json = [{"name": entry.name, "reason": entry.reason} for entry in self.left_out]
        counted: JsonObject = {"folder": str(self.folder), "usable": len(self.usable), "left_out": left_out}
        return counted | facts


def refuse_difference(folder: Path, differing: Mapping[str, tuple[object, object]]) -> None:
    """Raises `SearchError` where a library differs in something from what is asked for: (the library's, asked)."""
    if differing:
        texts = [f"{what} is {mine}, not {asked}" for what, (mine, asked) in differing.items()]
        raise SearchError(
            f"{folder} is another library: its {'; its '.join(texts)}; build one in another folder "
            "with archdsl library build"
        )


def _sides(image: tuple[int, int]) -> str:
    return f"{image[0]}x{image[1]}"


def differences(index: Identity, asked: Identity) -> dict[str, tuple[object, object]]:
    """In what two libraries differ, by name: (the first one's, the second one's)."""
    differing = dict[str, tuple[object, object]]()
    for what in ("parent", "data", "space"):
        mine, other = getattr(index, what), getattr(asked, what)
        if mine.sha256 != other.sha256:
            differing[what] = mine, other
    if index.image != asked.image:
        differing["image size"] = _sides(index.image), _sides(asked.image)
    ours, theirs = index.settings.model_dump(), asked.settings.model_dump()
    names = [name for name in ours if ours[name] != theirs[name]]
    differing |= {f"setting {_OPTIONS.get(name, name)}": (ours[name], theirs[name]) for name in names}
    return differing


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
    command = f"archdsl library build PARENT --data DATA -o {path}"
    if not path.is_dir():
        raise WrongUse(f"no such folder: {path}; make a library with: {command}")
    again = f"repeat {command}, which fits only what is missing"
    index = read_index(path)
    if index is None:
        if not (path / INDEX).exists():
            make = "archdsl library build PARENT --data DATA -o FOLDER"
            raise SearchError(f"{path} is no library: it has no {INDEX}; make a library with: {make}")
        raise SearchError(f"{path} is no library: its {INDEX} is broken; {again}")
    identity, listed = index.identity, {entry.key for entry in index.entries}
    if unlisted := [key for key in index.keys if key not in listed]:
        missing = [key for key in unlisted if stored_entry(path, key, identity) is None]
        what = (
            f"{len(missing)} of {len(index.keys)} alternatives are missing" if missing else "its index is not complete"
        )
        first = f", the first of them {missing[0]}" if missing else ""
        raise SearchError(f"{path} is half built: {what}{first}; {again}")
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
