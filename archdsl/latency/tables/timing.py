"""Parts timed: in their place in a running network, or alone on what they read there.

In place is how eager networks are timed: caches, memory layouts and allocations are those of the network. What is
compiled or replayed as one cannot be stopped in the middle; there each part is compiled or captured by itself.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from archdsl.latency.rounds import Timer
from archdsl.latency.tables.parts import Part
from archdsl.latency.tables.survey import blocks_of
from archdsl.runtimes.runner import Runner, refusing, runner_of
from archdsl.runtimes.setting import Image, Setting
from archdsl.timing.rounds import Lap

if TYPE_CHECKING:
    from torch import nn

    from archdsl.language.document import Spec

REPLAYS = 8
"""Passes of a part in one captured graph, so that the launch of the graph, which a network pays once, hardly counts."""

_Place = tuple[str, int | None]


class InPlace:
    """A runner of a network that notes when each of its parts begins and ends."""

    def __init__(self, spec: Spec, parts: Iterable[Part], setting: Setting) -> None:
        """Builds the network with seeded weights; it has run once.

        Raises:
            MeasureError: the forward pass fails.
        """
        import torch

        self._net, self._x = _ready(spec, setting)
        self._parts, self._cpu = tuple(parts), setting.device == "cpu"
        self._marks: list[tuple[_Place, Any, Any]] = []
        self.taken: list[dict[str, float]] = []
        """Of each sample, the ms of each part by key, a pass and a part."""
        for place, module in _modules(self._net, self._parts):
            module.forward = self._noting(place, module.forward)
        with refusing(setting, image_of(spec)), torch.inference_mode():
            self._net(self._x)

    def __call__(self) -> None:
        """One pass."""
        import torch

        with torch.inference_mode():
            self._net(self._x)

    def take(self, calls: int) -> None:
        """Keep what was noted since the last time as one sample of so many passes."""
        totals: dict[_Place, float] = defaultdict(float)
        for place, begin, end in self._marks:
            totals[place] += (end - begin) * 1e3 if self._cpu else begin.elapsed_time(end)
        self._marks.clear()
        self.taken.append(by_key(self._parts, {place: total / calls for place, total in totals.items()}))

    def _noting(self, place: _Place, forward: Callable[..., Any]) -> Callable[..., Any]:
        marks = self._marks
        if self._cpu:
            clock = time.perf_counter

            def noted(*inputs: Any) -> Any:
                begin = clock()
                given = forward(*inputs)
                marks.append((place, begin, clock()))
                return given

            return noted
        import torch

        cuda: Any = torch.cuda  # partly untyped

        def noted_on_gpu(*inputs: Any) -> Any:
            begin, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
            begin.record()
            given = forward(*inputs)
            end.record()
            marks.append((place, begin, end))
            return given

        return noted_on_gpu


def by_key(parts: Iterable[Part], totals: dict[_Place, float]) -> dict[str, float]:
    """The ms of each part by key, from those of nodes and blocks; a stage's ends are what its blocks leave of it."""
    blocks: dict[str, float] = defaultdict(float)
    for (node, block), total in totals.items():
        if block is not None:
            blocks[node] += total
    found: dict[str, list[float]] = defaultdict(list)
    for part in parts:
        total = totals[part.node, part.block]
        found[part.key].append(total if part.block is not None else total - blocks.get(part.node, 0.0))
    return {key: sum(values) / len(values) for key, values in found.items()}


def noting(plain: Timer) -> Timer:
    """A timer by which networks in place keep a sample each time that they are timed."""

    def timed(run: Runner, calls: int) -> Lap:
        lap = plain(run, calls)
        if isinstance(run, InPlace):
            run.take(calls)
        return lap

    return timed


def alone(spec: Spec, parts: Iterable[Part], setting: Setting) -> dict[_Place, Runner]:
    """Runners of the nodes and blocks that parts are made of, each by itself on what it reads in the network.

    In runtime `graph` a runner is `REPLAYS` passes.

    Raises:
        MeasureError: a forward pass fails.
    """
    import torch

    net, x = _ready(spec, setting)
    read: dict[_Place, tuple[Any, ...]] = {}
    modules = list(_modules(net, parts))
    hooks = [module.register_forward_pre_hook(partial(_note_inputs, read, place)) for place, module in modules]
    with refusing(setting, image_of(spec)):
        with torch.inference_mode():
            net(x)
        for hook in hooks:
            hook.remove()
        times = passes(setting)
        return {place: runner_of(_repeated(module, times), read[place], setting.runtime) for place, module in modules}


def passes(setting: Setting) -> int:
    """Passes that one call of a runner of `alone` is."""
    return REPLAYS if setting.runtime == "graph" else 1


def _note_inputs(read: dict[_Place, tuple[Any, ...]], place: _Place, _module: Any, inputs: tuple[Any, ...]) -> None:
    read[place] = tuple(value.clone() for value in inputs)  # a clone keeps the layout in memory


def _repeated(module: nn.Module, times: int) -> nn.Module:
    """So many passes of a module on what it reads, handed over as one tuple."""
    from torch import nn

    class Repeated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, inputs: tuple[Any, ...]) -> Any:
            for _ in range(times - 1):
                self.module(*inputs)
            return self.module(*inputs)

    return Repeated()


def _ready(spec: Spec, setting: Setting) -> tuple[Any, Any]:
    """The network of seeded weights, and an input, as `prepare` has them."""
    import torch

    from archdsl.latency.measuring import seeded

    place = {"device": setting.device, "dtype": getattr(torch, setting.dtype)}
    noise = torch.randn(setting.batch, *image_of(spec), generator=torch.Generator().manual_seed(0))
    with refusing(setting, image_of(spec)):
        return seeded(spec).eval().requires_grad_(False).to(**place), noise.to(**place)


def image_of(spec: Spec) -> Image:
    """(C, H, W) of its images."""
    return (spec.channels, *spec.image_size)


def _modules(net: Any, parts: Iterable[Part]) -> Iterator[tuple[_Place, Any]]:
    """The module of every node and of every block that is a part of its own."""
    places = [(part.node, part.block) for part in parts]
    for node in dict.fromkeys(node for node, _ in places):
        module = net._modules[node]
        depth = sum(found == node and block is not None for found, block in places)
        yield (node, None), module
        if depth:
            blocks = blocks_of(module, depth)
            assert blocks is not None  # the survey found that it can be taken apart
            yield from (((node, index), block) for index, block in enumerate(blocks))
