"""timm where it is installed, also beside a torch that its torchvision was not compiled for."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch

_OPERATORS = ("nms", "qnms")
"""What torchvision declares only where its compiled part loads, and describes on import in any case."""
_declared: list[torch.library.Library] = []


def need_timm() -> None:
    """Skip the module where timm is missing."""
    for package in ("timm", "torchvision"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed", allow_module_level=True)
    if not _declared and not _loads():
        library = torch.library.Library("torchvision", "DEF")
        for name in _OPERATORS:
            library.define(f"{name}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
        _declared.append(library)


def _loads() -> bool:
    try:
        import torchvision  # noqa: F401  # it is imported for its operators
    except RuntimeError:
        return False
    return True
