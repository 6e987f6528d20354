"""How the command of a search ends: exit codes, what to type next, JSON."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from archdsl.cli import main
from archdsl.load.spaces import load_space
from archdsl.load.specs import spec_of
from archdsl.render.tried import FEW, few_trials_text
from tests.support.fake_worker import Machine
from tests.support.searching import SPACE, quicken, search, trials


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    """The command with fake workers."""
    machine = Machine()
    quicken(monkeypatch, tmp_path / "cache")
    monkeypatch.setattr(
        "archdsl.search.loop.session.run_search.__defaults__", (False, lambda *_: None, None, machine.worker)
    )
    return machine


def command(*arguments: object) -> int:
    """A search; a new one measures modules, as the fake workers do."""
    named = [] if "--resume" in arguments else ["--runtime", "eager"]
    return main(["search", *[str(argument) for argument in arguments], *named])


def test_the_exit_code_is_the_verdict(fake: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search(tmp_path / "run", fake, trials=2)
    assert command("--out", tmp_path / "run", "--resume") == 0
    assert "PASS  tiny-" in capsys.readouterr().out
    assert command("--out", tmp_path / "run") == 2
    assert command("--out", tmp_path / "run", "--resume", "--seed", 3, "--latency-budget", "5.5ms") == 2
    differing = "--latency-budget: 6ms in the run, 5.5ms now; --seed: 0 in the run, 3 now; leave this out to continue"
    assert differing in capsys.readouterr().err
    assert command("--resume") == 2
    assert command("--out", tmp_path / "other", "--resume") == 2
    tight = ("lit-dat-64", "--latency-budget", "0.01ms", "--device", "cpu", "--out", tmp_path / "tight")
    assert command(*tight, "--parent", "none") == 1
    said = capsys.readouterr().out
    assert "FAIL  nearest miss lit-dat-64-" in said
    assert "The lowest latency that was measured is" in said
    assert shlex.split(said.splitlines()[-1])[-1] == str(tmp_path / "tight")
    assert "All figures, and further commands:\n  archdsl report" in said
    assert command("--out", tmp_path / "tight", "--resume") == 1
    assert command(*tight[:-1], tmp_path / "refused") == 1
    assert "the latency budget of 0.01 ms cannot be met" in capsys.readouterr().err
    assert not (tmp_path / "refused").exists()
    assert command(*tight[:-1], tmp_path / "runs" / "below" / "refused") == 1
    assert not (tmp_path / "runs").exists()


def test_a_search_that_had_ended_says_how_to_continue_it(
    fake: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    search(run, fake, trials=2)
    assert command("--out", run, "--resume") == 0
    shown = capsys.readouterr()
    more = f"archdsl search --out {run} --resume --trials 4"
    assert shown.err == (
        "this search had ended, so nothing was done now and its result stands; to continue it with larger limits: "
        f"{more}\n"
    )
    assert main(["-q", *more.split()[1:]]) in (0, 1)
    assert len(trials(run)) == 4
    assert command("--out", run, "--resume", "-q") in (0, 1)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        (3, "the winner is the best of 3 networks that were tried, out of about 510 in the space; a longer search"),
        (1, "the winner is the best of 1 network that was tried, out of about 510 in the space; a longer search"),
        (FEW, ""),
    ],
)
def test_a_winner_of_few_trials_is_marked(trials: int, said: str) -> None:
    assert few_trials_text(load_space(SPACE), trials)[: len(said)] == said


def test_networks_that_were_too_slow_are_not_among_those_it_is_better_than() -> None:
    said = "the winner is the best of 9 networks that were tried (2 of them too slow), out of about 510 in the space"
    assert few_trials_text(load_space(SPACE), 9, too_slow=2).startswith(said)


@pytest.mark.parametrize(
    ("trials", "of_library", "said"),
    [
        (3, 2, "the best of 3 networks that were tried, 2 of them proposed by the library; a longer search"),
        (2, 2, "the best of 2 networks that were tried, all of them proposed by the library; a longer search"),
        (1, 1, "the best of 1 network that was tried, which was proposed by the library; a longer search"),
    ],
)
def test_networks_of_a_library_are_not_said_to_be_in_the_space(trials: int, of_library: int, said: str) -> None:
    text = few_trials_text(load_space(SPACE), trials, ["library"] * of_library)
    assert said in text
    assert "in the space" not in text


@pytest.mark.parametrize(
    ("copies", "said"),
    [(1, "one network that was tried, a copy of the parent"), (3, "best of 3 networks that were tried, copies of")],
)
def test_copies_of_the_parent_are_said_to_be_that(copies: int, said: str) -> None:
    text = few_trials_text(load_space(SPACE), copies, ["narrower"] * copies)
    assert said in text
    assert "a longer search" not in text


@pytest.mark.parametrize(
    ("origins", "said"),
    [
        (["narrower"] * 3, "best of 3 networks that were tried (1 of them too slow), copies of the parent"),
        (["narrower"], "best of 3 networks that were tried (1 of them too slow), 1 of them a copy of the parent"),
        (["smaller"], "(1 of them too slow), 1 of them smaller than any network of the space; a longer search"),
    ],
)
def test_copies_are_told_from_the_others_that_were_tried(origins: list[str], said: str) -> None:
    assert said in few_trials_text(load_space(SPACE), 3, origins, too_slow=1)


def test_where_all_networks_were_tried_nothing_is_missing() -> None:
    nodes = [{**SPACE["nodes"][0], "width": 16}, *SPACE["nodes"][1:2], {"id": "head", "type": "mean_head"}]
    space = load_space({**SPACE, "nodes": nodes})
    assert "out of 8 in the space" in few_trials_text(space, 7)
    assert few_trials_text(space, 8) == ""


def test_an_interrupt_is_130_and_still_prints_what_there_is(
    fake: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def on_ask(request: dict[str, Any]) -> None:
        if len(fake.names("train")) == 2:
            fake.on_ask = None
            raise KeyboardInterrupt

    fake.on_ask = on_ask
    assert command("lit-dat-64", "--device", "cpu", "--latency-budget", "100s", "--out", tmp_path / "run") == 130
    out = capsys.readouterr().out
    assert "1 trial until it was interrupted" in out
    assert "PASS  lit-dat-64-" in out


def test_workers_and_earlier_runs_are_for_the_command_line(fake: Machine, tmp_path: Path) -> None:
    asked = ["lit-dat-64", "--device", "cpu", "--latency-budget", "100s", "--workers", "2", "--trials"]
    assert command(*asked, 2, "--out", tmp_path / "first") == 0
    assert command(*asked, 1, "--out", tmp_path / "second", "--from", tmp_path / "first") == 0
    found = [json.loads(line) for line in (tmp_path / "second" / "trials.jsonl").read_text().splitlines()]
    origins = [record["provenance"].get("from") for record in found if record["rung"] != "train_longer"]
    assert sorted(map(str, origins)) == [str(tmp_path / "first")] * 2 + ["None"]


def test_json_says_the_same_for_programs(fake: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search(tmp_path / "run", fake, trials=2)
    capsys.readouterr()
    assert command("--out", tmp_path / "run", "--resume", "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["passed"] is True
    assert content["space"] == "tiny"
    assert content["trials"] == 2
    assert spec_of(content["winner"]).name == content["winner"]["name"]
