"""Proxy checks with fake workers, and records of networks whose accuracies are made."""

from __future__ import annotations

import random
from typing import Any

from archdsl.search.proxy_check.check import Check
from archdsl.search.worker.scores.every import NAMES
from tests.support.searching import settings

Record = dict[str, Any]
DATA = {"validation": 1000, "held_out": 1000}


def asked(networks: int = 10, **changes: Any) -> Check:
    plain = {"latency_budget_ms": None, "trials": None}
    return Check(settings=settings(**{**plain, **changes}), networks=networks)


def trained(number: int, accuracies: tuple[float, ...], scores: float, losses: tuple[float, ...]) -> Record:
    """A record; the scores are all the same, and so is the running loss of a training."""
    trainings = [
        {"accuracy": accuracy, "held_out": accuracy, "running": [loss] * 20, "seconds": 60.0, "fidelity": "6 epochs"}
        for accuracy, loss in zip(accuracies, losses, strict=True)
    ]
    spec = {"name": f"net-{number}", "nodes": [{"id": "stage", "type": "mlp"}]}
    found = {"number": number, "hash": str(number), "spec": spec, "reason": None, "trainings": trainings}
    return found | {"scores": dict.fromkeys(NAMES, scores), "seconds": {"snip": 0.2, "flow": 0.3}}


def networks(noise: float = 0.005, seed: int = 0) -> list[Record]:
    """Twelve, from 20 % to 75 % accurate, perfectly ranked by every score and every loss."""
    rng = random.Random(seed)
    records = []
    for number in range(12):
        middle = 0.2 + 0.05 * number
        accuracies = (middle + rng.gauss(0, noise), middle + rng.gauss(0, noise))
        records.append(trained(number, accuracies, float(number), (4 - middle, 4 - middle)))
    return records


KNOWN = {
    "asked": {"space": "tiny", "seeds": 2, "budgets": {"params": 8e6, "memory": 1e6}, "device": "cpu"},
    **DATA,
    "data": "fake: 10 images",
    "provenance": {"device_name": "a machine"},
}
