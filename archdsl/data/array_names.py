"""Which arrays of an `.npz` are the images and the labels of which set, by the names that people give them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from archdsl.data.set_names import SetName, set_of
from archdsl.errors import SearchError

What = Literal["images", "labels"]

_SPELLINGS: dict[What, tuple[str, ...]] = {
    "images": ("images", "image", "imgs", "img", "x", "data", "pixels", "pictures", "inputs", "input"),
    "labels": ("labels", "label", "y", "targets", "target"),
}
CLASS_NAMES = ("class_names", "classes", "label_names", "names", "target_names", "categories")
"""Arrays that name the classes, where they hold strings."""
_PREFIXES: dict[SetName, str] = {"train": "", "val": "val_", "test": "test_"}
WANTED = (
    "name the arrays images and labels, with val_ and test_ before them for the other sets; also recognised: "
    "x_train and y_train, train_images and train_labels, X and y, data and targets"
)


class SetArrays(NamedTuple):
    """The names of the arrays of one set."""

    images: str
    labels: str


def sets_in(names: Sequence[str]) -> list[SetArrays | None]:
    """The arrays to train, to validate and to hold out, the latter None where a file holds none.

    Raises:
        SearchError: a set has images without labels or labels without images, or two arrays mean the same.
    """
    chosen = {(name, what): _only(names, name, what) for name in _PREFIXES for what in _SPELLINGS}
    sets = list[SetArrays | None]()
    for name, prefix in _PREFIXES.items():
        images, labels = chosen[name, "images"], chosen[name, "labels"]
        if images is None and labels is None and name != "train":
            sets.append(None)
            continue
        if images is None or labels is None:
            what = "images" if images is None else "labels"
            raise SearchError(f"array '{prefix}{what}' is missing; got {', '.join(names) or 'no array'}; {WANTED}")
        sets.append(SetArrays(images, labels))
    return sets


def _only(names: Sequence[str], set_name: SetName, what: What) -> str | None:
    """The array that is a set's images or labels.

    Our own name stands over others without a set in them, such as `x` beside `images`.

    Raises:
        SearchError: there are two.
    """
    meant = [name for name in names if _meaning(name) in ((set_name, what), *([(None, what)] * (set_name == "train")))]
    usual = f"{_PREFIXES[set_name]}{what}"
    if usual in meant and all(_meaning(name) == _meaning(usual) for name in meant):
        return usual
    if len(meant) > 1:
        rule = f"two arrays hold the {what} of one set: {meant[0]} and {meant[1]}"
        raise SearchError(f"{rule}; keep one of them, named {usual}")
    return meant[0] if meant else None


def _meaning(name: str) -> tuple[SetName | None, What] | None:
    """The set, None where none is named, and what of it an array is; None for another array."""
    letters = re.sub(r"[^a-z]+", "", name.lower())
    for what, words in _SPELLINGS.items():
        for word in words:
            for rest in {letters.removeprefix(word), letters.removesuffix(word)} - {letters}:
                if not rest:
                    return None, what
                if meant := set_of(rest):
                    return meant, what
    return None
