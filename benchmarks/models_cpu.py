"""Networks on one thread of a CPU, side by side: `python benchmarks/models_cpu.py OUT.json [--before FOLDER]`.

For each family at 224 pixels, batch 1, float32: a plain textbook formulation (`textbook`), what `archdsl.build` gives,
the same while freed memory is kept (`archdsl.optimizing.allocator`), the inference form (`archdsl.optimize`), and
timm's swin_tiny; with `--before` also what `build` gave in another checkout. Then timm's networks beside two of ours.
Each has a process of its own; the processes of a group take turns in an order that changes each round. A sample is the
CPU time of one forward pass. Reported are p10 of the samples and ratios of p10 with 95 % intervals by bootstrap over
rounds; `again` is what `build` gives, in a second process: how far its ratio lies from 1 is what cannot be told apart.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

OURS = ("lit_s", "litv2_s", "dat_t", "datpp_t", "dualvit_s", "fcvit_b12")
SWIN = "timm:swin_tiny_patch4_window7_224"
RIVALS = (SWIN, "timm:convnext_tiny", "timm:caformer_s18", "timm:pvt_v2_b2", "timm:tiny_vit_21m_224")
CALLS = 4
"""Forward passes in a turn, after one that is not counted."""
RESAMPLES = 1000
_kept_alive: list[Any] = []


def main() -> None:
    asked = _arguments()
    if asked.serve:
        return _serve(asked.serve, asked.image)
    begun, results = time.monotonic(), {}
    groups = {name: _members(name, asked) for name in asked.models or OURS}
    if not asked.models:
        groups["rivals"] = [f"optimized:{name}" for name in OURS[:2]] + list(RIVALS)
    for number, (name, members) in enumerate(groups.items(), 1):
        until = begun + number * asked.deadline / len(groups)
        results[name] = _group(members, asked, until)
        print(json.dumps({name: results[name]["p10_ms"]}), flush=True)
    facts = {
        "what": "CPU ms of a forward pass, p10 over all samples; ratios are p10 of `to` divided by p10 of each",
        "asked": {"image": asked.image, "batch": 1, "threads": 1, "dtype": "float32", "rounds": asked.rounds},
        "seconds": round(time.monotonic() - begun, 1),
        "provenance": _provenance(asked.before),
        "groups": results,
    }
    Path(asked.out).write_text(json.dumps(facts, indent=1) + "\n")
    return None


def _members(name: str, asked: argparse.Namespace) -> list[str]:
    before = [f"before:{name}"] if asked.before else []
    return [f"build:{name}", f"again:{name}", f"textbook:{name}", *before, f"kept:{name}", f"optimized:{name}", SWIN]


def _group(members: list[str], asked: argparse.Namespace, until: float) -> dict[str, Any]:
    """Samples, p10 and ratios of networks that take turns."""
    processes = {member: _started(member, asked) for member in members}
    ready = {member: json.loads(_line(process)) for member, process in processes.items()}
    samples: dict[str, list[list[float]]] = {member: [] for member in members}
    order, taken = random.Random(0), 0
    while taken < asked.rounds and (taken < 3 or time.monotonic() < until):
        for member in order.sample(members, len(members)):
            process = processes[member]
            assert process.stdin is not None
            process.stdin.write("turn\n")
            process.stdin.flush()
            samples[member].append(json.loads(_line(process)))
        taken += 1
    for process in processes.values():
        process.kill()
        process.wait()
    to, pair = members[0], [f"{side}:{members[0].partition(':')[2]}" for side in ("before", "optimized")]
    against = {"optimized_to_before": _ratio(*(samples[member] for member in pair))} if pair[0] in members else {}
    return {
        **against,
        "rounds": taken,
        "networks": ready,
        "p10_ms": {member: round(_p10(rows), 2) for member, rows in samples.items()},
        "to": to,
        "ratios": {member: _ratio(samples[to], rows) for member, rows in samples.items() if member != to},
        "to_swin": {member: _ratio(samples[SWIN], rows) for member, rows in samples.items() if member != SWIN},
    }


def _p10(rows: list[list[float]]) -> float:
    values = sorted(value for row in rows for value in row)
    return values[len(values) // 10]


def _ratio(base: list[list[float]], rows: list[list[float]]) -> dict[str, float]:
    """How many times faster than the base, with its 95 % interval: whole rounds are resampled, of both together."""
    draw, count = random.Random(0), len(rows)
    found = []
    for _ in range(RESAMPLES):
        chosen = [draw.randrange(count) for _ in range(count)]
        found.append(_p10([base[index] for index in chosen]) / _p10([rows[index] for index in chosen]))
    found.sort()
    low, high = found[RESAMPLES * 25 // 1000], found[RESAMPLES * 975 // 1000]
    return {"value": round(_p10(base) / _p10(rows), 3), "low": round(low, 3), "high": round(high, 3)}


def _started(member: str, asked: argparse.Namespace) -> subprocess.Popen[str]:
    root = asked.before if member.startswith("before:") else str(Path(__file__).resolve().parents[1])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root}
    command = [sys.executable, __file__, "-", "--serve", member, "--image", str(asked.image)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True)


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"a process ended: {process.args!r}")
    return line


def _serve(member: str, image: int) -> None:
    """One network: says what it is once it has run, then the CPU ms of some passes after each line that it reads."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    x = torch.randn(1, 3, image, image, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        network, facts = _network(member, image, x)
        network(x)
        print(json.dumps(facts), flush=True)
        for _ in sys.stdin:
            network(x)
            taken = []
            for _ in range(CALLS):
                begun = time.process_time()
                network(x)
                taken.append(round((time.process_time() - begun) * 1e3, 3))
            print(json.dumps(taken), flush=True)


def _network(member: str, image: int, x: Any) -> tuple[Any, dict[str, Any]]:
    """The network, its parameters, and how far it lies from what `build` gives."""
    side, _, name = member.partition(":")
    if side == "timm":
        network = _of_timm(name).eval().requires_grad_(False)
        return network, {"params": sum(each.numel() for each in network.parameters())}
    import archdsl

    spec = archdsl.override(archdsl.load_spec(name), [f"image={image}"])
    plain = network = archdsl.build(spec).eval().requires_grad_(False)
    if side == "textbook":
        from textbook import Textbook

        network = Textbook(plain).eval()
    elif side == "optimized":
        network = archdsl.optimize(plain)
    elif side == "kept":
        from archdsl.optimizing.allocator import keep_freed_memory

        keep_freed_memory()
    wanted = plain(x)
    error = float((network(x) - wanted).abs().max() / wanted.abs().max())
    return network, {"params": sum(each.numel() for each in plain.parameters()), "error": float(f"{error:.2g}")}


def _of_timm(name: str) -> Any:
    import torch

    library = torch.library.Library("torchvision", "DEF")  # its compiled part does not load beside torch for CPUs
    library.define("nms(Tensor a, Tensor b, float c) -> Tensor")
    library.define("qnms(Tensor a, Tensor b, float c) -> Tensor")
    _kept_alive.append(library)
    import timm

    return timm.create_model(name)


def _provenance(before: str | None) -> dict[str, Any]:
    from importlib.metadata import version

    from archdsl.latency.provenance import provenance

    def commit(folder: str | Path) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()

    commits = {"commit": commit(Path(__file__).parent), "before": commit(before) if before else None}
    return {**provenance("cpu", "float32", 1, "eager", 1).as_json(), "timm": version("timm"), **commits}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("models", nargs="*", help="of ours, without the rivals' group (default: all)")
    parser.add_argument("--before", metavar="FOLDER", help="a checkout whose build is timed too")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--image", type=int, default=224)
    parser.add_argument("--deadline", type=float, default=480.0, help="seconds for everything (default: 480)")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
