"""`archdsl score`: what it prints, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archdsl.cli import main
from archdsl.search.worker.machine_options import MachineOptions
from tests.support.fake_worker import Machine
from tests.support.scored import NET, cache_of_the_test, searched_run

run = pytest.fixture(scope="module")(searched_run)
own_cache = pytest.fixture(autouse=True)(cache_of_the_test)


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Where the command line measures and trains."""
    machine = Machine()
    monkeypatch.setattr(MachineOptions, "worker", lambda self, device, policy, runtime: machine.worker)
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
