"""A search as it stands after 83 seconds, to be shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from archdsl.search.policy import SHIPPED
from archdsl.search.store.clock import Clock
from archdsl.search.store.progress import State
from archdsl.search.training_record import SeedAccuracy, Training
from archdsl.search.trial import Trial
from tests.support.devices import fake_device
from tests.support.searching import settings

NAMES = ("tiny-0aaaaaaa", "tiny-1bbbbbbb", "tiny-2ccccccc")
PROXY = Training("2 epochs of 2,000 images", "shapetex: 2,000 images", error=0.015)
FRONT = [
    Trial(
        number=number,
        network_hash=name,
        document={"name": name},
        params=3_100_000 - 900_000 * number,
        macs=250_000_000 - 80_000_000 * number,
        rung="train",
        outcome="trained",
        latency_ms=4.5 - 1.3 * number,
        accuracy=0.61 - 0.07 * number,
        training=PROXY,
    )
    for number, name in enumerate(NAMES)
]
PER_SEED = (SeedAccuracy(0, 0.71, 0.69), SeedAccuracy(1, 0.69, 0.65))
TWICE = Training(fidelity="6 epochs", held_out=0.65, per_seed=PER_SEED, spread=0.02)
LONGER = replace(FRONT[0], rung="train_longer", accuracy=0.7, training=TWICE)
FACTS = fake_device()


class Stopped(Clock):
    """A clock that stands."""

    @property
    def elapsed(self) -> float:
        return 83.0


def state(**changes: Any) -> State:
    asked = settings(time_s=600.0, trials=40)
    made = State(asked, "runs/one", Stopped(asked, SHIPPED), "searching", f"trial 7: training {NAMES[2]}", facts=FACTS)
    for name, value in changes.items():
        setattr(made, name, value)
    return made
