"""What fits into the time of a search: said where it is short of what the search plans, from what is known by then."""

from __future__ import annotations

import math

from archdsl.numbers import plain_text
from archdsl.search.policy import Policy
from archdsl.search.store.clock import Clock


def at_the_start(clock: Clock, policy: Policy) -> str | None:
    """What a short time leaves of the plan, before any training; None where nothing is left out for sure."""
    if clock.limit is None or clock.search_ends_s is None:
        return None
    wanted = policy.final_reading.processes
    processes = max(1, int(clock.reading_s / clock.process_s))
    for_finalists_s = clock.limit - clock.search_ends_s - clock.reading_s
    if processes >= wanted and for_finalists_s > 0:
        return None
    parts = [f"candidates are tried until {clock.search_ends_s:.0f} s"]
    if for_finalists_s <= 0:
        parts.append("no time is kept for training finalists longer")
    if processes < wanted:
        parts.append(f"the winner may be measured in {processes} instead of {wanted} processes")
    return f"{plain_text(clock.limit)} s are short: {', '.join(parts)}"


def after_training(clock: Clock, policy: Policy, train_s: float) -> str | None:
    """What fits, once one training took `train_s` seconds; None where a finalist can be trained longer."""
    if clock.limit is None or clock.search_ends_s is None or train_s <= 0:
        return None
    longer_s = policy.finalists.lengthen * train_s
    if clock.limit - clock.search_ends_s - clock.reading_s >= longer_s:
        return None
    more = int(max(clock.search_ends_s - clock.elapsed, 0) / train_s)
    enough_s = (policy.final_reading.processes * clock.process_s + longer_s) / (1 - policy.time.search_share)
    times = f"{plain_text(policy.finalists.lengthen)} times as long"
    needed = f"about --time {math.ceil(enough_s / 60)}m is needed"
    more_text = f"there is time for at most {more} more" if more else "there is no time for another one"
    return f"one training takes {train_s:.0f} s: {more_text}, and none for training a finalist {times} ({needed})"
