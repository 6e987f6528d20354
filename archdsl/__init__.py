"""archdsl: a language for hierarchical vision backbones, and a search tool over it.

Names load when they are first used, so that reading a spec never imports torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from archdsl import nn as nn
    from archdsl.compile import Backbone as Backbone
    from archdsl.compile import build as build
    from archdsl.cost import Count as Count
    from archdsl.cost import count as count
    from archdsl.deriving import Inheritance as Inheritance
    from archdsl.deriving import inherit as inherit
    from archdsl.errors import ArchError as ArchError
    from archdsl.errors import Problem as Problem
    from archdsl.errors import ShapeError as ShapeError
    from archdsl.errors import SpecError as SpecError
    from archdsl.errors import WeightsError as WeightsError
    from archdsl.graphs import graph as graph
    from archdsl.inspecting.looking import Look as Look
    from archdsl.inspecting.looking import look as look
    from archdsl.integrations.dense import dense_backbone as dense_backbone
    from archdsl.language.document import Spec as Spec
    from archdsl.latency import Latency as Latency
    from archdsl.latency import measure as measure
    from archdsl.load.spaces import load_space as load_space
    from archdsl.load.specs import load_spec as load_spec
    from archdsl.load.specs import override as override
    from archdsl.optimizing import optimize as optimize
    from archdsl.runtimes.exported import export as export
    from archdsl.spaces.space import Space as Space
    from archdsl.training.api import train as train
    from archdsl.weights import export_weights as export_weights
    from archdsl.weights import import_weights as import_weights
    from archdsl.weights import load_model as load_model
    from archdsl.weights import save_model as save_model

_HOME = {
    "ArchError": "errors",
    "Backbone": "compile",
    "Count": "cost",
    "Inheritance": "deriving",
    "Latency": "latency",
    "Look": "inspecting.looking",
    "Problem": "errors",
    "ShapeError": "errors",
    "Space": "spaces.space",
    "Spec": "language.document",
    "SpecError": "errors",
    "WeightsError": "errors",
    "build": "compile",
    "count": "cost",
    "dense_backbone": "integrations.dense",
    "export": "runtimes.exported",
    "export_weights": "weights",
    "graph": "graphs",
    "import_weights": "weights",
    "inherit": "deriving",
    "load_model": "weights",
    "load_space": "load.spaces",
    "load_spec": "load.specs",
    "look": "inspecting.looking",
    "measure": "latency",
    "optimize": "optimizing",
    "override": "load.specs",
    "save_model": "weights",
    "train": "training.api",
}
__all__ = sorted([*_HOME, "nn"])


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from archdsl.files import installed_version

        return installed_version()
    if name == "nn":
        return importlib.import_module("archdsl.nn")
    if name not in _HOME:
        raise AttributeError(f"module 'archdsl' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"archdsl.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
