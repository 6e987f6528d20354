"""A quiet moment for long calls: waited for while time remains, as one neighbour a core disturbs nearly all of them."""

from __future__ import annotations

import time

from archdsl.search.evaluate.context import Context
from archdsl.timing.cores import available_cores, physical_cores
from archdsl.timing.machine import MachineWatch


def await_quiet(context: Context, call_ms: float, needed_s: float) -> bool:
    """Wait until other processes leave alone the cores that a long call needs, while more than `needed_s` remain.

    Whether it is quiet now, or need not be.
    """
    settings, policy = context.settings, context.policy.final_reading
    if call_ms <= policy.long_call_ms or settings.measuring_place != "cpu":  # what runs on another machine is not seen
        return True
    threads = settings.threads or settings.chosen_threads or physical_cores()
    spare, begun, is_said = available_cores() - threads + policy.spare_cores, time.monotonic(), False
    while (busy := other_cores(policy.look_s)) is not None and busy > spare:
        left = context.clock.left
        room_s = policy.most_wait_s if left is None else left - needed_s
        if time.monotonic() - begun > min(room_s, policy.most_wait_s):
            context.note(f"no quiet moment came in {time.monotonic() - begun:.0f} s; measuring on a busy machine")
            return False
        text = f"waiting for a quiet moment: other processes keep {busy:.1f} cores busy"
        context.doing(text, context.state.phase)
        if not is_said:
            context.watcher(context.state, text)
            is_said = True
    return True


def other_cores(seconds: float) -> float | None:
    """Cores that processes beside this search keep busy, over so long; None where the system does not tell."""
    watch = MachineWatch()
    if not watch.is_available:
        return None
    time.sleep(seconds)
    watch.look()
    window = watch.whole()
    return None if window is None else window.others
