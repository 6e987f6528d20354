"""Networks that are named beside a space (`--also`): tried first, and candidates for the winner like any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archdsl import load_space
from archdsl.errors import SearchError, WrongUse
from archdsl.load.sources import UnknownName
from archdsl.load.spaces import point
from archdsl.search import run as run_search
from archdsl.search.baselines import baseline_documents
from archdsl.search.report import read_report
from tests.support.fake_worker import Machine
from tests.support.scored import NET
from tests.support.searching import SPACE, Lines, after, quicken, records, search, settings, trials

SLOW = {**NET, "name": "slow", "nodes": [{**NET["nodes"][0], "width": 160}, *NET["nodes"][1:]]}
CHOICES: dict[str, Any] = {"w": 32, "d1": 1, "mlp": "plain", "stage2": "mlp", "d2": 1}


def in_the_space() -> dict[str, Any]:
    """A point of the space under a name of its own."""
    space = load_space(SPACE)
    spec, _ = point(space, CHOICES.__getitem__)
    return {**spec.to_json(), "name": "a_point"}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


def test_a_network_outside_the_space_is_tried_first_and_marked(tmp_path: Path) -> None:
    lines = Lines()
    result = search(tmp_path / "run", also=(NET,), trials=4, watcher=lines)
    first, *others = trials(tmp_path / "run")
    assert (first["spec"]["name"], first["provenance"]["from"], first["outcome"]) == ("my_net", "also", "trained")
    assert first["spec"]["classes"] == 10
    assert [record["number"] for record in trials(tmp_path / "run")] == [0, 1, 2, 3]
    assert all("from" not in record["provenance"] for record in others)
    assert result.trials == 4
    assert any("trial 0, my_net (--also): " in line for line in lines.told)


def test_a_point_of_the_space_is_enqueued_as_that_point_under_its_own_name(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    search(folder, also=(in_the_space(),), trials=3)
    first = trials(folder)[0]
    assert (first["spec"]["name"], first["provenance"]["from"]) == ("a_point", "also")
    report = read_report(folder)
    assert {name: report.trials[0].choices[name] for name in ("w", "d1", "d2")} == {"w": 32, "d1": 1, "d2": 1}


def test_a_point_that_differs_in_its_training_alone_is_tried_as_it_is(tmp_path: Path) -> None:
    search(tmp_path / "run", also=({**in_the_space(), "drop_path": 0.1},), trials=2)
    assert trials(tmp_path / "run")[0]["spec"]["drop_path"] == 0.1


def test_it_can_be_the_winner(tmp_path: Path) -> None:
    folder, machine = tmp_path / "run", Machine()
    machine.fixed_ms = 1.0
    result = search(folder, machine, also=(SLOW,), trials=5)
    assert result.winner is not None
    assert result.winner.name == "slow"
    assert json.loads((folder / "winner.json").read_text())["name"] == "slow"
    assert (folder / "winner.safetensors").is_file()
    assert result.front[0].label == "slow (--also)"


def test_one_over_the_gate_falls_like_any_other_and_the_search_goes_on(tmp_path: Path) -> None:
    result = search(tmp_path / "run", also=(SLOW,), trials=4)
    first = trials(tmp_path / "run")[0]
    assert (first["spec"]["name"], first["rung"], first["outcome"]) == ("slow", "latency", "fell")
    assert result.trials == 4


def test_slow_networks_beside_the_space_do_not_end_the_search(tmp_path: Path) -> None:
    slow = [
        {**SLOW, "nodes": [{**SLOW["nodes"][0], "width": 160 + 8 * number}, *SLOW["nodes"][1:]]} for number in range(7)
    ]
    assert search(tmp_path / "run", also=tuple(slow), trials=9).trials == 9


def test_only_points_of_the_space_have_choices_in_the_report(tmp_path: Path) -> None:
    search(tmp_path / "run", also=(NET,), trials=3)
    chosen = [trial.choices for trial in read_report(tmp_path / "run").trials]
    assert chosen[0] == {}
    assert all(chosen[1:])


def test_on_resume_none_is_tried_again(tmp_path: Path) -> None:
    folder, networks = tmp_path / "run", (NET, in_the_space())
    search(folder, also=networks, trials=3)
    machine = Machine()
    result = search(folder, machine, resume=True, also=networks, trials=6)
    tried = [record["hash"] for record in trials(folder)]
    assert len(tried) == len(set(tried)) == result.trials == 6
    assert not {"my_net", "a_point"} & set(machine.names("train")[:3])


def test_one_that_was_under_way_at_a_kill_is_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    networks = ({**NET, "name": "small", "nodes": [{**NET["nodes"][0], "width": 16}, *NET["nodes"][1:]]}, NET)
    machine, _ = after(1, "train", RuntimeError("killed"))
    with pytest.raises(RuntimeError, match="killed"):
        search(folder, machine, also=networks, trials=3)
    search(folder, resume=True, also=networks, trials=3)
    assert [record["spec"]["name"] for record in trials(folder)][:2] == ["small", "my_net"]
    assert len(trials(folder)) == 3


@pytest.mark.parametrize(
    ("now", "message"),
    [
        ((), "--also: my_net in the run, none now"),
        ((SLOW,), "--also: my_net in the run, slow now"),
        (({**SLOW, "name": "my_net"},), r"--also\[0\].nodes\[0\].width: 40 in the run, 160 now"),
    ],
)
def test_other_networks_on_resume_are_refused(now: tuple[Any, ...], message: str, tmp_path: Path) -> None:
    search(tmp_path / "run", also=(NET,), trials=2)
    with pytest.raises(WrongUse, match=message):
        search(tmp_path / "run", resume=True, also=now, trials=2)


def test_the_run_keeps_the_documents_and_its_file_stands_for_them(tmp_path: Path) -> None:
    search(tmp_path / "run", also=(NET, SLOW), trials=3)
    file = tmp_path / "run" / "run.json"
    assert json.loads(file.read_text())["also"] == [NET, SLOW]
    assert [document["name"] for document in baseline_documents(file)] == ["my_net", "slow"]
    command = dict(read_report(tmp_path / "run").reproduce)["search again"]
    assert f"--also {file}" in command


@pytest.mark.parametrize(
    ("change", "budget", "message"),
    [
        ({}, {"params_budget": 1000.0}, r"my_net \(--also\) is outside the budgets of the search: params .* over 1"),
        ({"image": 64}, {}, "my_net: the network has image 64, but the search on the data shapetex has image 32"),
        ({"classes": 7}, {}, "the network has classes 7"),
    ],
)
def test_one_that_cannot_be_tried_is_refused_at_the_start(
    change: dict[str, Any], budget: dict[str, Any], message: str, tmp_path: Path
) -> None:
    machine = Machine()
    with pytest.raises(SearchError, match=message):
        search(tmp_path / "run", machine, also=({**NET, **change},), **budget)
    assert machine.names("measure") == []
    assert not (tmp_path / "run" / "run.json").exists()


def test_from_python_it_is_refused_before_a_worker_starts(tmp_path: Path) -> None:
    space = {**SPACE, "classes": 20}
    options: dict[str, Any] = {"device": "cpu", "runtime": "eager", "trials": 1, "out": tmp_path / "run"}
    with pytest.raises(SearchError, match="image 64"):
        run_search(load_space(space), also=[{**NET, "image": 64}], **options)
    with pytest.raises(SearchError, match=r"my_net \(--also\) is outside the budgets"):
        run_search(load_space(space), also=NET, params_budget=16_000, **options)
    with pytest.raises(UnknownName, match="no such file"):
        run_search(load_space(space), also=[tmp_path / "nothing.json"], **options)
    assert not (tmp_path / "run").exists()


def test_the_settings_of_an_earlier_run_have_no_networks_beside_the_space() -> None:
    written = settings().model_dump(mode="json")
    del written["also"]
    assert type(settings()).model_validate(written) == settings()


def test_it_is_marked_in_the_report(tmp_path: Path) -> None:
    search(tmp_path / "run", also=(NET,), trials=3)
    labels = [trial.label for trial in read_report(tmp_path / "run").trials]
    assert labels[0] == "my_net (--also)"
    assert not any("--also" in label for label in labels[1:])
    assert "my_net (--also)" in (tmp_path / "run" / "report.html").read_text()


def test_finalists_among_them_stay_marked(tmp_path: Path) -> None:
    search(tmp_path / "run", also=(NET,), trials=3)
    longer = [record for record in records(tmp_path / "run") if record["rung"] == "train_longer"]
    mine = [record for record in longer if record["spec"]["name"] == "my_net"]
    assert all(record["provenance"]["from"] == "also" for record in mine)
    assert mine
