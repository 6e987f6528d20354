"""A parent's library: alternatives to its blocks, fitted once, each with what it does to the parent's output.

`building` fits and scores, with the parent's activations by `activations`, one block by `blocks`, and its score by
`scoring`. `folder` is what lies on disk, `solutions` finds networks inside budgets; both do without torch. `derived`
gives a network its fitted blocks.

Names load when they are first used, so that a library is read without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archdsl.deriving.library.building import build_library as build_library
    from archdsl.deriving.library.derived import derive as derive
    from archdsl.deriving.library.folder import Library as Library
    from archdsl.deriving.library.folder import LibrarySettings as LibrarySettings
    from archdsl.deriving.library.folder import read_library as read_library
    from archdsl.deriving.library.solutions import Derived as Derived
    from archdsl.deriving.library.solutions import Solver as Solver

_HOME = {
    "Derived": "solutions",
    "Library": "folder",
    "LibrarySettings": "folder",
    "Solver": "solutions",
    "build_library": "building",
    "derive": "derived",
    "read_library": "folder",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'archdsl.deriving.library' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"archdsl.deriving.library.{_HOME[name]}"), name)
    globals()[name] = value
    return value
