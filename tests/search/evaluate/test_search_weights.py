"""The weights of a search: which files exist, which are handed over, and what is said of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archdsl.load.specs import spec_of
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.finalists import Finalists
from archdsl.search.evaluate.kept_weights import weights_of
from archdsl.search.evaluate.rungs import load_data
from archdsl.search.evaluate.short_training import short_training
from archdsl.search.evaluate.trainings import trainings_in
from archdsl.search.evaluate.trial_run import new_trial
from archdsl.search.loaded_data import DataRequest
from archdsl.search.predict.predictors import Predictors
from archdsl.search.propose.proposals import first_candidate
from archdsl.search.store.clock import Clock
from archdsl.search.store.folder import RunFolder
from archdsl.search.trial import Trial
from archdsl.search.worker.machine_options import MachineOptions
from archdsl.search.worker.process import Failed, OutOfTime
from archdsl.spaces.space import Space
from tests.support.devices import fake_device
from tests.support.fake_weights import fake_named
from tests.support.fake_worker import Machine
from tests.support.searching import RANDOM, SPACE, quicken, records, search, settings, when_training


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


def opened(folder: Path, machine: Machine, **changes: Any) -> Context:
    """A search over the folder of one that ended, before it does anything, with the data loaded."""
    context = Context(settings(**changes), RANDOM, RunFolder(folder), is_resumed=True, new_worker=machine.worker)
    context.data = load_data(machine.worker(), DataRequest("fake", 32, 0, 2000), fake_device(), RANDOM.silence)
    return context


def files(folder: Path) -> set[str]:
    return {path.name for path in (folder / "weights").iterdir()}


def test_the_weights_of_finalists_and_of_the_front_are_kept_and_no_others(tmp_path: Path) -> None:
    machine, most = Machine(), []
    machine.seed_noise = 0.02
    machine.on_ask = lambda request: most.append(len(files(tmp_path)) if (tmp_path / "weights").is_dir() else 0)
    result = search(tmp_path, machine, trials=30)
    longer = [record for record in records(tmp_path) if record["rung"] == "train_longer"]
    finalists = {record["hash"] for record in longer}
    best = {}
    for record in longer:
        trainings = record["provenance"]["proxy"]["trainings"]
        best[record["hash"]] = max(trainings, key=lambda training: training["accuracy"])["seed"]
    shorter = {record["hash"] for record in records(tmp_path) if record["accuracy"] is not None} - finalists
    kept = {name.split("-")[0]: name for name in files(tmp_path)}
    assert {name: file for name, file in kept.items() if name in finalists} == {
        name: f"{name}-{seed}-6.safetensors" for name, seed in best.items()
    }
    assert set(kept) - finalists <= shorter
    assert {trial.network_hash for trial in result.front} <= set(kept)
    assert max(most) <= 6 + len(result.front) + 8  # not a file a trial


def test_what_is_handed_over_is_the_seed_of_the_best_validation_accuracy(tmp_path: Path) -> None:
    machine = Machine()
    machine.seed_noise, machine.hidden = 0.02, 0.1
    search(tmp_path, machine)
    context = opened(tmp_path, machine)
    several = next(r for r in reversed(context.records) if r.training is not None and len(r.training.per_seed) == 3)
    before = len(machine.names("train"))
    kept = weights_of(context, several)
    assert several.training is not None
    trainings = several.training.per_seed
    assert kept.path.is_file()
    assert kept.seed == 1  # the odd one is the more accurate one here
    assert kept.validation_accuracy == trainings[1].accuracy
    assert kept.held_out_accuracy == pytest.approx(trainings[1].accuracy - 0.1) == kept.accuracy
    assert (kept.validation_images, kept.held_out_images, len(kept.answers)) == (100, 100, 100)
    assert kept.fidelity == "6 epochs of 10 images"
    accuracies = [training.accuracy for training in trainings]
    assert kept.trained_seeds == pytest.approx((3, sum(accuracies) / 3, min(accuracies), max(accuracies)))
    assert kept.per_class["validation"] is not None
    assert sum(right for right, _ in kept.per_class["validation"].values()) == sum(kept.answers)
    assert len(machine.names("train")) == before


def test_a_network_that_was_not_trained_longer_hands_over_its_short_training(tmp_path: Path) -> None:
    machine = Machine()
    search(tmp_path, machine)
    context = opened(tmp_path, machine)
    longer = {record.network_hash for record in context.records if record.is_longer}
    short = next(record for record in Finalists(context).ranked() if record.network_hash not in longer)
    kept = weights_of(context, short)
    assert (kept.seed, kept.fidelity, kept.trained_seeds.number) == (0, "2 epochs of 10 images", 1)
    assert kept.validation_accuracy == short.accuracy


def test_weights_that_are_not_here_are_trained_again_as_long_and_with_the_same_seed(tmp_path: Path) -> None:
    machine = Machine()
    machine.seed_noise = 0.02
    search(tmp_path / "run", machine)
    cached = Machine()
    cached.seed_noise = 0.02
    search(tmp_path / "again", cached)
    context = opened(tmp_path / "again", cached)
    record = Finalists(context).ranked()[0]
    assert cached.names("train") == [record.name]  # the winner's, since the cache holds no weights
    (tmp_path / "again" / "weights").rename(tmp_path / "aside")
    cached.asked.clear()
    kept = weights_of(context, record)
    asked = [request for request in cached.asked if request["do"] == "train"]
    assert [(request["seed"], request["epochs"], request["keep"]) for request in asked] == [(1, 6.0, str(kept.path))]
    assert context.state.doing.startswith("training tiny-")
    assert weights_of(context, record) == kept
    assert len(cached.names("train")) == 1
    kept.path.write_bytes(b"damaged")
    assert weights_of(context, record) == kept
    assert len(cached.names("train")) == 2


def test_no_time_or_no_room_to_train_again_is_told(tmp_path: Path) -> None:
    search(tmp_path, Machine())
    machine = Machine()
    context = opened(tmp_path, machine)
    record = Finalists(context).ranked()[0]
    kept = weights_of(context, record)
    kept.path.unlink()
    machine.finished = False
    context.clock = Clock(settings(time_s=1.0), RANDOM, spent=5.0)
    with pytest.raises(OutOfTime):
        weights_of(context, record)
    assert machine.asked[-1]["seconds"] == 1
    machine.finished = True
    kept.path.parent.rename(tmp_path / "aside")
    kept.path.parent.write_text("no folder")
    with pytest.raises((Failed, OSError)):
        weights_of(context, record)
    with pytest.raises(Failed, match="was not trained in this search"):
        weights_of(context, replace(record, network_hash="0"))


def test_a_killed_search_leaves_no_weights_behind(tmp_path: Path) -> None:
    def killed() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        search(tmp_path, when_training(4, killed), trials=6)
    before = files(tmp_path)
    odd = tmp_path / "weights" / f"{'0' * 16}-0-2.safetensors"
    partial = tmp_path / "weights" / f".{odd.name}.77.partial"
    for left in (odd, partial):
        left.write_bytes(b"left by a kill")
    (tmp_path / "weights" / "notes.txt").write_text("of the user")
    search(tmp_path, Machine(), resume=True, trials=6)
    assert before
    assert not {odd.name, partial.name} & files(tmp_path)
    assert "notes.txt" in files(tmp_path)


def test_a_resumed_search_goes_on_with_the_weights_that_are_there(tmp_path: Path) -> None:
    search(tmp_path, Machine(), trials=4)
    machine = Machine()
    search(tmp_path, machine, resume=True, trials=8)
    context = opened(tmp_path, machine)
    before = len(machine.names("train"))
    for record in Finalists(context).ranked():
        assert weights_of(context, record).path.is_file()
    assert len(machine.names("train")) == before


def test_a_machine_that_trains_for_others_keeps_no_weights(tmp_path: Path) -> None:
    machine = Machine()
    context = opened_for_training(tmp_path, machine)
    record = begun_record()
    predictors = Predictors([], RANDOM, None, None, context.space.objectives)
    trained = short_training(context, predictors, context.worker, spec_of(record.document), context.settings, record)
    assert trained.accuracy is not None
    assert [request["keep"] for request in machine.asked if request["do"] == "train"] == [None]


def opened_for_training(folder: Path, machine: Machine) -> Context:
    search(folder, machine, trials=1)
    machine.asked.clear()
    for file in (folder / "cache").rglob("*.json"):
        file.unlink()
    context = Context(
        settings(),
        RANDOM,
        RunFolder(folder),
        is_resumed=True,
        new_worker=machine.worker,
        options=MachineOptions(role="train"),
    )
    context.data = load_data(machine.worker(), DataRequest("fake", 32, 0, 2000), fake_device(), RANDOM.silence)
    return context


def begun_record() -> Trial:
    space = Space.model_validate(SPACE)
    found = first_candidate(space, settings(), RANDOM.drawing)
    return replace(new_trial(found, 0), latency_ms=1.0)


def test_the_networks_of_an_earlier_version_are_trained_again(tmp_path: Path) -> None:
    """Its records tell neither epochs nor answers."""
    search(tmp_path, Machine())
    machine = Machine()
    context = opened(tmp_path, machine)
    record = Finalists(context).ranked()[0]
    context.records = [Trial.from_json(as_earlier(each.as_json())) for each in context.records]
    for file in (tmp_path / "weights").iterdir():
        file.unlink()
    kept = weights_of(context, record)
    assert [request["epochs"] for request in machine.asked if request["do"] == "train"] == [6.0]
    assert (kept.fidelity, len(kept.answers)) == ("6 epochs of 10 images", 100)
    context.data = None
    context.records = [
        replace(each, training=replace(each.training, epochs=6.0)) if each.training is not None else each
        for each in context.records
    ]
    assert weights_of(context, record) == kept
    kept.path.unlink()
    with pytest.raises(Failed, match="ended before the data was loaded"):
        weights_of(context, record)


def as_earlier(record: Any) -> Any:
    """A record as an earlier version wrote it."""
    proxy = record["provenance"].get("proxy", {})
    for facts in (proxy, *proxy.get("trainings", ())):
        for name in ("epochs", "batch", "answers", "validation_images", "held_out_images"):
            facts.pop(name, None)
    return record


def test_answers_are_kept_with_every_training(tmp_path: Path) -> None:
    search(tmp_path, Machine())
    for record in records(tmp_path):
        if record["accuracy"] is None:
            continue
        proxy = record["provenance"]["proxy"]
        accuracies = [record["accuracy"]] if "trainings" not in proxy else [t["accuracy"] for t in proxy["trainings"]]
        trainings = proxy.get("trainings", [proxy])
        for training, accuracy in zip(trainings, accuracies, strict=True):
            assert training["answers"] == fake_named(accuracy)["answers"]
        assert (proxy["validation_images"], proxy["held_out_images"]) == (100, 100)
    earlier = {**record, "provenance": {"proxy": {"fidelity": "of an earlier version"}}}
    assert trainings_in(Trial.from_json(earlier)) == []


def test_a_shortened_training_is_done_again_for_its_real_length(tmp_path: Path) -> None:
    machine = Machine()
    machine.most_steps = 2
    search(tmp_path, machine, time_s=600.0)
    context = opened(tmp_path, machine)
    record = next(record for record in reversed(context.records) if record.is_longer)
    assert record.training is not None
    assert (record.training.epochs, record.training.planned_epochs) == (3.2, 6.0)
    for file in (tmp_path / "weights").iterdir():
        file.unlink()
    assert weights_of(context, record).epochs == 3.2
    asked = machine.asked[-1]
    assert (asked["do"], asked["epochs"], asked["least_steps"]) == ("train", pytest.approx(3.2), None)
