"""What a network says of its maps and of its head's pooling, in the form that timm's users ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypedDict

from torch import Tensor, nn

from archdsl.errors import WrongUse, one_of, short

Index = int | Sequence[int] | None
"""One map, several, or None for all of them."""


class MapFacts(TypedDict):
    """`num_chs` channels, `reduction` image pixels a position along a side, `module` the node that gives the map."""

    num_chs: int
    reduction: int
    module: str


class FeatureInfo(list[MapFacts]):
    """A dictionary a map, from the finest to the coarsest, with timm's questions about them."""

    @property
    def out_indices(self) -> tuple[int, ...]:
        """The indices of the maps."""
        return tuple(range(len(self)))

    def channels(self, idx: Index = None) -> int | list[int]:
        """Channels of every map, or of those that `idx` names."""
        return self[idx]["num_chs"] if isinstance(idx, int) else [facts["num_chs"] for facts in self._named(idx)]

    def reduction(self, idx: Index = None) -> int | list[int]:
        """Strides of every map, or of those that `idx` names."""
        return self[idx]["reduction"] if isinstance(idx, int) else [facts["reduction"] for facts in self._named(idx)]

    def module_name(self, idx: Index = None) -> str | list[str]:
        """The node of every map, or of those that `idx` names."""
        return self[idx]["module"] if isinstance(idx, int) else [facts["module"] for facts in self._named(idx)]

    def get(self, key: Literal["num_chs", "reduction", "module"], idx: Index = None) -> int | str | list[int | str]:
        """One value for an index, else a list of them."""
        return self[idx][key] if isinstance(idx, int) else [facts[key] for facts in self._named(idx)]

    def get_dicts(
        self, keys: Sequence[str] | None = None, idx: Index = None
    ) -> dict[str, int | str] | list[dict[str, int | str]]:
        """One map's facts for an index, else a list of them; with `keys` those alone."""
        return _some(self[idx], keys) if isinstance(idx, int) else [_some(facts, keys) for facts in self._named(idx)]

    def places(self, indices: Index) -> list[int]:
        """The indices of the maps asked for, in order, each once; a number n asks for the last n.

        Raises:
            WrongUse: an index without a map, or a number of maps that there are not.
        """
        count = len(self)
        if isinstance(indices, int):
            if not 0 < indices <= count:
                raise WrongUse(f"there are {count} maps; got indices {indices}; give how many of the last, or a list")
            indices = range(-indices, 0)
        wanted = list(self.out_indices if indices is None else indices)
        if not all(-count <= index < count for index in wanted):
            raise WrongUse(f"there are {count} maps; got indices {short(wanted)}")
        return sorted({index % count for index in wanted})

    def _named(self, idx: Sequence[int] | None) -> list[MapFacts]:
        return [self[index] for index in (self.out_indices if idx is None else idx)]


def _some(facts: MapFacts, keys: Sequence[str] | None) -> dict[str, int | str]:
    written: dict[str, int | str] = {**facts}  # type: ignore[dict-item]  # a TypedDict's values, which mypy calls object
    return {key: written[key] for key in (written if keys is None else keys)}


def feature_of(module: nn.Module, output: Tensor) -> Tensor:
    """A module's output as a map for dense prediction: normed, where the module does that."""
    as_feature: Callable[[Tensor], Tensor] | None = getattr(module, "feature", None)
    return output if as_feature is None else as_feature(output)


def pooling_of(head: nn.Module, classes: int, asked: str | None) -> str | None:
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
