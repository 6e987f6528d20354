"""Networks beside those of a run that inherited from a parent."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from archdsl.search.store.folder import RunFolder
from archdsl.search.store.parent import PARENT_WEIGHTS, Parent, ParentAccuracy, keep_parent
from tests.support.fake_worker import Machine
from tests.support.scored import NET, cache_of_the_test, scored, searched_run

run = pytest.fixture(scope="module")(searched_run)
own_cache = pytest.fixture(autouse=True)(cache_of_the_test)


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
