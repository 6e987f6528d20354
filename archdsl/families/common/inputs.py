"""What a part is asked with: the shapes that it reads, and what is wanted of it."""

from __future__ import annotations

from typing import NamedTuple

from archdsl.shape import PORTS, Map, Shape, Tokens

ALL_PORTS = frozenset(PORTS)


class Inputs(NamedTuple):
    """The one argument of every part's `infer_outputs`, `infer_cost` and `build_module`."""

    shapes: tuple[Shape, ...]
    """In the order of the ports that the part reads."""
    classes: int = 0
    """Of the document; a head gives as many logits."""
    read: frozenset[str] = ALL_PORTS
    """The ports of the part that have a reader; what serves no reader is neither built nor counted."""
    is_feature: bool = False
    """Whether a dense-prediction build hands the part's map out."""

    @property
    def pixels(self) -> Map:
        """The map that is read first, by all parts but those that read tokens alone."""
        first = self.shapes[0]
        assert isinstance(first, Map)
        return first

    @property
    def tokens(self) -> Tokens | None:
        """The tokens that are read beside the map: semantics, or a class token."""
        return next((shape for shape in self.shapes[1:] if isinstance(shape, Tokens)), None)
