"""Declarations: what each type of part is, without torch. One file a paper; `base` is the contract.

`load()` fills the registry: our families, then what installed packages offer under the entry point `archdsl.blocks`.
"""

from __future__ import annotations

import importlib
import warnings
from functools import cache
from importlib.metadata import EntryPoint, entry_points

FAMILIES = ("joins", "sequence", "lit", "litv2", "dat", "neighborhood", "datpp", "dualvit", "dualvit_blocks", "fcvit")
KINDS = ("stem", "merge", "block", "stage", "join", "head")


@cache
def load() -> None:
    """Import every declaration once.

    Warns:
        UserWarning: naming a third-party package that cannot be used; other specs are not concerned.
    """
    for family in FAMILIES:
        importlib.import_module(f"archdsl.blocks.{family}")
    _put_in_order()
    for entry in installed():
        _load_installed(entry)


def installed() -> list[EntryPoint]:
    """The packages that offer types of their own."""
    return sorted(entry_points(group="archdsl.blocks"))


def _put_in_order() -> None:
    """Kinds as they follow one another in a network, types as the families do, whichever was imported first.

    A package's may be among them already, where it was imported by itself or by an unpickled node; they come last.
    """
    from archdsl.blocks.base import Part

    def place(declared: tuple[str, type[Part]]) -> int:
        package, _, family = declared[1].__module__.rpartition(".")
        return FAMILIES.index(family) if package == "archdsl.blocks" else len(FAMILIES)

    known = {kind: dict(sorted(Part.kinds[kind].items(), key=place)) for kind in KINDS}
    Part.kinds.clear()
    Part.kinds.update(known)


def _load_installed(entry: EntryPoint) -> None:
    """All that a package declares, or nothing of it."""
    from archdsl.blocks.base import Part

    before = {kind: dict(known) for kind, known in Part.kinds.items()}
    try:
        entry.load()
        for kind, known in Part.kinds.items():
            for name in known.keys() - before.get(kind, {}).keys():
                _check_name(name, entry)
    except (Exception, SystemExit) as error:
        Part.kinds.clear()
        Part.kinds.update(before)
        warnings.warn(
            f"block types of '{entry.name}' ({entry.value}) are left out: {type(error).__name__}: {error}",
            stacklevel=2,
        )


def _check_name(name: str, entry: EntryPoint) -> None:
    """Raises `TypeError` for a type without its package, whose name one of ours could have tomorrow."""
    if "." not in name:
        raise TypeError(f"a type of an installed package is written with its name, as '{entry.module}.{name}'")
