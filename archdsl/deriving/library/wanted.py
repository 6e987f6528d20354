"""The alternatives that a space offers around a parent, each with its key; without torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from archdsl.deriving.library.facts import Named, key_of
from archdsl.errors import SearchError
from archdsl.language.canonical import canonical_block
from archdsl.language.document import Spec
from archdsl.load.alternatives import Alternative, alternatives
from archdsl.spaces.space import Space


def wanted_alternatives(parent: Spec, space: Space) -> list[tuple[str, Alternative]]:
    """The alternatives of a space with their keys.

    Raises:
        SpecError: the parent is no point of the space, or its positions are not chosen one by one.
        SearchError: the space has no alternative for this parent.
    """
    wanted = {
        key_of(each.stage, each.first, each.span, canonical_block(each.block)): each
        for each in alternatives(space, parent)
    }
    if not wanted:
        raise SearchError(f"the space {space.name} has no alternative to a block of {parent.name}")
    return list(wanted.items())


def space_identity(space: Space, keys: Iterable[str]) -> Named:
    """A space by its alternatives: others than these make no other library."""
    return Named(name=space.name, sha256=hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest())
