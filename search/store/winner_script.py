"""The program beside a winner that measures it again under its verdict's conditions."""

from __future__ import annotations

from archdsl.search.config import Settings
from archdsl.search.policy.evaluate import FinalReadingPolicy
from archdsl.search.store.reading import Reading
from archdsl.timing.interleaved import sample_ms


def script(name: str, file: str, reading: Reading, settings: Settings, policy: FinalReadingPolicy) -> str:
    """A program that measures a winner again, from a file beside the program.

    It measures under the verdict's conditions and for as long.
    """
    conditions = reading.conditions
    kept = ("device", "batch", "dtype", "runtime", "threads")
    turns = 1 if settings.target else policy.turns_of(max(reading.value_ms, sample_ms(settings.device)))
    setting = {key: conditions[key] for key in kept} | ({"target": settings.target} if settings.target else {})
    values = {
        "NAME": name,
        "FILE": file,
        "SETTING": setting | ({"optimize": True} if settings.optimize else {}),
        "FEATURES_ONLY": settings.features_only or None,
        "STAT": settings.stat,
        "BUDGET_MS": settings.budgets.latency_ms,
        "ENVIRONMENT": conditions["environment"],
        "PROCESSES": policy.processes,
        "TURNS": turns,
        "TURN": (policy.pace if turns == 1 else policy.turn_pace(turns)).options(),
        "WHOLE": policy.pace.options(),
    }
    return _SCRIPT.format(**{key: repr(value) for key, value in values.items()})


_SCRIPT = '''\
"""Measures the winner of a search again under its verdict's conditions, in three fresh processes that take turns.

It prints the same statistic with its interval. Run it with a Python that has archdsl: python run_winner.py.
Exit code 0 for PASS, else 1.
"""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

NAME, FILE = {NAME}, {FILE}
SETTING = {SETTING}
FEATURES_ONLY = {FEATURES_ONLY}
STAT, BUDGET_MS = {STAT}, {BUDGET_MS}
ENVIRONMENT = {ENVIRONMENT}
PROCESSES, TURNS = {PROCESSES}, {TURNS}
TURN = {TURN}
WHOLE = {WHOLE}


def winner():
    """The winner, to be measured in this process."""
    for name in ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.pop(name, None)
    os.environ.update(ENVIRONMENT)  # it counts from before torch is imported
    import archdsl
    from archdsl.latency.measuring import ready_network

    file = Path(__file__).with_name(FILE)
    subject = file if file.suffix == ".onnx" else archdsl.load_model(file, features_only=FEATURES_ONLY)
    return ready_network(subject, **SETTING)


def measure(network, pace) -> None:
    """Measure in this process, and print its rounds as JSON."""
    (latency,) = network.latencies(**pace)
    print(json.dumps([latency.samples, latency.rounds.undisturbed]), flush=True)


def take_turns() -> None:
    """Measure for a turn whenever a line comes in."""
    network = winner()
    network.prepare()
    print(json.dumps([]), flush=True)
    for _ in sys.stdin:
        measure(network, TURN)


def answer(process):
    """The next answer of a process that takes turns; None where it has ended."""
    line = next((line for line in process.stdout if line.startswith("[")), None)
    return None if line is None else json.loads(line)


def main() -> int:
    """Pool the rounds of fresh processes, and compare the statistic with the budget."""
    from archdsl.timing.rounds import Rounds
    from archdsl.timing.turns import joined, turn_order
    from archdsl.timing.verdict import judge

    print(f"measuring {{NAME}} in {{PROCESSES}} processes, in {{TURNS}} turns each ...", file=sys.stderr)
    command, pipe = [sys.executable, __file__, "--turns"], subprocess.PIPE
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))
            for _ in range(PROCESSES)
        ]
        processes = [process for process in started if answer(process) is not None]
        turns = {{process.pid: [] for process in processes}}
        for number in turn_order(len(processes), TURNS):
            process = processes[number]
            if process.pid not in turns:
                continue
            with contextlib.suppress(BrokenPipeError):
                os.write(process.stdin.fileno(), b"turn\\n")
            if (taken := answer(process)) is None:
                del turns[process.pid]  # it ended: what it measured does not count
            else:
                turns[process.pid].append(Rounds(tuple(taken[0]), tuple(taken[1])))
    if not turns:
        return 1
    judged = judge([joined(taken) for taken in turns.values()], STAT, BUDGET_MS)
    print(f"{{judged.verdict}}  {{NAME}}: {{judged.reason}}")
    if judged.estimate is not None:
        print(f"{{judged.estimate.undisturbed}} of {{judged.estimate.rounds}} rounds were undisturbed")
    print(", ".join(f"{{name}} {{value}}" for name, value in {{**SETTING, **ENVIRONMENT}}.items()))
    return 0 if judged.verdict == "PASS" else 1


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--once"], ["--turns"]):
        sys.exit(__doc__)
    if "--once" in sys.argv:
        sys.exit(measure(winner(), WHOLE))
    sys.exit(take_turns() if "--turns" in sys.argv else main())
'''
