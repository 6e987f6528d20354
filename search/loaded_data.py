"""The data of a search: what a worker is asked to load, and what it tells of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class DataRequest(NamedTuple):
    """Data as a worker is asked for it."""

    name: str
    side: int
    """Height and width of the images in pixels."""
    seed: int
    images: int
    """To train with, at most."""


@dataclass(frozen=True)
class LoadedData:
    """What a worker tells of the data that it loaded."""

    classes: int
    channels: int
    images: int
    """To train with."""
    validation: int
    """Images to validate with."""
    held_out: int
    """Images that nothing was chosen by."""
    chance: float
    """The share of the largest class."""
    describe: str
    """In one line."""
    fingerprint: str
    """Of all that was read."""
    warnings: tuple[str, ...] = field(default=(), kw_only=True)
    """What a command says once, in full: `describe` has it in brief."""


@dataclass(frozen=True)
class DataFacts(LoadedData):
    """The data of a search."""

    request: DataRequest
    """What was asked for, which every training asks for again."""
    torch: str | None = None
    """The version of who trains."""
