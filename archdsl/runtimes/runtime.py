"""The interface of a runtime: from a module and its input to a forward pass that can be called and timed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from archdsl.timing.interleaved import Runner as Runner

if TYPE_CHECKING:
    from torch import Tensor, nn

    from archdsl.json_types import JsonObject

    NetInput = Tensor | tuple[Tensor, ...]
    """What a module is called with, as one argument."""


class Runtime(ABC):
    """What executes a network: torch op by op, a replayed CUDA graph, `torch.compile`, or a session of a file."""

    name: ClassVar[str]
    threads_may_change: ClassVar[bool] = False
    """Whether `with_threads` can change the number of threads that a runner was made with."""
    host_waits: ClassVar[bool] = True
    """Whether a call includes work of the host, so that other processes on its cores disturb it."""
    runs_files: ClassVar[bool] = False
    """Whether what runs is an exported ONNX file, which can be handed over."""
    runs_modules: ClassVar[bool] = False
    """Whether each module's `forward` runs in Python on every call, so that a part can be timed inside its network."""
    times_parts: ClassVar[bool] = True
    """Whether a part of a network can be timed alone, so that tables of latencies hold for the runtime."""
    calibrates: ClassVar[bool] = False
    """Whether its int8 files are written by images, whose activations tell the scales."""
    returns_when_done: ClassVar[bool] = False
    """Whether a call returns when its pass has ended, on a GPU too: it is timed by the host's clock then."""
    passes: ClassVar[int] = 1
    """Passes per call when a part of a network is timed alone: enough that the cost of a call hardly counts."""

    def check(self, device: str, dtype: str) -> None:  # noqa: B027  # most run on every device
        """Refuse a device or a dtype that the runtime cannot use, and a runtime whose package is absent.

        Raises:
            MeasureError: it cannot; a `WrongSetting` where it never takes that device or dtype.
        """

    def for_setting(self, device: str, dtype: str) -> Runtime:
        """The runtime that prepares networks for a device and a dtype."""
        return self

    def begin(self) -> None:  # noqa: B027  # most keep nothing
        """Forget what was made for earlier networks; called before the networks of one comparison are prepared."""

    @abstractmethod
    def runner(self, net: nn.Module, x: NetInput) -> Runner:
        """The forward pass as a call. It has run once, so that compiling or capturing is over.

        `net` and `x` are on their device, in their dtype; call it within `steady` and `refusing`. A CPU's threads are
        those that torch is set to.
        """

    def with_threads(self, runner: Runner, threads: int) -> Runner:
        """The same pass on another number of threads, to which torch is set already."""
        return runner

    def facts(self, runner: Runner) -> JsonObject:
        """What a latency's provenance says of the runner beside its setting: nothing where modules run as they are."""
        return {}


def forward(net: Callable[[NetInput], Tensor], x: NetInput) -> Runner:
    """A forward pass without gradients."""
    import torch

    def run() -> None:
        with torch.inference_mode():
            net(x)

    return run
