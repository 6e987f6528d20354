"""Which set a name means: the spellings of train, val and test that folders, arrays and splits of a dataset have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

SetName = Literal["train", "val", "test"]

SPELLINGS: dict[SetName, tuple[str, ...]] = {
    "train": ("train", "training", "trn", "trainval"),
    "val": ("val", "valid", "validation", "validating", "dev", "development", "eval", "evaluation"),
    "test": ("test", "testing", "tst", "holdout", "heldout"),
}
_BESIDE = (
    *("set", "split", "subset", "part", "data", "dataset", "image", "images", "img", "imgs", "picture", "pictures"),
    *("photo", "photos", "sample", "samples", "file", "files", "folder", "dir"),
)
"""Words that may stand beside the set's name: `train_set`, `TestImages`, `images-val`."""
_LETTERS = re.compile(r"[^a-z]+")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]+")
_beside = f"(?:{'|'.join(sorted(_BESIDE, key=len, reverse=True))})*"
_PATTERNS = {name: re.compile(f"{_beside}(?:{'|'.join(words)}){_beside}") for name, words in SPELLINGS.items()}


def set_of(name: str) -> SetName | None:
    """The set that a name means, whatever its case, digits and separators: `Training_Set`, `TRAIN`, `val2017`."""
    letters = _LETTERS.sub("", name.lower())
    if not name.isascii():
        return None
    return next((meant for meant, pattern in _PATTERNS.items() if pattern.fullmatch(letters)), None)


def sets_of(names: Sequence[str]) -> dict[str, SetName | None]:
    """The set that each of some names beside each other means; what all names share does not matter: `pets_train`."""
    words = {name: _WORDS.findall(name) for name in names}
    each = [{word.lower() for word in some} for some in words.values()]
    shared = set[str]().union(*each).intersection(*each) if len(names) > 1 else set[str]()
    rest = {name: "_".join(word for word in some if word.lower() not in shared) for name, some in words.items()}
    return {name: set_of(name) or set_of(rest[name]) for name in names}


def set_and_rest(name: str) -> tuple[SetName | None, str]:
    """The set that a name means beside something else, and that: `train_cat`, `testA`; None where it means none."""
    if meant := set_of(name):
        return meant, ""
    words = _WORDS.findall(name)
    sets = [word for word in words if set_of(word)]
    if len(sets) != 1:
        return None, name
    return set_of(sets[0]), " ".join(word.lower() for word in words if word not in sets)


def spellings() -> str:
    """`train (or training, trn, trainval), val (or ...), test (or ...)`, for messages."""
    return ", ".join(f"{name} (or {', '.join(words[1:])})" for name, words in SPELLINGS.items())
