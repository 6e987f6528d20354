"""How far the building of a library is; without torch, since it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class BuildProgress:
    """done, total: alternatives. seconds: of this run. left_s: seconds left, None before they are known."""

    done: int
    total: int
    seconds: float
    left_s: float | None


Watcher: TypeAlias = Callable[[BuildProgress], None]
