"""Schemes of published tensor names: where stems, stages, merges and heads sit in the authors' networks.

A scheme is a table from our prefix to theirs. `{n}` and `{i}` in ours are numbers, of a stage in our ids and of a block
in it; theirs has them in simple arithmetic, `{n-1}` or `{2i+1}`. Names inside a part are the part's own affair
(`Part.published`).
"""

from __future__ import annotations

from typing import NamedTuple


class Scheme(NamedTuple):
    """How one codebase names tensors.

    prefixes: (ours, theirs), the first that fits counts. inside: (ours, theirs) within any name, for layers that
    families share. skip: endings of published names that are derived, counters or without effect; a name that the
    network has a place for is never skipped. container: the key under which the authors' loaders look for the weights.
    """

    prefixes: tuple[tuple[str, str], ...]
    inside: tuple[tuple[str, str], ...]
    skip: tuple[str, ...]
    container: str = "model"
