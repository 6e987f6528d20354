"""The finalists' seeds, and the images that nothing was chosen by."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from archdsl.render.verdict import held_out_text
from archdsl.search.evaluate.held_out import held_out
from archdsl.search.store.winner import HeldOutAccuracy
from archdsl.search.training_record import SeedAccuracy, Training
from archdsl.search.trial import Rung, Trial
from tests.support.fake_worker import Machine
from tests.support.searching import quicken, search
from tests.support.trials import trial

Record = dict[str, Any]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


def records(folder: Path, rung: str = "train_longer") -> list[Record]:
    lines = (folder / "trials.jsonl").read_text().splitlines()
    return [record for line in lines if (record := json.loads(line))["rung"] == rung]


def test_the_most_accurate_are_finalists_and_the_better_half_of_each_round_goes_on(tmp_path: Path) -> None:
    machine = Machine()
    machine.seed_noise = 0.02
    search(tmp_path, machine)
    longer = records(tmp_path)
    names = [record["spec"]["name"] for record in longer]
    trained = [record for rung in ("train", "winner") for record in records(tmp_path, rung) if record["inside_budget"]]
    trained.sort(key=lambda record: (-record["accuracy"], record["latency"]))
    assert names[:6] == [record["spec"]["name"] for record in trained[:6]]
    first = {record["spec"]["name"]: record["accuracy"] for record in longer[:6]}
    assert names[6:9] == sorted(names[:6], key=lambda name: -first[name])[:3]
    assert set(names[9:]) < set(names[6:9])
    asked = [request for request in machine.asked if request["do"] == "train"][-11:]
    assert [request["seed"] for request in asked] == [0] * 6 + [1] * 3 + [2] * 2
    last = longer[-1]["provenance"]["proxy"]
    accuracies = [training["accuracy"] for training in last["trainings"]]
    assert last["spread"] == pytest.approx(0.02) == max(accuracies) - min(accuracies)
    assert longer[-1]["accuracy"] == pytest.approx(sum(accuracies) / 3)


def test_a_resumed_search_trains_finalists_with_the_seeds_that_are_missing(tmp_path: Path) -> None:
    search(tmp_path, Machine())
    file = tmp_path / "trials.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:-4]))
    (tmp_path / "verdict.json").unlink()
    search(tmp_path, Machine(), resume=True)
    assert file.read_bytes().count(b"train_longer") == 11
    assert [len(record["provenance"]["proxy"]["trainings"]) for record in records(tmp_path)] == [
        1,
        1,
        1,
        1,
        1,
        1,
        2,
        2,
        2,
        3,
        3,
    ]


def test_the_winner_is_told_by_its_accuracy_on_what_is_held_out(tmp_path: Path) -> None:
    machine = Machine()
    machine.seed_noise = 0.02
    result = search(tmp_path, machine)
    assert result.verdict.record is not None
    last_record = [record for record in records(tmp_path) if record["hash"] == result.verdict.record.network_hash][-1]
    assert result.held_out is not None
    assert result.held_out.mean == pytest.approx(last_record["accuracy"] - 0.02)
    assert result.held_out.accuracy == result.held_out.most  # the seed that is best on the validation images
    assert result.held_out.seeds == 3
    assert (result.held_out.most or 0.0) - (result.held_out.least or 1.0) == pytest.approx(0.02)
    assert json.loads((tmp_path / "verdict.json").read_text())["held_out"] == asdict(result.held_out)
    assert result.as_json()["held_out"] == asdict(result.held_out)


def test_no_choice_depends_on_what_is_held_out(tmp_path: Path) -> None:
    """Held-out accuracies turned upside down change nothing but what is told of the winner."""
    ends = []
    for name, hidden in (("one", 0.02), ("other", -0.9)):
        machine = Machine()
        machine.hidden = hidden
        result = search(tmp_path / name, machine, trials=12)
        assert result.winner is not None
        order = [record["spec"]["name"] for record in records(tmp_path / name, "train")]
        ends.append((result.winner, [trial.network_hash for trial in result.front], order))
        patch = tmp_path / "cache"
        for file in patch.rglob("*.json"):
            file.unlink()
    assert ends[0] == ends[1]


def record(rung: Rung, found: float | None, accuracy: float | None = 0.5, **facts: Any) -> Trial:
    training = Training(**{"fidelity": "2 epochs", "held_out": found, **facts})
    return trial(rung=rung, accuracy=accuracy, training=training)


def test_the_longest_training_counts_and_a_short_one_where_there_is_no_other() -> None:
    short = record("train", 0.4)
    several = SeedAccuracy(0, 0.5, 0.6), SeedAccuracy(1, 0.5, 0.7)
    longer = record("train_longer", 0.7, per_seed=several, fidelity="6 epochs")
    assert held_out([short], "a") == HeldOutAccuracy(0.4, least=0.4, most=0.4, seeds=1, fidelity="2 epochs")
    found = held_out([short, longer], "a")
    assert found is not None
    assert found.accuracy == pytest.approx(0.65)
    assert (found.seeds, found.fidelity) == (2, "6 epochs")


def test_nothing_is_told_of_networks_that_were_not_trained_or_where_nothing_is_held_out() -> None:
    assert held_out([record("latency", 0.4, accuracy=None)], "a") is None
    assert held_out([record("train", None)], "a") is None
    assert held_out([record("train", 0.4)], "b") is None
    assert held_out([], None) is None


def test_the_screen_says_what_the_winner_reaches_on_images_that_no_choice_has_seen() -> None:
    found = HeldOutAccuracy(0.612, least=0.598, most=0.63, seeds=3, fidelity="6 epochs of 2,000 images")
    assert held_out_text(found) == (
        "accuracy on held-out images, not used for training or selection: 61.2 %, the mean over 3 seeds (59.8 % to "
        "63.0 %), after 6 epochs of 2,000 images"
    )
    kept = replace(found, error=0.015, images=1000, mean=0.61)
    assert held_out_text(kept) == (
        "accuracy of winner.safetensors on 1,000 held-out images, not used for training or selection: 61.2 ± 1.5 %, "
        "after 6 epochs of 2,000 images; the mean over 3 seeds (59.8 % to 63.0 %) is 61.0 %"
    )
    assert "mean" not in held_out_text(replace(kept, seeds=1))
