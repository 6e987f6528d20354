"""ONNX models that are converted once a process: a test whose point is another does not wait for torch each time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from archdsl.exporting import onnx_file

if TYPE_CHECKING:
    import onnx

convert = onnx_file.converted


def convert_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal networks of equal weights, for equal images, are converted once; as a fixture."""
    monkeypatch.setattr(onnx_file, "converted", _converted_once)


def _converted_once(
    net: nn.Module, images: Tensor, outputs: Sequence[str], dynamic_batch: bool, opset: int
) -> onnx.ModelProto:
    key = (_digest(net), repr(net), images.shape, images.dtype, tuple(outputs), dynamic_batch, opset)
    models = _models()
    if key not in models:
        models[key] = convert(net, images, outputs, dynamic_batch, opset)
    model = type(models[key])()
    model.CopyFrom(models[key])  # what is stated in it is written into it
    return model


@cache
def _models() -> dict[tuple[Any, ...], onnx.ModelProto]:
    return {}


def _digest(net: nn.Module) -> str:
    """Of the specs in a network, and of its parameters and buffers."""
    digest = hashlib.sha256()
    for module in net.modules():
        digest.update(
            f"{type(module).__module__}.{type(module).__qualname__} {getattr(module, 'spec', None)!r}".encode()
        )
    for name, values in (*net.named_parameters(), *net.named_buffers()):
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
