"""Proxy checks with fake workers, and records of networks whose accuracies are made."""

from __future__ import annotations

import random
from typing import Any

from archdsl.json_types import JsonObject
from archdsl.search.proxy_check.check import Check
from archdsl.search.proxy_check.networks import CheckedNetwork, CheckFacts, CheckTraining
from archdsl.search.proxy_check.result import Accuracies, CheckRequest, CheckResult, Judgement, Ranking
from archdsl.search.training_record import Training
from archdsl.search.worker.scores.every import NAMES
from tests.support.devices import fake_device
from tests.support.searching import settings

DATA = CheckFacts(provenance=fake_device(), data="fake: 10 images", validation=1000, held_out=1000)


def asked(networks: int = 10, **changes: Any) -> Check:
    plain = {"latency_budget_ms": None, "trials": None}
    return Check(settings=settings(**{**plain, **changes}), networks=networks)


def trained(
    number: int, accuracies: tuple[float, ...], scores: float, losses: tuple[float, ...], width: int | None = None
) -> CheckedNetwork:
    """A network; the scores are all the same, and so is the running loss of a training."""
    trainings = tuple(training(accuracy, loss) for accuracy, loss in zip(accuracies, losses, strict=True))
    node: JsonObject = {"id": "stage", "type": "mlp"} | ({} if width is None else {"width": width})
    return CheckedNetwork(
        number,
        str(number),
        {"name": f"net-{number}", "nodes": [node]},
        params=1,
        macs=1,
        scores=dict.fromkeys(NAMES, scores),
        trainings=trainings,
        score_seconds={"snip": 0.2, "flow": 0.3},
    )


def training(accuracy: float, loss: float, **changes: Any) -> CheckTraining:
    """Of a minute, as accurate on held-out images."""
    facts = {"fidelity": "6 epochs", "seconds": 60.0, "held_out": accuracy, "running": (loss,) * 20}
    return CheckTraining(accuracy, Training(**{**facts, **changes}))


def networks(noise: float = 0.005, seed: int = 0) -> list[CheckedNetwork]:
    """Twelve, from 20 % to 75 % accurate, perfectly ranked by every score and every loss."""
    rng = random.Random(seed)
    records = []
    for number in range(12):
        middle = 0.2 + 0.05 * number
        accuracies = (middle + rng.gauss(0, noise), middle + rng.gauss(0, noise))
        records.append(trained(number, accuracies, float(number), (4 - middle, 4 - middle)))
    return records


def whole(judgement: Judgement, interrupted: bool = False) -> CheckResult:
    """The result of a check whose networks tell this."""
    request = CheckRequest(
        space="tiny",
        space_sha256="",
        networks=12,
        seeds=2,
        budgets={"params": 8e6, "memory": 1e6},
        device="cpu",
        threads=None,
        epochs=6.0,
        images=10,
        seed=0,
        earlier=(),
    )
    return CheckResult(request, not interrupted, interrupted, DATA, judgement)


def ranking_of(judgement: Judgement) -> Ranking:
    """The ranking of networks that are not refused."""
    assert judgement.refused is None
    assert judgement.ranking is not None
    return judgement.ranking


def accuracies_of(judgement: Judgement) -> Accuracies:
    """Of networks that are enough."""
    assert judgement.accuracies is not None
    return judgement.accuracies
