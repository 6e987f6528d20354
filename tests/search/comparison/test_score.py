"""Any network in the table of a run: measured and trained as the run's own networks were."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from archdsl import load_spec
from archdsl.cli import main
from archdsl.errors import SearchError, WrongUse
from archdsl.json_types import objects_in
from archdsl.render.comparison import comparison
from archdsl.search import score
from archdsl.search.comparison.result import Scores, against_winner
from archdsl.search.evaluate.trainings import SeedTraining
from archdsl.search.store import cache
from archdsl.search.store.folder import RunFolder
from archdsl.search.store.parent import PARENT_WEIGHTS, Parent, ParentAccuracy, keep_parent
from archdsl.search.worker.machine_options import MachineOptions
from archdsl.search.worker.process import Failed
from tests.support.searching import RANDOM, Machine, latency_of, quicken, records, search

NET: dict[str, Any] = {
    "kind": "arch",
    "version": 1,
    "name": "my_net",
    "image": 32,
    "nodes": [
        {"id": "stem", "type": "patch_stem", "width": 40},
        {"id": "stage", "type": "mlp", "depth": 3},
        {"id": "head", "type": "mean_head"},
    ],
}
LARGE = {**NET, "name": "large", "nodes": [{**NET["nodes"][0], "width": 160}, *NET["nodes"][1:]]}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search of the small space."""
    folder = tmp_path_factory.mktemp("searched") / "run"
    with pytest.MonkeyPatch.context() as patch:
        quicken(patch, folder.parent / "cache")
        search(folder)
    return folder


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path / "cache"))


def scored(run: Path, *networks: Any, machine: Machine | None = None, **options: Any) -> Scores:
    return score(networks, like=run, policy=RANDOM, new_worker=(machine or Machine()).worker, **options)


def shown(scores: Scores) -> str:
    console = Console(width=160, color_system=None)
    with console.capture() as capture:
        console.print(comparison(scores), soft_wrap=True)
    return capture.get()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_network_is_measured_and_trained_as_the_candidates_of_the_run_were(run: Path) -> None:
    machine = Machine()
    scores = scored(run, NET, machine=machine)
    asked = {request["do"]: request for request in machine.asked}
    gate_ms = json.loads((run / "noise.json").read_text())["gate_ms"]
    searched = Machine()
    search(run.parent / "again", searched)
    candidate = next(request for request in searched.asked if request["do"] == "train")
    assert asked["measure"]["gate_ms"] == gate_ms
    assert {name: asked["train"][name] for name in ("epochs", "batch", "images", "seed", "device", "data")} == {
        name: candidate[name] for name in ("epochs", "batch", "images", "seed", "device", "data")
    }
    assert asked["train"]["limits"] == ()
    (network,) = scores.networks
    assert network.trial is not None
    assert network.trial.document["classes"] == 10
    assert network.trial.latency_ms == pytest.approx(latency_of(load_spec(network.trial.document)))


def test_the_rank_is_the_place_by_accuracy_in_the_table_of_the_run(run: Path) -> None:
    best = json.loads((run / "front.json").read_text())
    (small,) = scored(run, NET).networks
    assert small.trial is not None
    more_accurate = sum(row["accuracy"] > (small.trial.accuracy or 0) for row in best)
    assert small.rank == 1 + more_accurate > 1


def test_several_networks_are_ranked_among_each_other_too(run: Path) -> None:
    best = [row["accuracy"] for row in json.loads((run / "front.json").read_text())]
    networks = scored(run, NET, LARGE).networks
    accuracies = [network.trial.accuracy or 0.0 for network in networks if network.trial is not None]
    for network, mine in zip(networks, accuracies, strict=True):
        assert network.rank == 1 + sum(accuracy > mine for accuracy in [*best, *accuracies])


def test_the_table_has_the_network_marked_among_the_rows_of_the_run(run: Path) -> None:
    text = shown(scored(run, NET))
    rows = [line for line in text.splitlines() if line.startswith("->")]
    assert len(rows) == 2, text  # the row, and the legend
    assert "my_net" in rows[0]
    assert "(winner)" in text
    assert "inside the budget of 6 ms" in text
    assert "McNemar's test on 100 validation images, two standard errors" in text


def test_a_network_over_the_budget_is_trained_and_said_to_be_over_it(run: Path) -> None:
    (large,) = scored(run, LARGE).networks
    assert large.trial is not None
    assert large.trial.accuracy is not None
    assert large.over_budget is not None
    assert large.over_budget.endswith("exceeds the budget of 6 ms")
    assert large.as_json()["inside_budget"] is False


def test_nothing_in_the_folder_of_the_run_is_changed(run: Path) -> None:
    with (run / "trials.jsonl").open("ab") as file:
        file.write(b'{"cut off')
    before = contents(run)
    try:
        scored(run, NET, longer=True)
        assert contents(run) == before
    finally:
        whole = before[str(run / "trials.jsonl")].removesuffix(b'{"cut off')
        (run / "trials.jsonl").write_bytes(whole)


def test_what_was_trained_before_comes_from_the_cache(run: Path) -> None:
    scored(run, NET)
    machine = Machine()
    (again,) = scored(run, NET, machine=machine).networks
    assert machine.names("train") == []
    assert machine.names("measure") == ["my_net"]
    assert again.trial is not None
    assert again.trial.outcome == "cached"
    assert cache.contents().results == 1


def test_longer_training_has_the_length_and_the_seeds_of_the_winner(run: Path) -> None:
    outcome = json.loads((run / "verdict.json").read_text())
    longer = [record for record in records(run) if record["rung"] == "train_longer"]
    winner = [record for record in longer if record["hash"] == outcome["hash"]][-1]
    (network,) = scored(run, NET, longer=True).networks
    assert network.longer is not None
    assert network.longer.training is not None
    assert network.longer.training.fidelity == winner["provenance"]["proxy"]["fidelity"]
    seeds = [each["seed"] for each in winner["provenance"]["proxy"]["trainings"]]
    assert [each.seed for each in network.longer.training.per_seed] == seeds
    assert network.against is not None
    assert network.against.fidelity == network.longer.training.fidelity


def test_the_winner_itself_is_named_as_such(run: Path) -> None:
    winner = json.loads((run / "winner.json").read_text())
    (network,) = scored(run, winner).networks
    assert network.not_compared == "it is the winner's network"
    assert "the same network is trial" in shown(scored(run, winner))


@pytest.mark.parametrize(
    ("right", "result"), [(90, "better"), (62, "indistinguishable"), (58, "indistinguishable"), (20, "worse")]
)
def test_mcnemars_test_tells_a_network_from_the_winner(right: int, result: str) -> None:
    compared = against_winner(_answered(right), _answered(60))
    assert compared is not None
    assert (compared.result, compared.images) == (result, 100)


def _answered(right: int, fidelity: str = "2 epochs") -> SeedTraining:
    return SeedTraining(0, 2.0, fidelity, right / 100, tuple(place < right for place in range(100)), False)


def test_networks_that_were_not_trained_equally_long_are_not_compared() -> None:
    assert against_winner(_answered(90), _answered(60, "6 epochs")) is None


def test_a_network_that_fails_keeps_the_others_and_has_its_reason(run: Path) -> None:
    machine = Machine()

    def on_ask(request: dict[str, Any]) -> None:
        if request["do"] == "train" and request["spec"]["name"] == "large":
            raise Failed("out of memory")

    machine.on_ask = on_ask
    scores = scored(run, LARGE, NET, machine=machine)
    assert [network.failure for network in scores.networks] == ["out of memory", None]
    assert scores.failed
    assert "large: out of memory" in shown(scores)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": 64}, "my_net: the network has image 64, but the search on the data shapetex has image 32"),
        ({"image": [32, 48]}, r"the network has image \[32, 48\]"),
        ({"channels": 1}, "the network has channels 1, but the search on the data shapetex has channels 3"),
        ({"classes": 7}, "the network has classes 7, .* has classes 10; change the document, or leave this out of it"),
    ],
)
def test_a_network_of_other_images_or_classes_is_refused_before_it_is_measured(
    changes: dict[str, Any], message: str, run: Path
) -> None:
    machine = Machine()
    with pytest.raises(SearchError, match=message):
        scored(run, {**NET, **changes}, machine=machine)
    assert {request["do"] for request in machine.asked} <= {"hello", "data"}


def test_fields_can_be_set_in_each_network(run: Path) -> None:
    scores = scored(run, {**NET, "image": 64}, assignments=["image=32", "stage.depth=1"])
    (network,) = scores.networks
    assert network.trial is not None
    assert network.trial.document["image"] == 32
    assert objects_in(network.trial.document["nodes"])[1]["depth"] == 1


def test_another_device_and_another_torch_are_said(run: Path) -> None:
    machine = Machine()
    machine.name = "another machine"
    scores = scored(run, NET, machine=machine)
    assert scores.notes == [
        "the networks of the run were measured on a machine, these on another machine: compare no latencies"
    ]


def test_no_network_at_all_is_refused(run: Path) -> None:
    with pytest.raises(WrongUse, match="at least one network"):
        scored(run)


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Where the command line measures and trains."""
    machine = Machine()
    monkeypatch.setattr(MachineOptions, "worker", lambda self, device, policy: machine.worker)
    return machine


def test_the_command_prints_the_same_facts_as_json(
    run: Path, faked: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "my_net.json"
    file.write_text(json.dumps(NET))
    assert main(["score", str(file), "--like", str(run), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["networks"][0]["spec"]["name"] == "my_net"
    assert facts["networks"][0]["rank"] >= 1
    assert facts["table"] == json.loads((run / "front.json").read_text())
    assert facts["conditions"]["runtime"] == "eager"


def test_the_command_ends_with_1_where_a_network_cannot_be_trained(
    run: Path, faked: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faked.finite = False
    file = tmp_path / "my_net.json"
    file.write_text(json.dumps(NET))
    assert main(["score", str(file), "--like", str(run)]) == 1
    assert "my_net: training gave no finite loss" in capsys.readouterr().out


def test_a_folder_without_a_run_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "litv2_s", "--like", str(tmp_path / "nothing")]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_the_weights_of_a_file_are_not_used_and_that_is_said(run: Path, tmp_path: Path) -> None:
    from archdsl import build, save_model

    file, said = tmp_path / "mine.safetensors", list[str]()
    save_model(build(load_spec({**NET, "classes": 10})), file)
    scored(run, file, say=said.append)
    assert any("its weights are not used" in line for line in said)


@pytest.fixture
def inherited(run: Path, tmp_path: Path) -> Path:
    """The run as one whose networks inherited from a parent."""
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    lines = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    trained = next(line for line in lines if "proxy" in line["provenance"])
    trained["provenance"]["proxy"]["parent"] = "a" * 64
    (folder / "trials.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    accuracy = ParentAccuracy(0.9, 0.03, 100)
    keep_parent(RunFolder(folder), Parent("a_parent", "parent.safetensors", "a" * 64, NET, accuracy, None, epochs=0.0))
    (folder / PARENT_WEIGHTS).write_bytes(b"weights")
    return folder


def test_a_network_inherits_where_those_of_the_run_did(inherited: Path) -> None:
    machine = Machine()
    scored(inherited, NET, machine=machine)
    request = next(request for request in machine.asked if request["do"] == "train")
    assert request["inheriting"]["sha256"] == "a" * 64
    assert request["inheriting"]["parent"] == str(inherited / PARENT_WEIGHTS)


def test_longer_trainings_of_a_run_that_inherited_are_those_of_its_finalists(inherited: Path) -> None:
    lines = [json.loads(line) for line in (inherited / "trials.jsonl").read_text().splitlines()]
    longer = [line["provenance"]["proxy"] for line in lines if line["rung"] == "train_longer"]
    assert longer
    for proxy in longer:
        proxy |= {"parent": "a" * 64, "epochs": 7.5}
    (inherited / "trials.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    machine = Machine()
    [network] = scored(inherited, NET, machine=machine, longer=True).networks
    short, *finals = [request for request in machine.asked if request["do"] == "train"]
    assert short["inheriting"]["refit_steps"] == 0
    assert {(request["inheriting"]["epochs"], request["inheriting"]["is_decided"]) for request in finals} == {
        (7.5, True)
    }
    assert network.longer is not None
    assert network.longer.is_inherited


def test_a_network_that_does_not_inherit_is_trained_longer_as_ever(inherited: Path) -> None:
    machine = Machine()
    machine.why_not = lambda spec: "it is wider than the parent"
    [network] = scored(inherited, NET, machine=machine, longer=True).networks
    assert network.longer is not None
    assert not network.longer.is_inherited
