"""The data of a search before it: how much there is of it, of how many channels and classes."""

from __future__ import annotations

from typing import NamedTuple

from archdsl.schema.space import Space
from archdsl.search.data.agreement import square_side, with_data
from archdsl.search.data.loading import VALIDATION, load
from archdsl.search.settings import Settings

BUILT_IN_DATA = {"shapetex": (3, 20), "digits": (1, 10)}
"""Channels and classes of data that need not be loaded to know them."""


class DataFacts(NamedTuple):
    """What a search finds in its data."""

    description: str
    channels: int
    classes: int
    images: int
    """To train with, at most as many as were asked for."""
    validation: int
    held_out: int


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
    return DataFacts(data.describe(), data.channels, data.classes, *counts)


def in_built_in_data(space: Space, data: str) -> Space | None:
    """A space in the channels and classes of built-in data; None where the data would have to be loaded.

    Raises:
        SearchError: the space states other channels than the data has.
    """
    if data not in BUILT_IN_DATA:
        return None
    channels, classes = BUILT_IN_DATA[data]
    return with_data(space, {"channels": channels, "classes": classes}, data)
