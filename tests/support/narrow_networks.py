"""The smallest network of each family, cut to widths that train in seconds."""

from __future__ import annotations

from archdsl.language.document import Spec
from archdsl.load.specs import load_spec, override

SMALL = {
    "lit_ti": (32, 64, 160, 256),
    "litv2_s": (24, 48, 96, 192),
    "dat_t": (24, 48, 96, 192),
    "datpp_t": (32, 64, 128, 256),
    "dualvit_s": (32, 64, 160, 224),
    "fcvit_tiny": (16, 32, 80, 160),
}
"""The smallest network of each family, and the widths that it is cut to for the tests that compute."""
WIDTHS = {**SMALL, "lit_s": (24, 48, 96, 192)}


def narrowing(name: str) -> list[str]:
    """The changes that cut a published network to its widths in the table."""
    widths = zip(("stem", "merge1", "merge2", "merge3"), WIDTHS[name], strict=True)
    changes = [f"{node}.width={width}" for node, width in widths]
    if name == "dualvit_s":
        changes += [f"semantic_merge{i}.width={width}" for i, width in enumerate(WIDTHS[name][1:], 1)]
        changes.append("stem.hidden=16")
    return changes


def small(name: str) -> Spec:
    """A network of the family at 64 pixels, without what needs labels of its own."""
    depths = [f"stage{number}.depth={depth}" for number, depth in ((1, 1), (2, 2), (3, 2), (4, 1))]
    changes = ["image=64", "drop_path=0", *depths, *narrowing(name)]
    if name == "dualvit_s":
        changes.append("head.token_label=false")
    return override(load_spec(name), changes)
