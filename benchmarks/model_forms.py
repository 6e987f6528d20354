"""One network in every form and mode: the process that `models.py` starts for it and hands turns to.

It says READY once everything is built, compiled and captured, and ROW with milliseconds per batch after each line that
reads `turn`.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

_SAMPLE_MS = 120.0
"""Of a turn on a GPU, for one form and mode."""

Run = Callable[[], Any]


def main() -> None:
    """Serve turns until the input ends."""
    asked = _arguments()
    import torch

    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(0)
    if asked.device == "cpu":
        torch.set_num_threads(1)
    side, _, name = asked.network.partition(":")
    facts: dict[str, Any] = {"errors": {}, "error": {}, "peak_mb": {}, "seconds": {}}
    network = _network(side, name).eval().requires_grad_(False).to(asked.device)
    facts["params"] = sum(parameter.numel() for parameter in network.parameters())
    size = 64 if asked.quick else 224
    runners: dict[str, Run] = {}
    forms: dict[str, Any] = {"plain": copy.deepcopy(network).to(getattr(torch, asked.dtype))}
    if side == "ours":
        from textbook import Textbook

        from archdsl.optimizing import optimize

        forms["textbook"] = Textbook(forms["plain"])
        begun = time.monotonic()
        forms["form"] = optimize(forms["plain"], fused=True if asked.quick else None)
        facts["seconds"]["form"] = round(time.monotonic() - begun, 1)
    for batch in map(int, asked.batches.split(",")):
        x32 = torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(1)).to(asked.device)
        with torch.inference_mode():
            wanted = network(x32[:8])
        facts.setdefault("roofline", {})[str(batch)] = _products(network, x32[:1], batch, asked.dtype)
        for form, module in forms.items():
            _add_runners(runners, facts, module, x32.to(getattr(torch, asked.dtype)), wanted, f"{form} b{batch}", asked)
    facts["runners"] = sorted(runners)
    print("READY" + json.dumps(facts), flush=True)
    again = next(iter(runners), "")
    for line in sys.stdin:
        if line.strip() != "turn":
            break
        row = {key: _sample(run, asked) for key, run in runners.items()}
        if again:
            row[f"{again} again"] = _sample(runners[again], asked)
        print("ROW" + json.dumps(row), flush=True)
    os._exit(0)


def _network(side: str, name: str) -> Any:
    import torch

    if side == "ours":
        import archdsl

        spec = archdsl.load_spec(name)
        return archdsl.build(archdsl.override(spec, ["head.token_label=false"]) if name == "dualvit_s" else spec)
    if not torch.cuda.is_available():  # its compiled part does not load beside torch for the CPU alone
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor a, Tensor b, float c) -> Tensor")
        library.define("qnms(Tensor a, Tensor b, float c) -> Tensor")
    import timm

    return timm.create_model(name)


def _add_runners(
    runners: dict[str, Run],
    facts: dict[str, Any],
    module: Any,
    x: Any,
    wanted: Any,
    key: str,
    asked: argparse.Namespace,
) -> None:
    """The module eager, in a CUDA graph, and compiled in one; each that fails is told and left out."""
    import torch

    def call() -> Any:
        with torch.inference_mode():
            return module(x)

    def keep(mode: str, run: Run, y: Any) -> None:
        outputs, most = y[:8].float(), wanted.float().abs().max()
        facts["error"][f"{mode} {key}"] = float(((outputs - wanted.float()).abs().max() / most).item())
        runners[f"{mode} {key}"] = run

    try:
        y = call()
        if asked.device == "cuda":
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            call()
            torch.cuda.synchronize()
            facts["peak_mb"][key] = round((torch.cuda.max_memory_allocated() - before) / 1e6, 1)
        keep("eager", call, y)
        if asked.device == "cuda":
            replay, y = _captured(call)
            keep("graph", replay, y)
    except Exception as error:
        facts["errors"][key] = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
        return
    if asked.quick:
        return
    try:
        begun = time.monotonic()
        torch._dynamo.reset()
        compiled = torch.compile(module, dynamic=False)

        def compiled_call() -> Any:
            with torch.inference_mode():
                return compiled(x)  # type: ignore[no-untyped-call]

        y = compiled_call()
        facts["seconds"][f"compile {key}"] = round(time.monotonic() - begun, 1)
        run, y = _captured(compiled_call) if asked.device == "cuda" else (compiled_call, y)
        keep("compile", run, y)
    except Exception as error:
        facts["errors"][f"compile {key}"] = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"


def _captured(call: Run) -> tuple[Run, Any]:
    """Kernels captured in a CUDA graph, as a replay and its output."""
    import torch

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = call()
    graph.replay()
    torch.cuda.synchronize()
    return graph.replay, y


def _sample(run: Run, asked: argparse.Namespace) -> float:
    """Milliseconds of a call: by events on a GPU; CPU time on a CPU, the tenth percentile."""
    if asked.device == "cpu":
        run()
        taken = []
        for _ in range(3 if asked.quick else 10):
            begun = time.process_time()
            run()
            taken.append((time.process_time() - begun) * 1e3)
        return sorted(taken)[len(taken) // 10]
    once = max(event_ms(run, 1), 0.02)
    return event_ms(run, max(3, min(2000, int(_SAMPLE_MS / once))))


def event_ms(run: Run, count: int) -> float:
    """Milliseconds of a call on the GPU, over so many of them."""
    import torch

    run()
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for _ in range(count):
        run()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / count


def _products(network: Any, x: Any, batch: int, dtype: str) -> list[list[float]]:
    """Of every linear map and convolution: multiply-adds, and bytes of input, weight and output, for the batch."""
    import torch
    from torch import nn

    parts: list[list[float]] = []
    each = torch.tensor([], dtype=getattr(torch, dtype)).element_size()

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        weight: Any = module.weight
        if isinstance(module, nn.Conv2d):
            macs = output.numel() * weight[0].numel()
        else:
            macs = output.numel() * weight.shape[-1]
        moved = batch * (inputs[0].numel() + output.numel()) + weight.numel()
        parts.append([float(batch * macs), float(each * moved)])

    handles = [
        module.register_forward_hook(note) for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    with torch.inference_mode():
        network(x)
    for handle in handles:
        handle.remove()
    return parts


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", help="side:name, e.g. ours:lit_s or timm:convnext_tiny")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--batches", default="64")
    parser.add_argument("--dtype", default="float16")
    parser.add_argument("--quick", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
