"""Where in a folder the classes are: one folder each in it, in folders to train, validate and test, or in a wrapper."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from archdsl.data.labelled import listed
from archdsl.data.set_names import SetName, set_and_rest, sets_of, spellings
from archdsl.errors import SearchError

SUFFIXES = frozenset(
    (
        *(".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm"),
        *(".tif", ".tiff", ".webp"),
    )
)
_NO_DATA = frozenset(("__macosx", "__pycache__", "@eadir", "$recycle.bin", "system volume information", "lost+found"))
"""Folders that systems leave beside data."""
_MOST_WRAPPERS = 4


class Layout(NamedTuple):
    """The folders whose folders are the classes, and what beside them is not read."""

    train: Path
    val: Path | None
    test: Path | None
    notes: tuple[str, ...]

    @property
    def sets(self) -> tuple[Path, Path | None, Path | None]:
        """The sets in the order in which data comes in."""
        return self.train, self.val, self.test


def layout(root: Path) -> Layout:
    """What the folders of a folder are: sets by their names where they have class folders inside, else the classes.

    Raises:
        SearchError: it cannot be told, as where folders of unknown names hold the same class folders.
    """
    notes = list[str]()
    for _ in range(_MOST_WRAPPERS):
        inner = _wrapped(root)
        if inner is None:
            break
        notes += [*_unread(inner, root), *_loose(root)]
        root = inner
    sets = _sets(root)
    if "train" in sets.values() and not _is_class(root, sets):
        return _split(root, sets, notes)
    _refuse_sets_as_classes(root, sets)
    return Layout(root, None, None, (*notes, *_loose(root)))


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder; hidden ones and those of systems apart."""
    folders = (path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else ()
    return sorted(path for path in folders if not path.name.startswith(".") and path.name.lower() not in _NO_DATA)


def is_image(name: str) -> bool:
    """Whether a file counts as an image, by its ending."""
    return not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES


def holds_images(folder: Path) -> bool:
    """Whether there is an image anywhere below a folder; links to folders are not followed."""
    if _images_in(folder):  # a walk would list a folder of a million images to its end
        return True
    return any(is_image(name) for _, _, names in os.walk(folder) for name in names)


def _images_in(folder: Path) -> bool:
    """Whether images lie directly in a folder."""
    with os.scandir(folder) as entries:
        return any(is_image(entry.name) and entry.is_file() for entry in entries)


def _class_folders(folder: Path) -> list[Path]:
    return [path for path in folders_in(folder) if holds_images(path)]


def _sets(root: Path) -> dict[Path, SetName]:
    """The folders that are sets by their names and have class folders inside."""
    folders = _class_folders(root)
    meant = sets_of([path.name for path in folders])
    return {path: name for path in folders if (name := meant[path.name]) and _class_folders(path)}


def _wrapped(root: Path) -> Path | None:
    """The only folder with images in a folder, where it is no class and no set itself."""
    folders = _class_folders(root)
    if len(folders) != 1 or _images_in(folders[0]):
        return None
    sets = _sets(root)
    return None if sets and len(set(_sets(folders[0]).values())) < 2 else folders[0]


def _is_class(root: Path, sets: dict[Path, SetName]) -> bool:
    """Whether the only set is a class by a set's name: like the folders beside it, it holds images itself.

    Raises:
        SearchError: it may be either.
    """
    folders = _class_folders(root)
    meant = sets_of([path.name for path in folders])
    others = [path for path in folders if not meant[path.name] and _images_in(path)]
    if not others or set(sets.values()) != {"train"}:
        return False
    train = next(iter(sets))
    if _images_in(train):
        return True
    rule = f"'{train.name}' has class folders inside but '{others[0].name}' beside it holds images"
    remedy = "if it is a set, move it into a folder of its own; if it is a class, move its images out of their folders"
    raise SearchError(f"{root}: {rule}: it is unclear whether '{train.name}' is a set or a class; {remedy}")


def _split(root: Path, sets: dict[Path, SetName], notes: Sequence[str]) -> Layout:
    """The layout of folders that are sets.

    Raises:
        SearchError: two folders are the same set, or one of an unknown name holds the same classes.
    """
    chosen = dict[SetName, Path]()
    for path, name in sets.items():
        if name in chosen:
            rule = f"two folders are named like the set '{name}': {chosen[name].name} and {path.name}"
            raise SearchError(f"{root}: {rule}; keep one of them, or give another folder with --data")
        chosen[name] = path
    classes = _names_in(chosen["train"])
    for path in folders_in(root):
        if path not in sets and not _images_in(path) and _alike(classes, _names_in(path)):
            rule = f"'{path.name}' holds the same classes as '{chosen['train'].name}', but is not named like a set"
            raise SearchError(f"{root}: {rule}; rename or move it; names of sets: {spellings()}")
    kept = {name: _unwrapped(path) for name, path in chosen.items()}
    every = [*notes, *_unread(*sets, root), *_loose(root), *(note for path in kept.values() for note in _loose(path))]
    return Layout(kept["train"], kept.get("val"), kept.get("test"), tuple(every))


def _unwrapped(folder: Path) -> Path:
    """A set's folder, or the one that is alone in it and holds its classes: `train/train/cat`."""
    inner = folders_in(folder)
    if len(inner) == 1 and not _images_in(folder) and not _images_in(inner[0]) and len(_class_folders(inner[0])) > 1:
        return inner[0]
    return folder


def _refuse_sets_as_classes(root: Path, sets: dict[Path, SetName]) -> None:
    """Folders that would be the classes must not be sets.

    Raises:
        SearchError: they are, by their names or by the folders in them.
    """
    folders = _class_folders(root)
    if sets and len(sets) == len(folders):
        rule = f"there is no training set; got {listed([path.name for path in folders])}"
        raise SearchError(
            f"{root}: {rule}; names of sets: {spellings()}; or give --data the folder that holds the classes"
        )
    plain = [path.name for path in folders if _images_in(path)]
    if len(plain) == len(folders) and _are_sets_by_name(plain):
        rule = f"{listed(plain)} are named like sets, but have no class folders inside"
        remedy = f"put each class into a folder: {plain[0]}/CLASS/; if they are classes, move them into {root}/train/"
        raise SearchError(f"{root}: {rule}; {remedy}")
    inside = {path.name: _names_in(path) for path in folders if not _images_in(path)} | {"": plain}
    often = Counter(name for names in inside.values() for name in names)
    few = [name for name, names in inside.items() if len(names) > 1 and any(often[inner] > 1 for inner in names)]
    for first, second in combinations(few, 2):
        if _alike(inside[first], inside[second]):
            both = f"'{first}' and '{second}' hold" if second else f"'{first}' holds the same folders as {root.name}:"
            shared = listed(sorted({*inside[first]} & {*inside[second]}))
            rule = (
                f"{both} {'the same folders: ' if second else ''}{shared}; they look like sets, but not by their names"
            )
            remedy = f"name the sets {spellings()}; if they are classes, move them into {root}/train/"
            raise SearchError(f"{root}: {rule}; {remedy}")


def _are_sets_by_name(names: Sequence[str]) -> bool:
    """Whether all names mean sets, and two of them different sets of the same: train and test, trainA and testA."""
    meant = [set_and_rest(name) for name in names]
    by_rest = {rest: {name for name, other in meant if other == rest} for _, rest in meant}
    return all(name for name, _ in meant) and any(len(sets) > 1 for sets in by_rest.values())


def _names_in(folder: Path) -> list[str]:
    return [path.name for path in _class_folders(folder)]


def _alike(names: Sequence[str], others: Sequence[str]) -> bool:
    """Whether two folders hold the same classes: half of the fewer, of at least two."""
    fewer = min(len(names), len(others))
    return fewer > 1 and 2 * len({*names} & {*others}) >= fewer


def _unread(*read: Path) -> list[str]:
    """What is said of the folders of the last one that are not among those read."""
    *kept, root = read
    names = [path.name for path in folders_in(root) if path not in kept]
    sets = [name for name, meant in sets_of(names).items() if meant]
    rest = [name for name in names if name not in sets]
    notes = [f"folders ignored: {listed(rest)}"] if rest else []
    return [*notes, *(f"the set '{name}' is ignored: it has no class folders with images" for name in sets)]


def _loose(folder: Path) -> list[str]:
    """What is said of images that lie beside the class folders."""
    with os.scandir(folder) as entries:
        count = sum(is_image(entry.name) and entry.is_file() for entry in entries)
    images = "1 image" if count == 1 else f"{count:,} images"
    return [f"{images} beside the class folders of '{folder.name}' ignored"] if count else []
