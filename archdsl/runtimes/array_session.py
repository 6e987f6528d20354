"""A file opened by its runtime, with numpy arrays in and out: the standard library, numpy and the runtime alone.

It is also what runs on another machine, where neither torch nor archdsl is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class ArraySession(ABC):
    """An opened file, for a number of threads."""

    @abstractmethod
    def bound(self, images: Floats) -> Callable[[], None]:
        """One pass over images (B, C, H, W) on buffers that are made now."""

    @abstractmethod
    def outputs(self, images: Floats) -> list[Floats]:
        """What the file gives for images (B, C, H, W), in the order of its outputs.

        Raises:
            ExportError: the runtime cannot run the file on them.
        """

    @abstractmethod
    def options(self) -> dict[str, str | int | bool]:
        """What is in force, as the runtime itself says: precision, threads."""
