"""The registry of types: our families, then what installed packages offer under the entry point `archdsl.blocks`."""

from __future__ import annotations

import importlib
import warnings
from functools import cache
from importlib.metadata import EntryPoint, entry_points

DECLARATIONS = (
    "common.joins",
    "common.sequence",
    "lit.spec",
    "litv2.spec",
    "dat.window",
    "dat.spec",
    "datpp.neighborhood",
    "datpp.spec",
    "dualvit.spec",
    "dualvit.blocks",
    "fcvit.spec",
)
"""Our modules that declare types, in the order in which the types are listed."""
_FAMILIES = "archdsl.families."
KINDS = ("stem", "merge", "block", "stage", "join", "head")


@cache
def load() -> None:
    """Import every declaration once.

    Warns:
        UserWarning: naming a third-party package that cannot be used; other specs are not concerned.
    """
    for module in DECLARATIONS:
        importlib.import_module(f"{_FAMILIES}{module}")
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
    from archdsl.families.common.base import Part

    def place(declared: tuple[str, type[Part]]) -> int:
        module = declared[1].__module__.removeprefix(_FAMILIES)
        return DECLARATIONS.index(module) if module in DECLARATIONS else len(DECLARATIONS)

    ordered = {kind: dict(sorted(Part.kinds[kind].items(), key=place)) for kind in KINDS}
    Part.kinds.clear()
    Part.kinds.update(ordered)


def _load_installed(entry: EntryPoint) -> None:
    """All that a package declares, or nothing of it."""
    from archdsl.families.common.base import Part

    before = {kind: dict(declared) for kind, declared in Part.kinds.items()}
    try:
        entry.load()
        for kind, declared in Part.kinds.items():
            for name in declared.keys() - before.get(kind, {}).keys():
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
