"""Weights: published checkpoints into our modules and back, and files that hold a network with its spec.

A checkpoint file is read as data (`archives`, `pickles`), its weights are found in it (`checkpoint`), named (`names`),
held against the model (`fitting`), resized where the image size asks for it (`resizing`) and loaded (`importing`).
`model_file` keeps a network in one file, `facts` are what such a file says of itself, `exporting` gives the published
names back. Names load when first used, so that `facts` are read without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archdsl.weights.exporting import export_weights as export_weights
    from archdsl.weights.exporting import write_published as write_published
    from archdsl.weights.facts import ModelFacts as ModelFacts
    from archdsl.weights.facts import read_facts as read_facts
    from archdsl.weights.importing import Imported as Imported
    from archdsl.weights.importing import import_file as import_file
    from archdsl.weights.importing import import_weights as import_weights
    from archdsl.weights.model_file import load_model as load_model
    from archdsl.weights.model_file import save_model as save_model
    from archdsl.weights.names import published_names as published_names

_HOME = {
    "Imported": "importing",
    "ModelFacts": "facts",
    "export_weights": "exporting",
    "import_file": "importing",
    "import_weights": "importing",
    "load_model": "model_file",
    "published_names": "names",
    "read_facts": "facts",
    "save_model": "model_file",
    "write_published": "exporting",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'archdsl.weights' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"archdsl.weights.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
