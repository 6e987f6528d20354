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
    if not is_installed("timm"):
        pytest.skip("timm or torchvision is not installed", allow_module_level=True)


def is_installed(package: str) -> bool:
    """Whether a package is installed; timm can be imported then."""
    if find_spec(package) is None:
        return False
    return package != "timm" or _torchvision_is_ready()


def _torchvision_is_ready() -> bool:
    if find_spec("torchvision") is None:
        return False
    if not _declared and not _loads():
        library = torch.library.Library("torchvision", "DEF")
        for name in _OPERATORS:
            library.define(f"{name}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
        _declared.append(library)
    return True


def _loads() -> bool:
    try:
        import torchvision  # noqa: F401  # it is imported for its operators
    except RuntimeError:
        return False
    return True
