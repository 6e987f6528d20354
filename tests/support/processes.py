"""Processes of this machine, as /proc tells them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def children_of(parent: int) -> set[int]:
    """The processes that this one started and that have not been waited for."""
    found = set[int]()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found.add(int(folder.name))
    return found
