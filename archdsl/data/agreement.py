"""What a space says of its images beside what its data has: the data decides the classes, both agree in channels."""

from __future__ import annotations

from collections.abc import Mapping

from archdsl.errors import SearchError
from archdsl.spaces.space import Space

BUILT_IN_DATA = {"shapetex": (3, 20), "digits": (1, 10)}
"""Channels and classes of data that need not be loaded to know them."""


def square_side(space: Space) -> int:
    """Height and width of a space's images in pixels.

    Raises:
        SearchError: its images are rectangles, and search data is square.
    """
    image = space.image_size
    if image[0] != image[1]:
        sides = f"{image[0]}x{image[1]} (height x width)"
        raise SearchError(f"images of a search must be square; the space '{space.name}' has images of {sides}")
    return int(image[0])


def check_channels(space: Space, channels: int, data: str) -> None:
    """Refuse a space that states other channels than its data has; one that states none takes the data's.

    Raises:
        SearchError: it does.
    """
    if "channels" in space.model_fields_set and space.channels != channels:
        rule = f"the space '{space.name}' has channels {space.channels}, but the data {data} has channels {channels}"
        remedy = f'write "channels": {channels} in the space, or remove it, or name other data by --data'
        raise SearchError(f"{rule}; {remedy}")


def classes_note(space: Space, classes: int) -> str | None:
    """That the data's number of classes takes the place of another that the space states; None where it states none."""
    if "classes" not in space.model_fields_set or space.classes == classes:
        return None
    return f"classes: {classes}, as the data has (the document says {space.classes})"


def with_data(space: Space, facts: Mapping[str, int], data: str) -> Space:
    """The space in the classes and channels of its data.

    Raises:
        SearchError: as `check_channels`.
    """
    check_channels(space, facts["channels"], data)
    return space.model_copy(update={name: facts[name] for name in ("classes", "channels")})


def in_built_in_data(space: Space, data: str) -> Space | None:
    """A space in the channels and classes of built-in data; None where the data would have to be loaded.

    Raises:
        SearchError: the space states other channels than the data has.
    """
    if data not in BUILT_IN_DATA:
        return None
    channels, classes = BUILT_IN_DATA[data]
    return with_data(space, {"channels": channels, "classes": classes}, data)
