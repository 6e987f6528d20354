"""Networks in every form and mode on one device: `python benchmarks/models.py OUT.json --device cuda`.

Ours as `archdsl.build` gives them and in their inference form (`archdsl.optimizing`), and timm's networks of the same
kind. Each network has a process of its own, which builds, tunes, compiles and captures; they do so side by side, and
are then timed one at a time, in rounds whose order changes. The first runner of a process is timed twice a round (A/A).
It reports ms per batch, the difference from the plain float32 network, peak memory, and the share of the roofline
with ceilings measured in the run: the time that the multiply-adds or the bytes of inputs, weights and outputs of each
product take at least, whichever is longer.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

OURS = ("lit_s", "litv2_s", "dat_t", "datpp_t", "dualvit_s", "fcvit_b12")
RIVALS = ("swin_tiny_patch4_window7_224", "convnext_tiny", "caformer_s18", "pvt_v2_b2", "tiny_vit_21m_224")
_START_SHARE = 0.7
_SAMPLE_MS = {"cuda": 120.0, "cpu": 400.0}

Run = Callable[[], Any]


def main() -> None:
    asked = _arguments()
    if asked.child:
        _child(asked)
    else:
        _drive(asked)


# ------------------------------------------------------------------------------------------------------- the driver


def _drive(asked: argparse.Namespace) -> None:
    begun = time.monotonic()
    names = asked.models or [*(f"ours:{name}" for name in OURS), *(f"timm:{name}" for name in RIVALS)]
    children = {name: _Child(name, asked) for name in names}
    facts = _started(children, begun + _START_SHARE * asked.deadline)
    order = random.Random(0)
    ready = [name for name in names if "runners" in facts[name]]
    for _ in range(asked.rounds):
        for name in order.sample(ready, len(ready)):
            if time.monotonic() - begun > asked.deadline:
                break
            row = children[name].ask("turn", begun + asked.deadline + 30) or {}
            for key, value in row.items():
                facts[name].setdefault("samples_ms", {}).setdefault(key, []).append(value)
    for child in children.values():
        child.stop()
    result = _result(asked, facts, time.monotonic() - begun)
    Path(asked.out).write_text(json.dumps(result, indent=1) + "\n")
    _print(result)


def _started(children: dict[str, _Child], until: float) -> dict[str, dict[str, Any]]:
    """What each process says once it is ready; those that are not by then are told so, and have no turns."""
    begun, facts = time.monotonic(), dict[str, dict[str, Any]]()
    while len(facts) < len(children) and time.monotonic() < until:
        for name, child in children.items():
            if name not in facts and (said := child.heard("READY", time.monotonic() + 0.05)) is not None:
                facts[name] = said
                print(f"{time.monotonic() - begun:5.0f} s  {name}: {said['errors'] or 'ready'}", flush=True)
    return facts | {name: {"errors": {"start": "not ready in time"}} for name in children if name not in facts}


class _Child:
    """A process that holds one network."""

    def __init__(self, name: str, asked: argparse.Namespace) -> None:
        command = [sys.executable, __file__, asked.out, "--child", name, "--device", asked.device]
        command += ["--batches", asked.batches, "--dtype", asked.dtype, *(["--quick"] if asked.quick else [])]
        environment = {**os.environ, "OMP_NUM_THREADS": "2", "TORCHINDUCTOR_COMPILE_THREADS": "2"}
        log = Path(f"{asked.out}.{name.replace(':', '_')}.err").open("w")  # noqa: SIM115  # the process writes to it
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment
        )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        self._heard = ""

    def heard(self, word: str, until: float) -> Any:
        """What the process says after a word; None where it ends, or does not say it in time."""
        assert self._process.stdout is not None
        while time.monotonic() < until:
            try:
                chunk = os.read(self._process.stdout.fileno(), 1 << 20).decode()
            except BlockingIOError:
                chunk = ""
            self._heard += chunk
            while "\n" in self._heard:
                line, self._heard = self._heard.split("\n", 1)
                if line.startswith(word):
                    return json.loads(line[len(word) :])
            if not chunk:
                if self._process.poll() is not None:
                    return None
                time.sleep(0.02)
        return None

    def ask(self, word: str, until: float) -> Any:
        """The row of one turn."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())
        self._process.stdin.flush()
        return self.heard("ROW", until)

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


def _result(asked: argparse.Namespace, facts: dict[str, dict[str, Any]], seconds: float) -> dict[str, Any]:
    ceilings = _ceilings(asked)
    for each in facts.values():
        each["ms"] = {key: statistics.median(values) for key, values in each.get("samples_ms", {}).items()}
        if "roofline" in each and "matmul_tflops" in ceilings:
            each["limit_ms"] = {key: _limit_ms(parts, ceilings) for key, parts in each.pop("roofline").items()}
    return {
        "what": "ms a batch, median of the rounds; limit_ms is the roofline of the products alone",
        "asked": {"batches": asked.batches, "dtype": asked.dtype, "device": asked.device, "rounds": asked.rounds},
        "provenance": _provenance(asked.device),
        "ceilings": ceilings,
        "seconds": round(seconds, 1),
        "models": facts,
    }


def _ceilings(asked: argparse.Namespace) -> dict[str, float]:
    """What a large copy and a large product reach here, after everything else was timed; nothing on a CPU."""
    if asked.device == "cpu":
        return {}
    import torch

    dtype = getattr(torch, asked.dtype)
    source = torch.empty(1 << 29, dtype=dtype, device="cuda")
    target, square = torch.empty_like(source), torch.randn(8192, 8192, device="cuda").to(dtype)
    copy_ms = _event_ms(lambda: target.copy_(source), 10)
    product_ms = _event_ms(lambda: square @ square, 10)
    moved = 2 * source.numel() * source.element_size()
    return {"copy_tb_s": moved / copy_ms / 1e9, "matmul_tflops": 2 * 8192**3 / product_ms / 1e9}


def _limit_ms(parts: list[list[float]], ceilings: dict[str, float]) -> float:
    """The sum over products of what is longer: their arithmetic, or their bytes."""
    rate, bandwidth = ceilings["matmul_tflops"] * 1e9, ceilings["copy_tb_s"] * 1e9
    return sum(max(2 * macs / rate, moved / bandwidth) for macs, moved in parts)


def _provenance(device: str) -> dict[str, Any]:
    import platform

    import torch

    from archdsl.latency.provenance import cpu_name

    name = torch.cuda.get_device_name(0) if device == "cuda" else cpu_name()
    date = time.strftime("%Y-%m-%d")
    return {"device": name, "torch": torch.__version__, "python": platform.python_version(), "date": date}


def _print(result: dict[str, Any]) -> None:
    for name, facts in result["models"].items():
        limits = facts.get("limit_ms", {})
        for key, ms in sorted(facts["ms"].items()):
            limit = next((limits[batch] for batch in limits if key.endswith(f"b{batch}")), None)
            share = "" if limit is None else f"  {limit / ms:5.1%} of the roofline"
            error = facts.get("error", {}).get(key)
            print(f"{name:40} {key:28} {ms:9.3f} ms{share}" + ("" if error is None else f"  error {error:.1e}"))
        if facts["errors"]:
            print(f"{name:40} {facts['errors']}")
    print(json.dumps({"ceilings": result["ceilings"], **result["provenance"], "seconds": result["seconds"]}))


# -------------------------------------------------------------------------------------------------- one network


def _child(asked: argparse.Namespace) -> None:
    import torch

    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(0)
    if asked.device == "cpu":
        torch.set_num_threads(1)
    side, _, name = asked.child.partition(":")
    facts: dict[str, Any] = {"errors": {}, "error": {}, "peak_mb": {}, "seconds": {}}
    network = _network(side, name).eval().requires_grad_(False).to(asked.device)
    facts["params"] = sum(parameter.numel() for parameter in network.parameters())
    size = 64 if asked.quick else 224
    runners: dict[str, Run] = {}
    forms: dict[str, Any] = {"plain": copy.deepcopy(network).to(getattr(torch, asked.dtype))}
    if side == "ours":
        from archdsl.optimizing import optimize

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
        found, most = y[:8].float(), wanted.float().abs().max()
        facts["error"][f"{mode} {key}"] = float(((found - wanted.float()).abs().max() / most).item())
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
    once = max(_event_ms(run, 1), 0.02)
    return _event_ms(run, max(3, min(2000, int(_SAMPLE_MS["cuda"] / once))))


def _event_ms(run: Run, count: int) -> float:
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
    parser.add_argument("out")
    parser.add_argument("models", nargs="*", help="side:name, e.g. ours:lit_s or timm:convnext_tiny (default: all)")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--batches", default="64")
    parser.add_argument("--dtype", choices=("float16", "bfloat16", "float32"), default="float16")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--deadline", type=float, default=420.0, help="seconds for everything (default: 420)")
    parser.add_argument("--quick", action="store_true", help="64 px, eager alone: to try the command")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
