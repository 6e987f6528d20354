"""Any network in the table of a run: measured and trained as the run's own networks were."""

from __future__ import annotations

import dataclasses
import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from archdsl import load_spec
from archdsl.errors import SearchError, WrongUse
from archdsl.json_types import objects_in
from archdsl.search.comparison.result import against_winner
from archdsl.search.evaluate.trainings import SeedTraining
from archdsl.search.store import cache
from archdsl.search.worker.process import Failed
from tests.support.fake_worker import Machine, latency_of
from tests.support.scored import LARGE, NET, cache_of_the_test, scored, searched_run, shown
from tests.support.searching import records, search

run = pytest.fixture(scope="module")(searched_run)
own_cache = pytest.fixture(autouse=True)(cache_of_the_test)


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


def test_a_notebook_shows_the_table_and_nothing_in_it_runs(run: Path) -> None:
    hostile = "<script>alert(1)</script>"
    html = dataclasses.replace(scored(run, NET), notes=(hostile,))._repr_html_()
    assert html.startswith("<pre")
    assert hostile not in html
    text = unescape(html)
    assert hostile in text
    assert "my_net: rank" in text
    assert len(re.findall("^-> +my_net", text, re.M)) == 1


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


def test_the_weights_of_a_file_are_not_used_and_that_is_said(run: Path, tmp_path: Path) -> None:
    from archdsl import build, save_model

    file, said = tmp_path / "mine.safetensors", list[str]()
    save_model(build(load_spec({**NET, "classes": 10})), file)
    scored(run, file, say=said.append)
    assert any("its weights are not used" in line for line in said)
