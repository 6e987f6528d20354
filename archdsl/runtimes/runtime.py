"""The interface of a runtime: from a module and its input to a forward pass that can be called and timed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor, nn

    NetInput = Tensor | tuple[Tensor, ...]
    """What a module is called with, as one argument."""

Runner = Callable[[], None]
"""One forward pass; on a GPU it returns before the pass has ended."""


class Runtime(ABC):
    """What executes a network: torch op by op, a replayed CUDA graph, `torch.compile`."""

    name: ClassVar[str]
    threads_may_change: ClassVar[bool] = False
    """Whether a runner may be called with another number of threads than it was made with."""
    host_waits: ClassVar[bool] = True
    """Whether a call includes work of the host, so that other processes on its cores disturb it."""
    runs_modules: ClassVar[bool] = False
    """Whether each module's `forward` runs in Python on every call, so that a part can be timed inside its network."""
    passes: ClassVar[int] = 1
    """Passes per call when a part of a network is timed alone: enough that the cost of a call hardly counts."""

    def check(self, device: str) -> None:  # noqa: B027  # most run on every device
        """Refuse a device that the runtime cannot use.

        Raises:
            MeasureError: it cannot.
        """

    def begin(self) -> None:  # noqa: B027  # most keep nothing
        """Forget what was made for earlier networks; called before the networks of one comparison are prepared."""

    @abstractmethod
    def runner(self, net: nn.Module, x: NetInput) -> Runner:
        """The forward pass as a call. It has run once, so that compiling or capturing is over.

        `net` and `x` are on their device, in their dtype; call it within `steady` and `refusing`.
        """


def forward(net: Callable[[NetInput], Tensor], x: NetInput) -> Runner:
    """A forward pass without gradients."""
    import torch

    def run() -> None:
        with torch.inference_mode():
            net(x)

    return run
