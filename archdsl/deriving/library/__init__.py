"""A parent's library: alternatives to its blocks, fitted once, each with what it does to the parent's output.

`building` builds in one process or several; `work` fits and scores, with the parent's activations by `activations`, one
block by `blocks`, and its score by `scoring`. `facts` is what a library tells of itself, `folder` how it lies on disk;
`solutions` finds networks inside budgets, `covering` the blocks that make up a network, `front` the best network for
each of many budgets. These five do without torch. `derived` gives a network its fitted blocks.

Names load when they are first used, so that a library is read without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archdsl.deriving.library.building import build_library as build_library
    from archdsl.deriving.library.derived import derive as derive
    from archdsl.deriving.library.facts import LibrarySettings as LibrarySettings
    from archdsl.deriving.library.folder import Library as Library
    from archdsl.deriving.library.folder import read_library as read_library
    from archdsl.deriving.library.solutions import Derived as Derived
    from archdsl.deriving.library.solutions import Solver as Solver

_HOME = {
    "Derived": "solutions",
    "Library": "folder",
    "LibrarySettings": "facts",
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
