"""Checkpoint files: as training scripts write them in every form, and pickled by hand."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

Write = Callable[[Any], Path]

FORMS: dict[str, dict[str, Any]] = {
    "zip": {},
    "zip, protocol 4": {"pickle_protocol": 4},
    "zip, protocol 5": {"pickle_protocol": 5},
    "pickles": {"_use_new_zipfile_serialization": False},
    "pickles, protocol 5": {"_use_new_zipfile_serialization": False, "pickle_protocol": 5},
}


def writer(folder: Path) -> Write:
    """Save a value the way training scripts do."""

    def write(value: Any, **options: Any) -> Path:
        path = folder / "checkpoint.pth"
        torch.save(value, path, **options)
        return path

    return write


def storage_pickle(size: tuple[int, ...] = (2,), count: int = 2, device: str = "cpu", stride: int = 1) -> bytes:
    """A state dict with one tensor, `weight`, as torch.save pickles it; what it says of sizes need not be true."""

    class Pickler(pickle._Pickler):
        def persistent_id(self, value: Any) -> Any:
            kind: Any = torch.FloatStorage
            return ("storage", kind, "0", device, count) if value == "STORAGE" else None

    class Rebuilt:
        def __reduce__(self) -> Any:
            build: Any = torch._utils._rebuild_tensor_v2
            return build, ("STORAGE", 0, size, (stride,) * len(size), False, OrderedDict())

    out = io.BytesIO()
    Pickler(out, 2).dump({"weight": Rebuilt()})
    return out.getvalue()
