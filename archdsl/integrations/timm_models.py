"""Models of timm by name, for data of any size: random weights, and nothing is ever downloaded."""

from __future__ import annotations

import re
from types import ModuleType
from typing import NamedTuple

import torch
from torch import nn

from archdsl.errors import SearchError, nearest_only, one_line

_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?")


_OPERATORS = ("nms", "qnms")
"""Of torchvision, which its compiled part declares."""
_declared: list[torch.library.Library] = []
"""What was declared in its place; it holds as long as it is kept."""


class Costs(NamedTuple):
    """What a module costs."""

    params: int
    macs: int
    """Multiply-adds of convolutions and matrix products for one image."""


def build_timm(name: str, image: int, channels: int, classes: int) -> nn.Module:
    """The classifier of that name: images (B, channels, image, image) -> logits (B, classes).

    `image` is handed over as `img_size` where the model takes one.

    Raises:
        SearchError: timm is missing or cannot be imported, has no such model, or cannot build it so.
    """
    timm = _imported(name)
    if not _NAME.fullmatch(name) or not timm.is_model(name):  # other names would be looked up on the Hugging Face Hub
        remedy = nearest_only(name, timm.list_models()) or "timm.list_models() gives the names"
        raise SearchError(f"timm has no model '{name}'; {remedy}")
    options = {"pretrained": False, "num_classes": classes, "in_chans": channels}
    try:
        try:
            model: nn.Module = timm.create_model(name, img_size=image, **options)
        except TypeError as error:
            if "img_size" not in str(error):
                raise
            model = timm.create_model(name, **options)
    except Exception as error:  # a model may raise anything for a size that it does not take
        raise SearchError(_refused(name, image, channels, error)) from None
    return model


def costs_of(model: nn.Module, name: str, image: int, channels: int, classes: int) -> Costs:
    """Params and MACs of a built model, counted while it runs once on the CPU.

    Raises:
        SearchError: it cannot run on images of that size, or gives other than logits (1, classes).
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    model.eval()
    try:
        # the other forms of attention are one operator, of which the counter knows nothing
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            logits = model(torch.zeros(1, channels, image, image))
    except Exception as error:
        raise SearchError(_refused(name, image, channels, error)) from None
    if not isinstance(logits, torch.Tensor) or logits.shape != (1, classes):
        raise SearchError(f"timm:{name} is no classifier: it gives no logits (1, {classes})")
    return Costs(sum(parameter.numel() for parameter in model.parameters()), int(counter.get_total_flops()) // 2)


def _imported(name: str) -> ModuleType:
    try:
        _prepare_torchvision()
        import timm
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "timm":
            raise SearchError(f"timm cannot be imported: {one_line(error)}") from None
        raise SearchError(f"timm:{name} needs timm; pip install 'archdsl[timm]'") from None
    except Exception as error:
        remedy = "install the versions of timm and torchvision that go with this torch"
        raise SearchError(f"timm cannot be imported: {one_line(error)}; {remedy}") from None
    module: ModuleType = timm
    return module


def _prepare_torchvision() -> None:
    """Let timm import torchvision also where its compiled part was made for another torch and does not load.

    torchvision describes its operators on import, and fails where nobody declared them. Classifiers use none of them,
    so that their names are enough.
    """
    try:
        import torchvision  # noqa: F401  # whether it can be imported is the question
    except RuntimeError as error:
        if _declared or "torchvision::" not in str(error):
            raise
        library = torch.library.Library("torchvision", "DEF")
        for operator in _OPERATORS:
            library.define(f"{operator}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
        _declared.append(library)


def _refused(name: str, image: int, channels: int, error: Exception) -> str:
    said = f"{type(error).__name__}: {one_line(error)}"
    return f"timm:{name} does not take images of {channels}x{image}x{image}: {said}"
