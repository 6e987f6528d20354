"""What a module costs, counted while it runs: the measure that the declarations' closed formulas are held to.

On the meta device no arithmetic is done; the CPU counts the same, and small modules several times faster.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

from archdsl.families.datpp import displacement
from archdsl.families.datpp import neighborhood_modules as neighborhood


class Counted(NamedTuple):
    """What was counted of one forward pass in evaluation, without gradients."""

    params: int
    macs: int
    activations: int


def count_module(module: nn.Module, *inputs: Tensor) -> Counted:
    """Parameters, MACs and the largest number of elements alive at once, `inputs` among them."""
    return count_and_run(module, *inputs)[0]


def count_and_run(module: nn.Module, *inputs: Tensor) -> tuple[Counted, Any]:
    """The same, and what the module gives."""
    module.eval()
    operations, out = _run(module, inputs)
    flops = operations.flops
    if any(isinstance(part, COUNTED_OTHERWISE) for part in module.modules()):
        with as_the_papers_count():
            flops = _run(module, inputs)[0].flops
    macs, odd = divmod(flops, 2)
    assert not odd
    return Counted(sum(parameter.numel() for parameter in module.parameters()), macs, operations.peak), out


def _run(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Operations, Any]:
    operations = Operations(module, inputs)
    with torch.no_grad(), OneRule(operations), Quickly(), operations:
        return operations, module(*inputs)


COUNTED_OTHERWISE = (neighborhood.NeighborhoodAttention, displacement.LogBias)


@contextmanager
def as_the_papers_count() -> Iterator[None]:
    """Two modules do the work that the papers count, instead of how they do it.

    Neighborhood attention in blocks also computes pairs that its mask shuts out: counted is each query with its own
    keys. The MLP of a logarithmic bias is not counted.
    """
    with (
        mock.patch.object(neighborhood.NeighborhoodAttention, "forward", plain_neighborhood),
        mock.patch.object(displacement.LogBias, "forward", no_bias),
    ):
        yield


def plain_neighborhood(self: neighborhood.NeighborhoodAttention, x: Tensor) -> Tensor:
    """(B, H, W, C) -> (B, H, W, C): neighborhood attention query by query, a copy of its keys for each."""
    (H, W), window = x.shape[1:3], self.window
    qkv = self.qkv(F.pad(x, (0, 0, 0, max(window - W, 0), 0, max(window - H, 0))))
    q, k, v = qkv.unflatten(-1, (3, self.heads, -1)).unbind(3)  # (B, H, W, heads, c) each
    rows, columns = (torch.arange(length, device=x.device)[:, None] for length in q.shape[1:3])
    keys = torch.arange(window, device=x.device)
    y = (rows - window // 2).clamp(0, len(rows) - window) + keys
    z = (columns - window // 2).clamp(0, len(columns) - window) + keys
    k, v = (part[:, y][:, :, :, z].permute(0, 1, 3, 5, 2, 4, 6).flatten(4, 5) for part in (k, v))
    scores = (q * q.shape[-1] ** -0.5)[..., None, :] @ k.mT  # (B, H, W, heads, 1, window^2)
    if self.table is not None:
        table = self.table[:, (y - rows + window - 1)][..., (z - columns + window - 1)]
        scores = scores + table.permute(1, 3, 0, 2, 4).flatten(3)[..., None, :]
    out = torch.softmax(scores, dim=-1) @ v
    found: Tensor = self.proj(out.flatten(3)[:, :H, :W])
    return found


def no_bias(self: displacement.LogBias, places: Tensor, height: int, width: int) -> Tensor:
    """(B, groups, Hk, Wk, xy) -> zeros (B, heads, height * width, Hk * Wk)"""
    B, groups, rows, columns = places.shape[:4]
    return places.new_zeros(B, groups * self.fc2.out_features, height * width, rows * columns)


def map_of(channels: int, height: int, width: int, device: str = "meta") -> Tensor:
    """A map (1, C, H, W) as parts hand it on: channels last in memory."""
    return torch.zeros(1, height, width, channels, device=device).permute(0, 3, 1, 2)


class Quickly(TorchFunctionMode):
    """On the meta device four functions give their map at once, which torch works out there in many operations.

    None of them counts as multiply-adds. Each lays its result out as torch does.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is F.grid_sample and args[0].is_meta:
            x, grid = args  # (N, C, H, W), (N, rows, columns, xy)
            return x.new_zeros(*x.shape[:2], *grid.shape[1:3])
        if func in (F.layer_norm, F.gelu) and args[0].is_meta:
            return torch.zeros_like(args[0])
        if func is F.interpolate and args[0].is_meta:
            return _resized(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _resized(x: Tensor, size: tuple[int, int], **how: Any) -> Tensor:
    """(B, C, H, W) -> (B, C, *size)"""
    layout = torch.channels_last if _is_channels_last(x) else torch.contiguous_format
    return torch.empty(*x.shape[:2], *size, device=x.device, dtype=x.dtype, memory_format=layout)


class OneRule(TorchFunctionMode):
    """Two operations by one rule, which otherwise differ by device, dtype and version of torch.

    Attention stores its scores once and lays its result out as fused kernels do; a group norm keeps its input's layout.
    """

    def __init__(self, operations: Operations) -> None:
        super().__init__()
        self._operations = operations

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is F.group_norm:
            return torch.zeros_like(args[0])
        if func is not F.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        q, k, v = args
        self._operations.flops += sdpa_flop_count(q.shape, k.shape, v.shape)
        scores = q.new_zeros(*q.shape[:-1], k.shape[-2])
        out = q.new_zeros(q.shape[0], q.shape[2], q.shape[1], v.shape[-1]).transpose(1, 2)
        del scores
        return out


class Operations(TorchDispatchMode):
    """Counts floating-point operations by torch's formulas, and follows every storage from its making to its end.

    Parameters and buffers are not counted, nor what an operation needs inside; of a norm its result alone, not the
    statistics. A convolution keeps its input's layout, also on the meta device.
    """

    def __init__(self, module: nn.Module, inputs: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self.flops = self.alive = self.peak = 0
        self._own = [tensor.untyped_storage() for tensor in (*module.parameters(), *module.buffers())]
        self._known = {storage._cdata: weakref.ref(storage) for storage in self._own}
        for tensor in inputs:
            self._add(tensor)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if func.overloadpacket in flop_registry:
            self.flops += flop_registry[func.overloadpacket](*args, **(kwargs or {}), out_val=out)
        name = func.overloadpacket.__name__
        if name == "convolution" and _is_channels_last(args[0]):
            out = out.contiguous(memory_format=torch.channels_last)
        made = out[:1] if "norm" in name and isinstance(out, tuple) else out
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._add(tensor)
        return out

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return
        elements = storage.nbytes() // tensor.element_size()

        def gone(_: object) -> None:
            self.alive -= elements
            del self._known[key]

        self._known[key] = weakref.ref(storage, gone)
        self.alive += elements
        self.peak = max(self.peak, self.alive)


def _is_channels_last(x: Tensor) -> bool:
    """One channel, or one position, is both: it counts as the common layout."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
