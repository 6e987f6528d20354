"""Networks in every form and mode on one device: `python benchmarks/models.py OUT.json --device cuda`.

Ours in a plain textbook formulation (`textbook`), as `archdsl.build` gives them and in their inference form
(`archdsl.optimizing`), and timm's networks of the same kind; `models_cpu.py` is the command for a CPU. Each network has
a process of its own, which builds, tunes, compiles and captures; they do so side by side, and are then timed one at a
time, in rounds whose order changes. The first runner of a process is timed twice a round (A/A).
It reports ms per batch, the difference from the plain float32 network, peak memory, and the share of the roofline
with ceilings measured in the run: the time that the multiply-adds or the bytes of inputs, weights and outputs of each
product take at least, whichever is longer.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from model_forms import event_ms

OURS = ("lit_s", "litv2_s", "dat_t", "datpp_t", "dualvit_s", "fcvit_b12")
RIVALS = ("swin_tiny_patch4_window7_224", "convnext_tiny", "caformer_s18", "pvt_v2_b2", "tiny_vit_21m_224")
_START_SHARE = 0.7
"""Of the deadline, in which a process must be ready."""
_PROCESS = Path(__file__).with_name("model_forms.py")


def main() -> None:
    asked = _arguments()
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
        command = [sys.executable, str(_PROCESS), name, "--device", asked.device]
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
    copy_ms = event_ms(lambda: target.copy_(source), 10)
    product_ms = event_ms(lambda: square @ square, 10)
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
    return parser.parse_args()


if __name__ == "__main__":
    main()
