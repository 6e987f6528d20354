"""Parts timed: in their place in a running network, or alone on what they read there.

In place is how eager networks are timed: caches, memory layouts and allocations are those of the network. What is
compiled or replayed as one cannot be stopped in the middle; there each part is compiled or captured by itself.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from archdsl.latency.rounds import Timer
from archdsl.latency.tables.parts import Part
from archdsl.latency.tables.survey import blocks_of
from archdsl.runtimes.runner import Runner, noise, optimized, placed, refusing
from archdsl.runtimes.setting import Image, Setting
from archdsl.timing.rounds import Lap

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from archdsl.language.document import Spec

_Place = tuple[str, int | None]
"""A node's id, and the number of one of its blocks."""
_Inputs = ParamSpec("_Inputs")
_Output = TypeVar("_Output")


class InPlace:
    """A runner of a network that notes when each of its parts begins and ends."""

    def __init__(self, spec: Spec, parts: Iterable[Part], setting: Setting, optimize: bool = False) -> None:
        """Builds the network with seeded weights; it has run once.

        Raises:
            MeasureError: the forward pass fails.
        """
        self._net, self._x = _ready(spec, setting, optimize)
        self._parts = tuple(parts)
        self._marks = _CpuMarks() if setting.device == "cpu" else _CudaMarks()
        self.taken: list[dict[str, float]] = []
        """Of each sample, the ms of each part by key, a pass and a part."""
        for place, module in _modules(self._net, self._parts):
            module.forward = self._marks.noting(place, module.forward)
        with refusing(setting, image_of(spec)):
            self()

    def __call__(self) -> None:
        """One pass."""
        import torch

        with torch.inference_mode():
            self._net(self._x)

    def take(self, calls: int) -> None:
        """Keep what was noted since the last time as one sample of so many passes."""
        totals = self._marks.take()
        self.taken.append(by_key(self._parts, {place: total / calls for place, total in totals.items()}))


class _Marks(ABC):
    """When each part began and ended."""

    @abstractmethod
    def noting(self, place: _Place, forward: Callable[_Inputs, _Output]) -> Callable[_Inputs, _Output]:
        """The forward pass of a part, which is noted from now on."""

    @abstractmethod
    def take(self) -> dict[_Place, float]:
        """The ms of each part since the last time."""


class _CpuMarks(_Marks):
    """By the wall clock."""

    def __init__(self) -> None:
        self._marks: list[tuple[_Place, float, float]] = []

    def noting(self, place: _Place, forward: Callable[_Inputs, _Output]) -> Callable[_Inputs, _Output]:
        marks, clock = self._marks, time.perf_counter

        def noted(*inputs: _Inputs.args, **named: _Inputs.kwargs) -> _Output:
            begin = clock()
            output = forward(*inputs, **named)
            marks.append((place, begin, clock()))
            return output

        return noted

    def take(self) -> dict[_Place, float]:
        totals: dict[_Place, float] = defaultdict(float)
        for place, begin, end in self._marks:
            totals[place] += (end - begin) * 1e3
        self._marks.clear()
        return totals


class _CudaMarks(_Marks):
    """By events on the GPU, which are read when it has passed them."""

    def __init__(self) -> None:
        self._marks: list[tuple[_Place, torch.cuda.Event, torch.cuda.Event]] = []

    def noting(self, place: _Place, forward: Callable[_Inputs, _Output]) -> Callable[_Inputs, _Output]:
        from torch.cuda import Event

        marks = self._marks

        def noted(*inputs: _Inputs.args, **named: _Inputs.kwargs) -> _Output:
            begin, end = Event(enable_timing=True), Event(enable_timing=True)
            begin.record()
            output = forward(*inputs, **named)
            end.record()
            marks.append((place, begin, end))
            return output

        return noted

    def take(self) -> dict[_Place, float]:
        totals: dict[_Place, float] = defaultdict(float)
        for place, begin, end in self._marks:
            totals[place] += begin.elapsed_time(end)
        self._marks.clear()
        return totals


def by_key(parts: Iterable[Part], totals: dict[_Place, float]) -> dict[str, float]:
    """The ms of each part by key, from those of nodes and blocks; a stage's ends are what its blocks leave of it."""
    blocks: dict[str, float] = defaultdict(float)
    for (node, block), total in totals.items():
        if block is not None:
            blocks[node] += total
    times: dict[str, list[float]] = defaultdict(list)
    for part in parts:
        total = totals[part.node, part.block]
        times[part.key].append(total if part.block is not None else total - blocks.get(part.node, 0.0))
    return {key: sum(values) / len(values) for key, values in times.items()}


def noting(plain: Timer) -> Timer:
    """A timer by which networks in place keep a sample each time that they are timed."""

    def timed(run: Runner, calls: int) -> Lap:
        lap = plain(run, calls)
        if isinstance(run, InPlace):
            run.take(calls)
        return lap

    return timed


def alone(spec: Spec, parts: Iterable[Part], setting: Setting, optimize: bool = False) -> dict[_Place, Runner]:
    """Runners of the nodes and blocks that parts are made of, each by itself on what it reads in the network.

    One call of a runner is as many passes as the runtime says (`Runtime.passes`).

    Raises:
        MeasureError: a forward pass fails.
    """
    import torch

    net, x = _ready(spec, setting, optimize)
    read: dict[_Place, tuple[Tensor, ...]] = {}
    modules = list(_modules(net, parts))
    hooks = [module.register_forward_pre_hook(partial(_note_inputs, read, place)) for place, module in modules]
    with refusing(setting, image_of(spec)):
        with torch.inference_mode():
            net(x)
        for hook in hooks:
            hook.remove()
        runtime = setting.executor
        return {place: runtime.runner(_repeated(module, runtime.passes), read[place]) for place, module in modules}


def _note_inputs(
    read: dict[_Place, tuple[Tensor, ...]], place: _Place, _module: nn.Module, inputs: tuple[Tensor, ...]
) -> None:
    read[place] = tuple(value.clone() for value in inputs)  # a clone keeps the layout in memory


def _repeated(module: nn.Module, times: int) -> nn.Module:
    """So many passes of a module on what it reads, handed over as one tuple."""
    from torch import nn

    class Repeated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
            for _ in range(times - 1):
                self.module(*inputs)
            output: Tensor = self.module(*inputs)
            return output

    return Repeated()


def _ready(spec: Spec, setting: Setting, optimize: bool) -> tuple[nn.Module, Tensor]:
    """The network of seeded weights, and an input, as `prepare` has them."""
    from archdsl.latency.measuring import seeded

    with refusing(setting, image_of(spec)):
        net = placed(seeded(spec), setting)
        return optimized(net, setting) if optimize else net, noise(setting, image_of(spec))


def image_of(spec: Spec) -> Image:
    """(C, H, W) of its images."""
    return (spec.channels, *spec.image_size)


def _modules(net: nn.Module, parts: Iterable[Part]) -> Iterator[tuple[_Place, nn.Module]]:
    """The module of every node and of every block that is a part of its own."""
    places = [(part.node, part.block) for part in parts]
    for node in dict.fromkeys(node for node, _ in places):
        module = net._modules[node]
        assert module is not None
        depth = sum(name == node and block is not None for name, block in places)
        yield (node, None), module
        if depth:
            blocks = blocks_of(module, depth)
            assert blocks is not None  # the survey found that it can be taken apart
            yield from (((node, index), block) for index, block in enumerate(blocks))
