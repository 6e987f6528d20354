"""The search tool: the most accurate backbones of a space that keep a budget measured on this device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archdsl.search.api import run as run
    from archdsl.search.comparison.api import score as score
    from archdsl.search.comparison.result import Scores as Scores
    from archdsl.search.store.result import Result as Result

_HOME = {"Result": "store.result", "Scores": "comparison.result", "run": "api", "score": "comparison.api"}
__all__ = ["Result", "Scores", "run", "score"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'archdsl.search' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(f"archdsl.search.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
