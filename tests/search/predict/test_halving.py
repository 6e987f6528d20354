"""Successive halving: whose training goes on, and what a search makes of those that were broken off."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archdsl.search.policy import SHIPPED
from archdsl.search.predict.early_stopping import EarlyStopping
from archdsl.search.predict.surrogate import NetworkFeatures
from archdsl.search.training_record import Training
from archdsl.search.trial import Trial
from archdsl.search.worker.scores.every import NAMES
from tests.support.fake_worker import Machine
from tests.support.searching import Lines, quicken, search
from tests.support.trials import trial

Record = dict[str, Any]
OBJECTIVES = ("max proxy_accuracy", "min latency")
ENOUGH = SHIPPED.early_stopping.enough


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


def trained(latency: float, loss: float, accuracy: float | None, marks: int = 20) -> Trial:
    return trial(latency_ms=latency, accuracy=accuracy, training=Training(running=(loss,) * marks))


def measured(latency: float, **changes: Any) -> Trial:
    return trial(latency_ms=latency, **changes)


def halving(latencies: float = 1.0, trials: int = ENOUGH, objectives: tuple[str, ...] = OBJECTIVES) -> EarlyStopping:
    """Has seen losses of 2.0, 2.1 and so on, the lower the more accurate."""
    found = EarlyStopping(objectives, SHIPPED)
    for number in range(trials):
        found.learn(trained(latencies, 2 + 0.1 * number, 0.9 - 0.05 * number))
    return found


def losses_of(found: EarlyStopping, candidate: Trial) -> dict[int, float]:
    return found.limits(candidate)


def test_a_loss_must_be_in_the_better_half_of_its_rivals() -> None:
    limits = losses_of(halving(), measured(2.0))
    assert limits == {4: pytest.approx(2.35), 10: pytest.approx(2.35)}


def test_rivals_are_those_that_cost_no_more() -> None:
    assert halving(latencies=1.0).limits(measured(0.9)) == {}
    assert halving(latencies=1.0, objectives=("max proxy_accuracy",)).limits(measured(0.9))


def test_nobody_is_broken_off_before_enough_were_trained_or_for_another_objective_alone() -> None:
    assert halving(trials=ENOUGH - 1).limits(measured(2.0)) == {}
    assert halving(objectives=("min latency",)).limits(measured(2.0)) == {}


def test_a_loss_that_does_not_rank_well_here_breaks_nothing_off() -> None:
    found = EarlyStopping(OBJECTIVES, SHIPPED)
    for number in range(2 * ENOUGH):
        found.learn(trained(1.0, 2 + 0.1 * ((7 * number) % 16), 0.5 + 0.01 * number))
    assert found.forecast(4) is not None
    assert found.limits(measured(2.0)) == {}


def test_trainings_that_were_broken_off_are_rivals_as_far_as_they_came() -> None:
    found = halving()
    for _ in range(4):
        found.learn(trained(1.0, 3.0, None, marks=4))
    assert losses_of(found, measured(2.0)) == {4: pytest.approx(2.55), 10: pytest.approx(2.35)}
    forecast = found.forecast(4)
    assert forecast is not None
    assert forecast.correlation == pytest.approx(1.0)


def test_trials_that_were_not_trained_teach_nothing() -> None:
    found = halving(trials=ENOUGH - 1)
    for training in (None, Training(), Training(fidelity="2 epochs")):
        found.learn(measured(1.0, accuracy=0.5, training=training))
    assert found.limits(measured(2.0)) == {}


def scored(loss: float, accuracy: float, params: float) -> Trial:
    """One of which the scores tell nothing but `params`."""
    return replace(trained(1.0, loss, accuracy), scores=dict.fromkeys(NAMES, 1.0) | {"params": params})


def beside_scores() -> EarlyStopping:
    """Has seen accuracies that are made of the loss and of the params, neither of which tells them alone."""
    found, generator = EarlyStopping(OBJECTIVES, SHIPPED), random.Random(0)
    for params in generator.sample(range(100, 140), 40):
        loss = generator.uniform(2, 3)
        found.learn(scored(loss, 0.02 * params - 0.8 * loss, params))
    return found


def test_a_loss_beside_the_scores_promises_more_than_either_alone() -> None:
    found = beside_scores()
    forecast = found.forecast(4, NetworkFeatures({}, dict.fromkeys(NAMES, 1.0) | {"params": 120.0}))
    assert forecast is not None
    assert forecast.name == "running loss beside the scores"
    alone = found.forecast(4)
    assert alone is not None
    assert (alone.name, forecast.correlation > 0.9 > alone.correlation) == ("running loss", True)


def test_a_network_of_better_scores_may_go_on_with_a_higher_loss() -> None:
    found, limits = beside_scores(), []
    for params in (110.0, 120.0, 130.0):
        candidate = measured(2.0, scores=dict.fromkeys(NAMES, 1.0) | {"params": params})
        limits.append(losses_of(found, candidate)[4])
    assert limits[0] < limits[1] < limits[2]


def test_the_limit_is_the_loss_that_promises_the_median_of_the_rivals() -> None:
    found, scores = beside_scores(), dict.fromkeys(NAMES, 1.0) | {"params": 120.0}
    forecast = found.forecast(10, NetworkFeatures({}, scores))
    assert forecast is not None
    limit = losses_of(found, measured(2.0, scores=scores))[10]
    assert np.interp(limit, forecast.losses, forecast.levels) == pytest.approx(float(np.median(forecast.values)))
    assert forecast.levels[0] > np.median(forecast.values) > forecast.levels[-1]


# ------------------------------------------------------------------------------------------------------- in a search


def records(folder: Path) -> list[Record]:
    return [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]


def telling() -> Machine:
    """Losses tell the accuracies, from the first step on."""
    machine = Machine()
    machine.losses_tell = True
    return machine


WIDE: dict[str, Any] = {"latency_budget_ms": 100.0, "trials": 40, "sampler": "random"}


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Lines]:
    """The folder of a search whose losses tell, and what it said."""
    place, lines = tmp_path_factory.mktemp("halved"), Lines()
    with pytest.MonkeyPatch.context() as patch:
        quicken(patch, place / "cache")
        search(place / "run", telling(), watcher=lines, **WIDE)
    return place / "run", lines


def test_a_search_breaks_off_the_trainings_of_networks_that_learn_worse_than_faster_ones(
    halved: tuple[Path, Lines],
) -> None:
    folder, lines = halved
    fell = [record for record in records(folder) if record["rung"] == "halving"]
    assert fell
    for record in fell:
        assert (record["outcome"], record["accuracy"]) == ("fell", None)
        assert record["provenance"]["proxy"]["halted"] == 4
        assert len(record["provenance"]["proxy"]["running"]) == 4
        assert record["reason"].startswith("stopped at 20 %: running loss ")
        assert record["reason"].endswith(", the level forecast for the median equal-or-cheaper network")
    assert lines.state is not None
    assert lines.state.funnel["halving"] == len(fell)


def test_what_is_broken_off_would_not_have_been_on_the_front(halved: tuple[Path, Lines], tmp_path: Path) -> None:
    """Of the very same networks, all trained to the end: a faster one is more accurate."""
    search(tmp_path / "whole", Machine(), **{**WIDE, "seed": 0})
    front = json.loads((tmp_path / "whole" / "front.json").read_text())
    fell = {record["hash"] for record in records(halved[0]) if record["rung"] == "halving"}
    assert fell
    assert not fell & {record["hash"] for record in front}


def test_a_resumed_search_breaks_off_what_the_uninterrupted_one_would(
    halved: tuple[Path, Lines], tmp_path: Path
) -> None:
    search(tmp_path / "parts", telling(), **{**WIDE, "trials": 25})
    search(tmp_path / "parts", telling(), resume=True, **WIDE)
    ends = [
        [(record["hash"], record["rung"]) for record in records(folder) if record["rung"] != "train_longer"]
        for folder in (halved[0], tmp_path / "parts")
    ]
    assert ends[0] == ends[1]
    assert any(rung == "halving" for _, rung in ends[0])
