"""A CUDA graph: the kernels of one pass are captured, and launched together from then on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from archdsl.errors import MeasureError
from archdsl.runtimes.runtime import Runner, Runtime, forward

if TYPE_CHECKING:
    import torch
    from torch import nn

    from archdsl.runtimes.runtime import NetInput

_WARM_UPS = 3


class CudaGraph(Runtime):
    """A replay costs the host one launch, so that what runs on its cores does not disturb it."""

    name = "graph"
    host_waits = False
    passes = 8

    def check(self, device: str, dtype: str) -> None:
        """As `Runtime.check`."""
        if device == "cpu":
            rule = "runtime graph replays a CUDA graph and needs a GPU; got device cpu"
            raise MeasureError(f"{rule}; use eager or compile")

    def runner(self, net: nn.Module, x: NetInput) -> Runner:
        """As `Runtime.runner`."""
        import torch

        run = forward(net, x)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # capture needs cuDNN's choice and every lazy buffer made before
            for _ in range(_WARM_UPS):
                run()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            run()
        return partial(_replay, graph, run)


def _replay(graph: torch.cuda.CUDAGraph, _owner: Runner) -> None:
    """Replays; the captured pass is held beside the graph because the graph reads its weights and input in place."""
    graph.replay()
