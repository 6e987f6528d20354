"""What a worker is asked about the library of a search's parent, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue

from archdsl.search.loaded_data import DataRequest
from archdsl.search.policy.inherit import FittingPolicy
from archdsl.search.worker.request import Request


@dataclass(frozen=True)
class LibraryReply:
    """The alternatives of a library that were fitted, and those that were left out since their fit went wrong."""

    fitted: int
    left_out: int


@dataclass(frozen=True)
class LibraryRequest(Request[LibraryReply]):
    """Fit alternatives to the blocks of a trained network, and keep them in a folder."""

    do = "library"
    parent: str
    """The file of the network."""
    data: DataRequest
    space: dict[str, JsonValue]
    """The document of the space that offers the alternatives."""
    keys: tuple[str, ...]
    """Of the alternatives that are fitted."""
    out: str
    seconds: float | None
    """After which the building ends."""
    least: int
    """Alternatives without which it is not worth its time."""
    device: str
    fitting: FittingPolicy
