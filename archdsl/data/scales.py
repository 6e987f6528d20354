"""Whether sets of images are on one scale: bytes to train with beside floats to 1 would be normalised alike."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from archdsl.data.labelled import Pixels

_SCALES = (("0 to 1", 0.0, 1.0), ("-1 to 1", -1.0, 1.0), ("0 to 255", 0.0, 255.0), ("0 to 65,535", 0.0, 65535.0))
_SLACK = 2e-3
"""By how much rounding may have moved values out of their scale, as a share of it."""
_STICKS_OUT = 0.5
"""By how much of the other's range a range may go beyond it on one side."""
_SPREAD = 8.0
"""Ratio of standard deviations from which two sets are on two scales, whatever ends their values have."""
_SAMPLED = 1000


class Values(NamedTuple):
    """What the values of a set's images are like."""

    kind: str
    """Their type in the file, such as `uint8`."""
    low: float
    high: float
    spread: float
    """Standard deviation."""

    def __str__(self) -> str:
        """`uint8 from 0 to 255`."""
        return f"{self.kind} from {self.low:g} to {self.high:g}"

    @property
    def scale(self) -> str | None:
        """The narrowest usual scale that holds them; None where they are on none."""
        for name, low, high in _SCALES:
            slack = _SLACK * (high - low)
            if low - slack <= self.low and self.high <= high + slack:
                return name
        return None


def values_of(images: Pixels, kind: str) -> Values:
    """Of a set of images (N, C, H, W) with at least one value; the spread of at most some thousand of them."""
    some = images[:: -(-len(images) // _SAMPLED)]
    return Values(kind, float(images.min()), float(images.max()), float(some.std(dtype=np.float64)))


def on_one_scale(first: Values, second: Values) -> bool:
    """Whether images of two sets may be normalised alike."""
    if first.low == first.high or second.low == second.high:
        return first.kind == second.kind or first.scale == second.scale
    if max(first.spread, second.spread) > _SPREAD * min(first.spread, second.spread):
        return False
    if first.scale == second.scale or (first.kind == second.kind and "int" in first.kind):
        return True
    return not (_sticks_out(first, second) or _sticks_out(second, first))


def _sticks_out(some: Values, others: Values) -> bool:
    room = _STICKS_OUT * (others.high - others.low)
    return some.low < others.low - room or some.high > others.high + room
