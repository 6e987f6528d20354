"""A search as it stands after 83 seconds, to be shown."""

from __future__ import annotations

from typing import Any

from archdsl.search.store.clock import Clock
from archdsl.search.store.progress import State
from tests.support.searching import settings

NAMES = ("tiny-0aaaaaaa", "tiny-1bbbbbbb", "tiny-2ccccccc")
PROXY = {"fidelity": "2 epochs of 2,000 images", "data": "shapetex: 2,000 images", "error": 0.015}
FRONT: list[dict[str, Any]] = [
    {
        "number": number,
        "rung": "train",
        "hash": name,
        "spec": {"name": name},
        "accuracy": 0.61 - 0.07 * number,
        "latency": 4.5 - 1.3 * number,
        "params": 3_100_000 - 900_000 * number,
        "macs": 250_000_000 - 80_000_000 * number,
        "provenance": {"proxy": PROXY},
    }
    for number, name in enumerate(NAMES)
]
TRAININGS = [{"seed": 0, "accuracy": 0.71, "held_out": 0.69}, {"seed": 1, "accuracy": 0.69, "held_out": 0.65}]
TWICE = {"fidelity": "6 epochs", "trainings": TRAININGS, "spread": 0.02, "held_out": 0.65}
LONGER = {**FRONT[0], "rung": "train_longer", "accuracy": 0.7, "provenance": {"proxy": TWICE}}
FACTS = {"device": "cpu", "device_name": "a machine"}


class Stopped(Clock):
    """A clock that stands."""

    @property
    def elapsed(self) -> float:
        return 83.0


def state(**changes: Any) -> State:
    asked = settings(time_s=600.0, trials=40)
    made = State(asked, "runs/one", Stopped(asked), "searching", f"trial 7: training {NAMES[2]}", facts=dict(FACTS))
    for name, value in changes.items():
        setattr(made, name, value)
    return made
