"""A folder of images as data: one folder a class, perhaps in folders to train, to validate and to test."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from archdsl.data.folder_layout import SUFFIXES, Layout, folders_in, is_image, layout
from archdsl.data.labelled import (
    Drawn,
    Labelled,
    Labels,
    Numbers,
    Sizes,
    Split,
    class_names,
    drawn_apart,
    listed,
    three,
)
from archdsl.data.pictures import GreyScales, Sides, need_pillow, read_alike, read_picture, two_sides
from archdsl.errors import SearchError, one_line

_DARK = 32


class Listing(NamedTuple):
    """The image files of one set, the class of each, and files that are no images, by their endings."""

    files: list[Path]
    labels: NDArray[np.str_]
    others: Counter[str]


class DrawnFiles(NamedTuple):
    """The files of a set that are drawn, and the number of each one's class."""

    files: list[Path]
    numbers: Numbers


class ListedFolder(NamedTuple):
    """The files that are drawn of a folder, none of which was opened."""

    sets: tuple[DrawnFiles, DrawnFiles, DrawnFiles]
    """To train, to validate, and held out."""
    class_names: Labels
    notes: tuple[str, ...]
    """What is to be said of the folders."""
    drawn_apart: tuple[str, ...]


def list_folder(root: Path, seed: int, sizes: Sizes) -> ListedFolder:
    """At most so many files of a folder.

    Raises:
        SearchError: Pillow is missing, the folders may be sets as well as classes, a class has no image, or there are
            too few classes.
    """
    places, listings, first = _listed(root)
    labels = [None if listing is None else listing.labels for listing in listings]
    names = class_names(first.labels)
    drawn = three(labels, names, seed, sizes)
    train, val, held = (_files_of(listings, some, names) for some in drawn)
    notes = (*places.notes, *_other_files(listings))
    return ListedFolder((train, val, held), names, notes, tuple(drawn_apart(labels)))


def refuse_without_images(root: Path) -> None:
    """A folder in which no images of classes lie is refused; none of them is opened.

    Raises:
        SearchError: as `list_folder`.
    """
    _listed(root)


def read_folder(listed: ListedFolder, root: Path, image: Sides) -> tuple[Split, int]:
    """The images of a listed folder, RGB, and how many files could not be read.

    Only the images drawn are opened, so a folder of millions is as quick as a small one.

    Raises:
        SearchError: there are too few readable images.
    """
    (parts, lost), scales = read_alike(lambda scales: _sets(listed.sets, image, scales))
    train, val, held = parts
    refuse_empty(root, train, val, listed.class_names, lost)
    notes = (*listed.notes, *scales, *_darkness(train), *listed.drawn_apart, *skipped_text(lost))
    names = tuple(str(name) for name in listed.class_names)
    return Split(train, val, held, names, notes, unreadable(lost)), len(lost)


def _listed(root: Path) -> tuple[Layout, list[Listing | None], Listing]:
    """Where the sets of a folder lie, what lies there, and of these the set to train on."""
    need_pillow()
    places = layout(root)
    listings = [None if place is None else _listing(place) for place in places.sets]
    first = listings[0]
    assert first is not None
    _refuse_empty_classes(root, places.train, first)
    return places, listings, first


def _files_of(listings: Sequence[Listing | None], drawn: Drawn, names: Labels) -> DrawnFiles:
    listing = listings[drawn.source]
    assert listing is not None
    numbers = np.searchsorted(names, listing.labels[drawn.rows])
    return DrawnFiles([listing.files[row] for row in drawn.rows], numbers)


def _sets(sets: Sequence[DrawnFiles], image: Sides, scales: GreyScales) -> tuple[list[Labelled], list[str]]:
    """The readable images of each set, and of each other one why it is not."""
    parts, lost = list[Labelled](), list[str]()
    for some in sets:
        part, missed = _read(some.files, some.numbers, image, scales)
        parts.append(part)
        lost += missed
    return parts, lost


def _listing(folder: Path) -> Listing:
    """All files under the class folders and their classes; links to folders are not followed."""
    files, labels, others = list[Path](), list[str](), Counter[str]()
    for place in folders_in(folder):
        images, rest = _files_in(place)
        files += images
        labels += [place.name] * len(images)
        others += rest
    return Listing(files, np.array(labels, dtype=np.str_), others)


def _files_in(folder: Path) -> tuple[list[Path], Counter[str]]:
    """The images anywhere below a class folder, and its other files by their endings; hidden ones apart."""
    files = [Path(place, name) for place, _, names in os.walk(folder) for name in names if not name.startswith(".")]
    images = sorted(path for path in files if is_image(path.name))
    return images, Counter(path.suffix.lower() or "no ending" for path in files if not is_image(path.name))


def _refuse_empty_classes(root: Path, folder: Path, listing: Listing) -> None:
    """No class may be lost for want of images.

    Raises:
        SearchError: a class folder has no image file, or there is no image at all.
    """
    read = f"readable formats: {', '.join(sorted(SUFFIXES))}"
    if not listing.files:
        loose = sum(path.is_file() and is_image(path.name) for path in root.iterdir())
        if loose:
            lie = "1 image lies" if loose == 1 else f"{loose:,} images lie"
            raise SearchError(f"{root}: {lie} directly in it; put the images of each class into a folder of their own")
        raise SearchError(f"{root}: no images found; expected one folder per class, with images in it; {read}")
    without = sorted({path.name for path in folders_in(folder)} - set(listing.labels.tolist()))
    if without:
        rest = _files_in(folder / without[0])[1]
        got = f"{rest.total():,} other file{'s' * (rest.total() != 1)}: {_by_ending(rest)}" if rest else "no file"
        rule = f"class '{without[0]}' has no image file; got {got}"
        more = f" (nor have {len(without) - 1} more: {listed(without[1:])})" if without[1:] else ""
        raise SearchError(f"{root}: {rule}{more}; {read}; convert its files, or remove the folder")


def _by_ending(files: Counter[str]) -> str:
    return listed([f"{count:,} {ending}" for ending, count in files.most_common()])


def _other_files(listings: Sequence[Listing | None]) -> list[str]:
    """What is said of files in the class folders that are no images, by their endings."""
    every = sum((listing.others for listing in listings if listing is not None), Counter[str]())
    count = (
        "1 file does not count as an image" if every.total() == 1 else f"{every.total():,} files do not count as images"
    )
    return [f"{count} ({_by_ending(every)})"] if every else []


def _darkness(train: Labelled) -> list[str]:
    """What is said of images that come out nearly black, as greys of 10 or 12 bits in files of 16 do."""
    high = int(train.images.max()) if len(train) else 0
    return [f"the training images are nearly black: their largest value is {high} of 255"] if high < _DARK else []


def _read(files: list[Path], numbers: Numbers, image: Sides, scales: GreyScales) -> tuple[Labelled, list[str]]:
    """The readable ones of the files, and of each other one why it is not."""
    pictures = np.empty((len(files), 3, *two_sides(image)), np.uint8)
    kept, lost = list[int](), list[str]()
    for row, path in enumerate(files):
        try:
            pictures[len(kept)] = read_picture(path, image, scales)
        except Exception as error:  # OSError, SyntaxError, struct.error, ...: whatever a broken file makes Pillow raise
            lost.append(f"{path.parent.name}/{path.name}: {one_line(error, 200)}")
        else:
            kept.append(row)
    return Labelled(pictures[: len(kept)], numbers[kept]), lost


def skipped_text(lost: Sequence[str]) -> list[str]:
    """What the description of data says of images that could not be read: `2 unreadable files skipped`."""
    return [f"{len(lost):,} unreadable file{'s' * (len(lost) != 1)} skipped"] if lost else []


def unreadable(lost: Sequence[str]) -> tuple[str, ...]:
    """The same with a reason, from why each could not be read: `2 unreadable files skipped, the first a/b.png: ...`."""
    first = "" if len(lost) == 1 else "the first "
    return tuple(f"{text}, {first}{lost[0]}" for text in skipped_text(lost))


def refuse_empty(root: Path | str, train: Labelled, val: Labelled, names: Labels, lost: Sequence[str]) -> None:
    """Each class must be trained, and something must be validated.

    `lost` says of each unreadable image why.

    Raises:
        SearchError: it is not so.
    """
    missing = np.setdiff1d(np.arange(len(names)), train.labels)
    if len(missing) or not len(val):
        what = (
            f"class '{names[missing[0]]}' has no readable training image"
            if len(missing)
            else "there is no readable validation image"
        )
        first = f", the first {lost[0]}" if lost else ""
        raise SearchError(f"{root}: too few readable images; {what} ({len(lost)} unreadable{first})")
