"""A search without networks, of a small space: its settings, what it leaves, and what interrupts it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import InMemoryStorage

from archdsl.search.config import Settings
from archdsl.search.evaluate import quiet_moment
from archdsl.search.loop.session import run_search
from archdsl.search.policy import Policy
from archdsl.search.policy.propose import EvolutionPolicy, SamplerPolicy
from archdsl.search.propose import study
from archdsl.search.store.progress import State, Watcher, silent
from archdsl.search.store.result import Result
from tests.support.fake_worker import Machine

RANDOM = Policy(samplers=SamplerPolicy(startup=1000), evolution=EvolutionPolicy(least=1000))
"""Points are drawn at random, which takes the least time; models have tests of their own."""

SPACE: dict[str, Any] = {
    "kind": "space",
    "version": 1,
    "name": "tiny",
    "image": 32,
    "classes": 10,
    "nodes": [
        {"id": "stem", "type": "patch_stem", "width": {"$one_of": [16, 32, 48, 64], "$name": "w"}},
        {
            "id": "stage1",
            "type": "mlp",
            "depth": {"$int": [1, 4], "$name": "d1"},
            "mlp": {"$one_of": [{"type": "plain"}, {"type": "dwconv"}], "$name": "mlp"},
        },
        {"id": "merge1", "type": "deformable_merge", "width": {"$expr": "2 * w"}},
        {
            "id": "stage2",
            "$one_of": [
                {"type": "mlp", "depth": {"$int": [1, 4], "$name": "d2"}},
                {
                    "type": "hilo",
                    "depth": {"$int": [1, 4], "$name": "d2"},
                    "heads": 4,
                    "window": 2,
                    "alpha": {"$one_of": [0.25, 0.5, 0.75]},
                },
            ],
        },
        {"id": "head", "type": "mean_head"},
    ],
}


def settings(**changes: Any) -> Settings:
    """Of a search of the small space."""
    plain = {"space": SPACE, "device": "cpu", "stat": "p10", "latency_budget_ms": 6.0, "trials": 12}
    return Settings(**{**plain, **changes})


def search(
    folder: Path,
    machine: Machine | None = None,
    resume: bool = False,
    watcher: Watcher = silent,
    policy: Policy = RANDOM,
    **changes: Any,
) -> Result:
    """A whole search with fake workers."""
    new_worker = (machine or Machine()).worker
    return run_search(settings(**changes), folder, resume, watcher, new_worker=new_worker, policy=policy)


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]


def trials(folder: Path) -> list[dict[str, Any]]:
    return [record for record in records(folder) if record["rung"] != "train_longer"]


def after(count: int, what: str, error: BaseException) -> tuple[Machine, Any]:
    """A machine on which the request of a kind fails, once, after so many that did not."""
    machine, left = Machine(), [count]

    def on_ask(request: dict[str, Any]) -> None:
        if request["do"] == what:
            left[0] -= 1
            if left[0] == -1:
                raise error

    machine.on_ask = on_ask
    return machine, left


def when_training(count: int, act: Any) -> Machine:
    """A machine that does something before its training of this number, once."""
    machine = Machine()

    def on_ask(request: dict[str, Any]) -> None:
        if request["do"] == "train" and len(machine.names("train")) == count:
            machine.on_ask = None
            act()

    machine.on_ask = on_ask
    return machine


def quicken(patch: pytest.MonkeyPatch, cache: Path) -> None:
    """An empty cache, and studies in memory; the rest has tests of its own."""
    stores: dict[str, InMemoryStorage] = {}
    patch.setenv("ARCHDSL_CACHE", str(cache))
    patch.setattr(os, "fsync", lambda file: None)  # no test has a power cut
    patch.setattr(quiet_moment, "other_cores", lambda seconds: 0.0)  # or a quiet moment of this machine is waited for
    patch.setattr(study, "open_storage", lambda url, locked_s: stores.setdefault(url, InMemoryStorage()))


class Lines:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.state: State | None = None

    def __call__(self, state: State, line: str | None) -> None:
        self.state = state
        if line is not None:
            self.told.append(line)
