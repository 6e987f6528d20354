"""A network's weights derived from a trained one's: inherited tensor by tensor, then fitted again block by block.

`inheriting` is the public call. Which parts of two networks correspond is in `counterparts`, where the entries of a
dimension come from in `axes`, what the dimensions of attention are in `heads`, one tensor's values in `tensors`, and
`walking` goes through both networks with them. `refitting` fits blocks to the parent's activations, `score` judges a
network in one pass. `library` holds fitted alternatives to a parent's blocks, and `choice` makes networks of them.

Names load when they are first used, so that a choice is made without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archdsl.deriving.inheriting import inherit as inherit
    from archdsl.deriving.report import Inheritance as Inheritance

_HOME = {"inherit": "inheriting", "Inheritance": "report"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'archdsl.deriving' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"archdsl.deriving.{_HOME[name]}"), name)
    globals()[name] = value
    return value
