"""A run that is resumed tries what an uninterrupted one does; what its folder must hold, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archdsl.errors import SearchError, WrongUse
from archdsl.search import run as run_search
from archdsl.search.evaluate import trial_run as trial
from archdsl.search.loop import trials as trying
from archdsl.search.policy import Policy
from archdsl.search.policy.propose import EvolutionPolicy, SamplerPolicy
from archdsl.search.store.folder import RunExists, RunFolder
from tests.support.fake_worker import Machine
from tests.support.searching import after, quicken, search, settings, trials


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


@pytest.mark.parametrize("sampler", ["auto", *(pytest.param(name, marks=pytest.mark.slow) for name in ("gp", "nsga2"))])
def test_an_interrupted_and_resumed_search_tries_what_an_uninterrupted_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampler: str
) -> None:
    """In a database, by evolution, by the Gaussian process and by generations.

    Interrupted once by the user, and once by what is as good as a kill.
    """
    monkeypatch.undo()
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path / "cache"))
    policy = Policy(samplers=SamplerPolicy(startup=5, population=4), evolution=EvolutionPolicy(least=4))
    asked_for: dict[str, Any] = {"trials": 9, "sampler": sampler, "policy": policy}
    search(tmp_path / "whole", **asked_for)
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path / "other"))
    interrupted, _ = after(3, "train", KeyboardInterrupt())
    assert search(tmp_path / "parts", interrupted, **asked_for).interrupted
    killed, _ = after(2, "train", ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        search(tmp_path / "parts", killed, resume=True, **asked_for)
    assert 3 < len(trials(tmp_path / "parts")) < 9
    search(tmp_path / "parts", resume=True, **asked_for)
    asked = [[record["hash"] for record in trials(tmp_path / name)] for name in ("whole", "parts")]
    assert asked[0] == asked[1]


def test_a_trial_that_was_recorded_but_not_told_is_told_on_resuming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell_as_before = trial.tell

    def tell(*arguments: Any) -> None:
        if arguments[3].number == 2:
            raise ZeroDivisionError
        tell_as_before(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(trying, "tell", tell)
        with pytest.raises(ZeroDivisionError):
            search(tmp_path / "run", trials=4)
    machine = Machine()
    search(tmp_path / "run", machine, resume=True, trials=4)
    assert [record["number"] for record in trials(tmp_path / "run")] == [0, 1, 2, 3]
    assert machine.names("train")[0] == trials(tmp_path / "run")[3]["spec"]["name"]


def contents(run: Path) -> dict[str, bytes]:
    """The files of a run, its weights too, but for the settings, in which the limits may change."""
    return {str(path): path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != "run.json"}


def test_a_finished_run_gives_its_result_again_without_any_work(tmp_path: Path) -> None:
    before = search(tmp_path / "run", trials=4)
    files = contents(tmp_path / "run")
    machine = Machine()
    again = search(tmp_path / "run", machine, resume=True, trials=4)
    fewer = search(tmp_path / "run", machine, resume=True, trials=3)
    assert machine.asked == []
    assert again.as_json() == before.as_json()
    assert again.facts == before.facts
    assert fewer.as_json() == before.as_json()
    assert files == contents(tmp_path / "run")


def test_a_finished_run_goes_on_with_more_trials(tmp_path: Path) -> None:
    search(tmp_path / "run", trials=3)
    result = search(tmp_path / "run", resume=True, trials=5)
    assert result.trials == len(trials(tmp_path / "run")) == 5
    assert json.loads((tmp_path / "run" / "run.json").read_text())["trials"] == 5


def test_time_counts_over_all_resumes(tmp_path: Path) -> None:
    machine, _ = after(2, "train", KeyboardInterrupt())
    search(tmp_path / "run", machine, trials=None, time_s=1000.0)
    (tmp_path / "run" / "clock.json").write_text('{"seconds": 900}')
    again = Machine()
    search(tmp_path / "run", again, resume=True, trials=None, time_s=None)
    assert len(trials(tmp_path / "run")) == 2
    assert len(set(again.names("train"))) <= 2  # finalists


def test_a_last_line_that_was_cut_off_does_not_count(tmp_path: Path) -> None:
    search(tmp_path / "run", trials=3, latency_budget_ms=None)
    file = tmp_path / "run" / "trials.jsonl"
    whole = [line for line in file.read_bytes().splitlines() if b"train_longer" not in line]
    file.write_bytes(b"\n".join(whole)[:-20])
    result = search(tmp_path / "run", resume=True, trials=4, latency_budget_ms=None)
    assert result.trials == len(trials(tmp_path / "run")) == 4


def test_a_broken_line_in_the_middle_is_told_with_its_number(tmp_path: Path) -> None:
    search(tmp_path / "run", trials=2)
    file = tmp_path / "run" / "trials.jsonl"
    file.write_bytes(b'{"num\n' + file.read_bytes())
    with pytest.raises(SearchError, match=r"trials\.jsonl:1: not a record"):
        search(tmp_path / "run", resume=True, trials=3)


def test_other_settings_are_refused_on_resuming(tmp_path: Path) -> None:
    search(tmp_path / "run", trials=1)
    with pytest.raises(
        WrongUse, match="other settings: --epochs: 2 in the run, 3 now; --seed: 0 in the run, 1 now; leave this out"
    ):
        run_search(out=tmp_path / "run", resume=True, seed=1, epochs=3.0)
    with pytest.raises(WrongUse, match='SPACE, name: "tiny" in the run, "lit-dat-64" now'):
        run_search("lit-dat-64", out=tmp_path / "run", resume=True)
    changed = json.loads(json.dumps(settings().space))
    changed["nodes"][1]["depth"]["$int"][1] = 3
    with pytest.raises(WrongUse, match=r"SPACE, nodes\[1\]\.depth\.\$int\[1\]: 4 in the run, 3 now"):
        search(tmp_path / "run", resume=True, trials=1, space=changed)
    again = run_search(out=tmp_path / "run", resume=True, seed=0, device="cpu", dtype="fp32")
    assert again.trials == 1


def test_a_run_is_not_overwritten_and_none_is_not_resumed(tmp_path: Path) -> None:
    search(tmp_path / "run", trials=1)
    with pytest.raises(RunExists, match="already holds a run; continue it with --resume"):
        search(tmp_path / "run", trials=1)
    with pytest.raises(SearchError, match="holds no run to resume"):
        search(tmp_path, resume=True)
    with pytest.raises(SearchError, match=r"^no such folder: .*other; give the folder of a run to resume$"):
        run_search(out=tmp_path / "other", resume=True)


def test_two_searches_do_not_work_in_one_folder(tmp_path: Path) -> None:
    search(tmp_path / "run", trials=1)
    holder = RunFolder(tmp_path / "run")
    holder.begin(settings(trials=1), resume=True)
    with pytest.raises(SearchError, match="another search is running in"):
        search(tmp_path / "run", resume=True)
    holder.release()
    search(tmp_path / "run", resume=True)


def test_a_folder_that_is_a_file_or_a_study_that_is_broken_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SearchError, match="cannot be written"):
        search(tmp_path / "file")
    monkeypatch.undo()
    search(tmp_path / "run", trials=1)
    (tmp_path / "run" / "study.db").write_bytes(b"no database" * 100)
    with pytest.raises(SearchError, match=r"study\.db: .*not a database"):
        search(tmp_path / "run", resume=True, trials=2)
