"""What a network says of its maps and of its head's pooling, in the form that timm's users ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archdsl.errors import WrongUse, one_of, short

Index = int | Sequence[int] | None
"""One map, several, or None for all of them."""


class FeatureInfo(list[dict[str, Any]]):
    """A dictionary a map, from the finest to the coarsest, with timm's questions about them.

    Keys: `num_chs` channels, `reduction` image pixels a position along a side, `module` the node that gives the map.
    """

    @property
    def out_indices(self) -> tuple[int, ...]:
        """The indices of the maps."""
        return tuple(range(len(self)))

    def channels(self, idx: Index = None) -> Any:
        """Channels of every map, or of those that `idx` names."""
        return self.get("num_chs", idx)

    def reduction(self, idx: Index = None) -> Any:
        """Strides of every map, or of those that `idx` names."""
        return self.get("reduction", idx)

    def module_name(self, idx: Index = None) -> Any:
        """The node of every map, or of those that `idx` names."""
        return self.get("module", idx)

    def get(self, key: str, idx: Index = None) -> Any:
        """One value for an index, else a list of them."""
        if isinstance(idx, int):
            return self[idx][key]
        return [self[index][key] for index in (self.out_indices if idx is None else idx)]

    def get_dicts(self, keys: Sequence[str] | None = None, idx: Index = None) -> Any:
        """One map's facts for an index, else a list of them; with `keys` those alone."""
        if isinstance(idx, int):
            return {key: self[idx][key] for key in (self[idx] if keys is None else keys)}
        return [self.get_dicts(keys, index) for index in (self.out_indices if idx is None else idx)]


def pooling_of(head: Any, classes: int, asked: str | None) -> str | None:
    """A head's pooling after its classifier is reset; None where its module has no `pools` that say how it can.

    `pools` are names, the head's own first; "" is no pooling, which only a model without a classifier can have.

    Raises:
        WrongUse: it cannot pool as asked.
    """
    pools: tuple[str, ...] = getattr(head, "pools", ())
    allowed = [pool for pool in pools if pool or not classes]
    if asked is not None and asked not in allowed:
        remedy = f"use {one_of([short(pool) for pool in allowed])}, or leave it out" if allowed else "leave it out"
        raise WrongUse(f"this head cannot pool so with {classes} classes; got global_pool {short(asked)}; {remedy}")
    return asked if asked is not None else next(iter(pools), None)
