"""Declarations: what each type of part is, without torch. One file a paper; `base` is the contract.

`load()` fills the registry: our families, then what installed packages offer under the entry point `archdsl.blocks`.
"""

from __future__ import annotations

import importlib
import warnings
from functools import cache
from importlib.metadata import entry_points

FAMILIES = ("joins", "sequence", "lit", "litv2")


@cache
def load() -> None:
    """Import every declaration once.

    Warns:
        UserWarning: naming a third-party package that failed to import; other specs are not concerned.
    """
    for family in FAMILIES:
        importlib.import_module(f"archdsl.blocks.{family}")
    for entry in entry_points(group="archdsl.blocks"):
        try:
            entry.load()
        except Exception as error:
            warnings.warn(
                f"block types of '{entry.name}' ({entry.value}) are left out: {type(error).__name__}: {error}",
                stacklevel=2,
            )
