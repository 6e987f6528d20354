"""Whether any document can hurt: `python benchmarks/mutations.py --count 200 --seed 0 [--out]`.

Published backbones and test specs are changed at random (tests/support/mutants.py), and each mutant runs in a process
of its own under limits of memory, CPU time and wall time. The promise: it is refused with places and rules in 2 seconds
and 200 MB, without torch being imported, or it builds and runs one forward pass at its image size, batch 1. Exit 1 if
any mutant breaks it. With --out the outcomes are written to benchmarks/results/mutations.json.

A process is forked from one that has imported what it needs, so that seconds and memory are the document's own; memory
is the peak resident set, imports among it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import archdsl
from archdsl.errors import SpecError
from archdsl.language.nodes import node_models
from archdsl.load.specs import parse_spec
from tests.support.mutants import Mutant, mutants

REFUSE_S, REFUSE_MB = 2.0, 200.0
CHECK_LIMITS = (20, 2 * 2**30)
RUN_LIMITS = (900, 22 * 2**30)
"""Seconds, both of CPU a core and of wall time, and bytes of address space."""
Outcome = dict[str, Any]


def check(mutant: Mutant) -> Outcome:
    """Refused, or accepted with its costs."""
    try:
        spec = parse_spec(mutant.data, "mutant.json")
        counted = archdsl.count(spec)
    except SpecError as error:
        blind = [str(p) for p in error.problems if not (p.rule and (p.line or p.path or p.file))]
        if blind or not error.problems or "torch" in sys.modules:
            return {"outcome": "BROKEN", "why": f"torch or no place: {blind[:3]}"}
        return {"outcome": "refused", "problems": len(error.problems), "first": str(error.problems[0])[:200]}
    if "torch" in sys.modules:
        return {"outcome": "BROKEN", "why": "checking imported torch"}
    return {
        "outcome": "accepted",
        "params": counted.params,
        "macs": counted.macs,
        "memory_gb": counted.memory_bytes() / 1e9,
    }


def build_and_run(mutant: Mutant) -> Outcome:
    """One forward pass of what was accepted."""
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    spec = parse_spec(mutant.data, "mutant.json")
    started = time.monotonic()
    model = archdsl.build(spec).eval()
    built = time.monotonic()
    with torch.inference_mode():
        logits = model(torch.randn(1, spec.channels, *spec.image_size))
    if tuple(logits.shape) != (1, spec.classes):
        return {"outcome": "BROKEN", "why": f"logits {tuple(logits.shape)}"}
    finite = bool(torch.isfinite(logits).all())
    seconds = {"build_s": built - started, "forward_s": time.monotonic() - built}
    return {"outcome": "ran" if finite else "ran, logits not finite", **seconds}


def in_a_process(work: Callable[[Mutant], Outcome], mutant: Mutant, limits: tuple[int, int]) -> Outcome:
    """What came of it, with wall seconds and peak memory; a death is an outcome, too."""
    reading, writing = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if not child:
        _child(work, mutant, limits, writing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    _, status, usage = os.wait4(child, 0)
    outcome: Outcome = json.loads(text) if text else {"outcome": "BROKEN", "why": f"died: {_death(status)}"}
    return {"peak_mb": usage.ru_maxrss / 1024} | outcome | {"seconds": time.monotonic() - started}


def _child(work: Callable[[Mutant], Outcome], mutant: Mutant, limits: tuple[int, int], writing: int) -> None:
    seconds, size = limits
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds * (os.cpu_count() or 1),) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(seconds)
    try:
        outcome = work(mutant)
    except BaseException:
        outcome = {"outcome": "BROKEN", "why": traceback.format_exc(limit=-6)}
    with os.fdopen(writing, "w") as pipe:
        json.dump(outcome | {"peak_mb": _peak_mb()}, pipe)
    os._exit(0)


def _peak_mb() -> float:
    """This process's peak resident set; unlike getrusage's it begins anew with the process."""
    with Path("/proc/self/status").open() as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))


def _death(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return signal.Signals(-code).name if code < 0 else f"exit {code}"


def judged(outcome: Outcome) -> Outcome:
    """A refusal that took too long or too much is broken as well."""
    if outcome["outcome"] == "refused" and (outcome["seconds"] > REFUSE_S or outcome["peak_mb"] > REFUSE_MB):
        return outcome | {
            "outcome": "BROKEN",
            "why": f"refused in {outcome['seconds']:.1f} s, {outcome['peak_mb']:.0f} MB",
        }
    return outcome


def run(count: int, seed: int, most_gb: float) -> list[Outcome]:
    """All outcomes: first every check, without torch, then what was accepted."""
    node_models()  # imported and made once, before the forks
    outcomes, all_of_them = [], list(mutants(seed, count))
    for number, mutant in enumerate(all_of_them):
        outcome = judged(in_a_process(check, mutant, CHECK_LIMITS))
        outcomes.append({"number": number, "origin": mutant.origin, "change": mutant.change, **outcome})
    if any(outcome["outcome"] == "accepted" and outcome["memory_gb"] <= most_gb for outcome in outcomes):
        import torch  # noqa: F401  # the children of the second half inherit it
    for number, mutant in enumerate(all_of_them):
        outcome = outcomes[number]
        if outcome["outcome"] == "accepted" and outcome["memory_gb"] > most_gb:
            outcome["outcome"] = "not run: too big for this machine"
        elif outcome["outcome"] == "accepted":
            outcome |= in_a_process(build_and_run, mutant, RUN_LIMITS)
            print(f"{number:5} {mutant.origin:22} {outcome['outcome']:10} {outcome['seconds']:7.1f} s", file=sys.stderr)
    return outcomes


def table(outcomes: list[Outcome]) -> str:
    """Outcomes by what was done."""
    lines = [f"{'outcome':36} {'mutants':>7} {'slowest s':>10} {'most MB':>9}"]
    for outcome, count in Counter(each["outcome"] for each in outcomes).most_common():
        alike = [each for each in outcomes if each["outcome"] == outcome]
        slowest, most = max(each["seconds"] for each in alike), max(each["peak_mb"] for each in alike)
        lines.append(f"{outcome:36} {count:7} {slowest:10.2f} {most:9.0f}")
    for each in outcomes:
        if each["outcome"] == "BROKEN":
            lines.append(f"\n{each['number']}: {each['origin']}: {each['change']}: {each['why']}")
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    """Where the numbers come from."""
    import torch

    with Path("/proc/cpuinfo").open() as file:
        cpu = next((line.partition(": ")[2].strip() for line in file if line.startswith("model name")), "unknown")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "archdsl": "0.1.0",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most-gb", type=float, default=18.0, help="do not run what is predicted to need more")
    parser.add_argument("--out", action="store_true", help="write benchmarks/results/mutations.json")
    arguments = parser.parse_args()
    results = run(arguments.count, arguments.seed, arguments.most_gb)
    print(table(results))
    if arguments.out:
        asked = {"count": arguments.count, "seed": arguments.seed, "promise": {"seconds": REFUSE_S, "mb": REFUSE_MB}}
        outcomes = dict(Counter(each["outcome"] for each in results))
        result = {"asked": asked, "machine": machine(), "outcomes": outcomes, "mutants": results}
        path = Path(__file__).parent / "results" / "mutations.json"
        path.write_text(json.dumps(result, indent=1) + "\n")
    return int(any(each["outcome"] == "BROKEN" for each in results))


if __name__ == "__main__":
    sys.exit(main())
