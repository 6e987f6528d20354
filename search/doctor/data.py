"""The data of a search before it: how much there is of it, of how many channels and classes."""

from __future__ import annotations

from typing import NamedTuple

from archdsl.data.agreement import BUILT_IN_DATA, square_side
from archdsl.data.loading import VALIDATION, load
from archdsl.search.config import Settings


class DataFacts(NamedTuple):
    """What a search finds in its data."""

    description: str
    channels: int
    classes: int
    images: int
    """To train with, at most as many as were asked for."""
    validation: int
    held_out: int
    warnings: tuple[str, ...] = ()
    """What is said once, in full: the description has it in brief."""


def data_facts(settings: Settings) -> DataFacts:
    """The facts of the data of a search; all but shapetex, of which any number is drawn, is loaded.

    Raises:
        SearchError: it cannot be loaded, as in the search.
    """
    side = square_side(settings.space_document)
    if settings.data == "shapetex":
        channels, classes = BUILT_IN_DATA["shapetex"]
        counts = settings.images, VALIDATION, VALIDATION
        facts = "shapetex: {:,} images to train, {:,} to validate, {:,} held out".format(*counts)
        return DataFacts(f"{facts}, {classes} classes", channels, classes, *counts)
    data = load(settings.data, side, settings.seed, train=settings.images)
    counts = len(data.train_labels), len(data.val_labels), len(data.held_labels)
    return DataFacts(data.describe(), data.channels, data.classes, *counts, data.warnings)
