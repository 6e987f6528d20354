"""From a frozen network to torch's graph of it, in the form that converters to ONNX and their runtimes get right.

Two calls are traced in another form than the modules have, equal to rounding:

- A table that is resized to the map's size (a bias by displacement, say) becomes the resized table. onnxscript resizes
  such constants itself while it converts, and its bicubic filter is wrong for some sizes (13 to 15 entries: 3.1e-3 of
  the largest logit).
- Bilinear sampling with align_corners becomes sampling without, on a grid that is scaled by (side - 1) / side. ONNX
  Runtime samples that form 3 to 12 times faster (microsoft/onnxruntime, pull request 27359).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from torch.export import ExportedProgram

_Function = Callable[..., Any]
_Arguments = tuple[Any, ...]
_Named = Mapping[str, Any]

LARGEST_BATCH = 4096
"""Of a file with a dynamic batch."""


def traced(net: nn.Module, images: Tensor, dynamic_batch: bool = False, *, for_onnx: bool = False) -> ExportedProgram:
    """The graph of a network on images (B, C, H, W), for this size, and for this batch or for any.

    Args:
        net: in eval mode and without gradients.
        images: of the size that the graph is for.
        dynamic_batch: whether the batch may change, from 1 to 4,096.
        for_onnx: whether tables and sampling take the forms that converters to ONNX and their runtimes get right.

    Raises:
        RuntimeError: torch cannot trace it, or the batch came out fixed though it should not.
    """
    shapes = ({0: torch.export.Dim("batch", min=1, max=LARGEST_BATCH)},) if dynamic_batch else None
    if dynamic_batch and len(images) == 1:
        images = images.repeat(2, 1, 1, 1)  # torch takes a batch of one for a fixed one
    if not for_onnx:
        with torch.no_grad():
            return torch.export.export(net, (images,), dynamic_shapes=shapes)
    resized = _resized_tables(net, images[:1])
    with torch.no_grad(), _ForConverters(resized):
        return torch.export.export(net, (images,), dynamic_shapes=shapes)


def _resized_tables(net: nn.Module, images: Tensor) -> list[Tensor | None]:
    """The results of the calls of `F.interpolate` in one pass, in order; None where one depends on the images.

    What depends on the images requires a gradient if the images do and no parameter does.
    """
    with torch.enable_grad(), _Interpolations() as seen:
        net(images.detach().clone().requires_grad_())
    return [None if result.requires_grad else result.detach() for result in seen.results]


class _Calls(TorchFunctionMode, ABC):
    """Sees every call of a function of torch."""

    def __torch_function__(
        self,
        func: _Function,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return self.call(func, args, dict(kwargs or {}))

    @abstractmethod
    def call(self, func: _Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the call gives."""


class _Interpolations(_Calls):
    """Keeps what every call of `F.interpolate` gives."""

    def __init__(self) -> None:
        super().__init__()
        self.results: list[Tensor] = []

    def call(self, func: _Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """As `_Calls.call`."""
        result = func(*args, **kwargs)
        if func is F.interpolate:
            self.results.append(result)
        return result


class _ForConverters(_Calls):
    """Gives resized tables in the place of their resizing, and samples without align_corners."""

    def __init__(self, resized: list[Tensor | None]) -> None:
        super().__init__()
        self._resized: Iterator[Tensor | None] = iter(resized)

    def call(self, func: _Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """As `_Calls.call`."""
        if func is F.interpolate:
            table = next(self._resized)
            if table is not None:
                return table
        if func is F.grid_sample and kwargs.get("align_corners"):
            return _sampled(*args, **{**kwargs, "align_corners": False})
        return func(*args, **kwargs)


def _sampled(maps: Tensor, grid: Tensor, **options: Any) -> Tensor:
    """`F.grid_sample` at the same places without align_corners: maps (B, C, H, W), grid (B, H', W', xy)."""
    height, width = maps.shape[2:]
    return F.grid_sample(maps, grid * grid.new_tensor([(width - 1) / width, (height - 1) / height]), **options)
