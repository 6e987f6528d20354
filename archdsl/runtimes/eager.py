"""torch op by op."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.runtimes.runtime import Runner, Runtime, forward

if TYPE_CHECKING:
    from torch import nn

    from archdsl.runtimes.runtime import NetInput


class Eager(Runtime):
    """Every op is launched by Python, on any device."""

    name = "eager"
    threads_may_change = True
    runs_modules = True

    def runner(self, net: nn.Module, x: NetInput) -> Runner:
        """As `Runtime.runner`."""
        run = forward(net, x)
        run()
        return run
