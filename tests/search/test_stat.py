"""The statistic of a latency: p50 unless a user, a space or a run that is resumed says another one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archdsl.errors import MeasureError, SearchError, WrongUse
from archdsl.latency import default_stat, tables
from archdsl.latency.tables import building
from archdsl.load.spaces import space_of
from archdsl.search import run as run_search
from archdsl.search.defaults import settings_of
from archdsl.search.request import SettingsRequest
from tests.support.commands import Run, command_line, tiny_document
from tests.support.searching import SPACE, quicken, search
from tests.support.tabled import FEW, measured, space_point
from tests.support.tabled import SPACE as TABLED

run = pytest.fixture(command_line)
tiny = pytest.fixture(tiny_document)

FAST = ["--device", "cpu", "--threads", "1", "--rounds", "3", "--time-limit", "1s"]


def asked(said: str | None, **budget: Any) -> str:
    """The statistic of a search on a CPU, of a space with such a budget."""
    space = space_of({**SPACE, "budgets": [{"metric": "latency", "max": 5, "unit": "ms", **budget}]})
    return settings_of(space, SettingsRequest(device="cpu", stat=said)).stat


def test_it_is_p50_on_every_device() -> None:
    assert {default_stat(device) for device in ("cpu", "cuda", "cuda:1")} == {"p50"}
    assert asked(None) == "p50"


def test_a_space_may_name_one_and_the_user_stands_over_it() -> None:
    assert asked(None, stat="p90") == "p90"
    assert asked("min", stat="p90") == "min"
    with pytest.raises(MeasureError, match="statistic must be min, p10, p50 or p90; got 'mean'"):
        asked("mean")


def test_a_run_keeps_the_statistic_that_it_was_begun_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quicken(monkeypatch, tmp_path / "cache")
    folder = tmp_path / "run"
    begun = search(folder, trials=2, stat="p10")
    assert begun.as_json()["stat"] == "p10"
    assert run_search(out=folder, resume=True).as_json()["stat"] == "p10"
    assert run_search(out=folder, resume=True, stat="p10").as_json()["stat"] == "p10"
    with pytest.raises(WrongUse, match="--stat: p10 in the run, p50 now"):
        run_search(out=folder, resume=True, stat="p50")


@pytest.mark.parametrize(
    "command",
    [
        ["search", "lit-dat-64"],
        ["doctor", "lit-dat-64"],
        ["bench", "litv2_s"],
        ["lut", "build", "lit-dat-64"],
        ["lut", "show", "lit-dat-64"],
        ["lut", "predict", "lit-dat-64", "litv2_s"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_commands_take_one_of_four(run: Run, command: list[str]) -> None:
    ended = run(*command, "--stat", "p99")
    assert (ended.code, ended.out) == (2, "")
    assert "unknown statistic 'p99'; did you mean 'p90'?" in ended.err
    shown = " ".join(run(*command, "--help").out.split())
    assert "--stat min|p10|p50|p90 statistic of the latency; p50 is the median (default: p50)" in shown


@pytest.mark.parametrize("subject", ["spec", "layers"])
def test_bench_compares_by_it(run: Run, tiny: Path, subject: str) -> None:
    what = [str(tiny), "--runtime", "eager"] if subject == "spec" else ["--layers", "--batch", "1"]
    found = json.loads(run("-q", "bench", *what, *FAST, "--stat", "p90", "--json").out)
    assert found["stat"] == "p90"
    if subject == "layers":
        first = found["items"][0]
        assert first["images_per_second"] == pytest.approx(1e3 / first["p90_ms"])


def test_tables_are_built_shown_and_asked_by_it(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path / "cache"))
    steady: list[str] = []

    def noted(found: Any, setting: Any, threads: Any, stat: str, *rest: Any) -> Any:
        steady.append(stat)
        return measured(found, *rest)

    monkeypatch.setattr(building, "measured", noted)
    space, point = tmp_path / "tiny.json", tmp_path / "point.json"
    space.write_text(json.dumps(TABLED))
    point.write_text(json.dumps(space_point().to_json()))
    few = ["--device", "cpu", "--threads", "1", "--json"]
    sizes = ["--calibration", str(FEW["calibration"]), "--held-out", str(FEW["held_out"])]
    built = [json.loads(run("-q", "lut", "build", space, *few, *sizes, *said).out) for said in ([], ["--stat", "p90"])]
    assert [table["setting"]["stat"] for table in built] == steady == ["p50", "p90"]
    for command in (["show", space], ["predict", space, point]):
        found = [json.loads(run("lut", *command, *few, *said).out) for said in ([], ["--stat", "min"])]
        assert [each["setting"]["stat"] for each in found] == ["p50", "min"]
    with pytest.raises(MeasureError, match="statistic must be min, p10, p50 or p90; got 'mean'"):
        tables.build_tables(space_of(TABLED), "cpu", stat="mean", **FEW)


def test_doctor_measures_by_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def examined(settings: Any, **_: Any) -> Any:
        seen.append(settings.stat)
        raise SearchError("stopped")

    monkeypatch.setattr("archdsl.search.doctor.doctor.examine", examined)
    for said in ([], ["--stat", "p10"]):
        assert run("doctor", "lit-dat-64", "--device", "cpu", *said).code == 1
    assert seen == ["p50", "p10"]
