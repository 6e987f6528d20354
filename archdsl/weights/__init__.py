"""Weights: published checkpoints into our modules and back, and files that hold a network with its spec.

A checkpoint file is read as data (`archives`, `pickles`), its weights are found in it (`checkpoint`), named (`names`),
held against the model (`fitting`), resized where the image size asks for it (`resizing`) and loaded (`importing`).
`model_file` keeps a network in one file, `exporting` gives the published names back.
"""

from archdsl.weights.exporting import export_weights, write_published
from archdsl.weights.importing import Imported, import_file, import_weights
from archdsl.weights.model_file import load_model, save_model
from archdsl.weights.names import published_names

__all__ = [
    "Imported",
    "export_weights",
    "import_file",
    "import_weights",
    "load_model",
    "published_names",
    "save_model",
    "write_published",
]
