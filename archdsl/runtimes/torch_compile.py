"""`torch.compile`, for the shapes and the threads that it is called with first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.runtimes.runtime import Runner, Runtime, forward

if TYPE_CHECKING:
    from torch import nn

    from archdsl.runtimes.runtime import NetInput

_RECOMPILATIONS = 256
"""Each network of a comparison recompiles the code of the same blocks; past torch's limit it would run eager."""


class TorchCompile(Runtime):
    """Compiled code is for the number of threads that it was compiled with."""

    name = "compile"
    times_parts = False

    def begin(self) -> None:
        """As `Runtime.begin`."""
        import torch

        torch._dynamo.reset()

    def runner(self, net: nn.Module, x: NetInput) -> Runner:
        """As `Runtime.runner`."""
        import torch

        run = forward(torch.compile(net, dynamic=False), x)
        with torch._dynamo.config.patch(recompile_limit=_RECOMPILATIONS):
            run()
        return run
