"""Run folders, records, tables and shared studies of versions that called the runtime `mode`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import archdsl
from archdsl.errors import MeasureError
from archdsl.latency import tables
from archdsl.latency.provenance import provenance
from archdsl.latency.tables import TableSetting, building, kept
from archdsl.load.spaces import space_of
from archdsl.runtimes.setting import with_runtime
from archdsl.search.config import Settings
from archdsl.search.propose.study_names import name_of, older_name_of
from archdsl.search.proxy_check.networks import CheckFacts
from archdsl.search.report.gathering import read_report
from archdsl.search.report.sheet import csv_text
from archdsl.search.store.folder import RunFolder
from tests.support.devices import fake_device
from tests.support.fake_worker import Machine
from tests.support.places import GOLDEN
from tests.support.searching import SPACE, quicken, search, settings
from tests.support.tabled import FEW, facts, measured


def with_budget(**fields: str) -> dict[str, object]:
    return {**SPACE, "budgets": [{"metric": "latency", "max": 5, "unit": "ms", **fields}]}


def test_facts_of_an_old_record_keep_their_order() -> None:
    assert list(with_runtime({"batch": 1, "mode": "graph", "threads": 2}).items()) == [
        ("batch", 1),
        ("runtime", "graph"),
        ("threads", 2),
    ]
    assert with_runtime({"mode": "eager", "runtime": "graph"}) == {"runtime": "graph"}
    assert with_runtime({"mode": "eager", "runtime": None}) == {"runtime": "eager"}


def test_a_run_of_an_earlier_version_is_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quicken(monkeypatch, tmp_path / "cache")
    folder, space = tmp_path / "run", with_budget(runtime="eager")
    search(folder, trials=2, space=space)
    asked = json.loads((folder / "run.json").read_text())
    assert "mode" not in asked
    old = {("mode" if name == "runtime" else name): value for name, value in asked.items()}
    old["space"] = with_budget(mode="eager")
    (folder / "run.json").write_text(json.dumps(old))
    machine = Machine()
    assert search(folder, machine, resume=True, trials=4, space=space).trials == 4
    assert {request["setting"]["runtime"] for request in machine.asked if request["do"] == "measure"} == {"eager"}
    assert json.loads((folder / "run.json").read_text())["runtime"] == "eager"
    (folder / "run.json").write_text(json.dumps({**asked, "mode": "graph"}))
    with pytest.raises(archdsl.ArchError, match=r"run.json cannot be read"):
        RunFolder(folder).settings()


def test_the_device_in_a_verdict_of_an_earlier_version_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quicken(monkeypatch, tmp_path / "cache")
    folder = tmp_path / "run"
    search(folder, trials=2, latency_budget_ms=None)
    verdict = json.loads((folder / "verdict.json").read_text())
    for device in ({"device_name": "an H100", "mode": "graph"}, {"device_name": 7}, {}):
        written = {name: value for name, value in verdict["device"].items() if name not in ("environment", "runtime")}
        (folder / "verdict.json").write_text(json.dumps({**verdict, "device": {**written, **device} if device else {}}))
        result = search(folder, resume=True, trials=2, latency_budget_ms=None)
        device_told = None if result.facts is None else (result.facts.device_name, result.facts.runtime)
        assert device_told == (("an H100", "graph") if "mode" in device else None)


def test_a_check_of_an_earlier_version_tells_its_device() -> None:
    facts = {"data": "fake", "validation": 10, "held_out": 10}
    written = fake_device("an H100").as_json()
    old = {"mode" if name == "runtime" else name: value for name, value in written.items() if name != "environment"}
    assert CheckFacts.model_validate({"provenance": old, **facts}).provenance == fake_device("an H100")
    assert CheckFacts.model_validate({"provenance": {"device_name": "an H100"}, **facts}).provenance is None
    again = CheckFacts.model_validate(CheckFacts.model_validate({"provenance": written, **facts}).model_dump())
    assert again.provenance == fake_device("an H100")


def test_settings_without_a_space_are_refused_as_such() -> None:
    with pytest.raises(ValueError, match=r"space\n  Field required"):
        Settings.model_validate({"device": "cpu", "stat": "p50", "mode": "eager"})


def test_the_report_of_an_old_run_tells_its_runtime() -> None:
    report = read_report(GOLDEN / "run")
    rows = list(csv.DictReader(csv_text(report).splitlines()))
    assert "mode" not in rows[0]
    assert {row["runtime"] for row in rows if row["p50_ms"]} == {"eager"}
    assert report.facts["runtime"] == report.settings["runtime"] == "eager"
    assert "--runtime eager" in dict(report.reproduce)["search again"]


def test_a_table_of_an_earlier_version_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path))
    monkeypatch.setattr(building, "measured", measured)
    space = space_of(json.loads(json.dumps(SPACE)))
    table = tables.build_tables(space, "cpu", **FEW)["p50"]
    assert table.setting.runtime == table.provenance.runtime == "eager"
    before: dict[str, str | int] = {"device": "cpu", "batch": 1, "dtype": "float32", "mode": "eager", "threads": 1}
    before["stat"] = "p50"
    file = kept.path("table-tiny", before)  # as earlier versions named it
    content = json.loads(file.read_text())
    content |= {
        "setting": before,
        "provenance": {**content["provenance"], "mode": content["provenance"].pop("runtime")},
    }
    file.write_text(json.dumps(content))
    assert tables.load(space, table.setting, facts(table)) == table


@pytest.mark.parametrize(
    ("device", "runtime", "options"),
    [
        ("cpu", "eager", " --runtime eager"),
        ("cpu", "compile", " --runtime compile"),
        ("cuda", "graph", " --runtime graph"),
        ("cuda", "eager", " --runtime eager"),
    ],
)
def test_the_command_that_builds_a_missing_table_names_the_runtime(
    device: str, runtime: str, options: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path))
    setting = TableSetting(device, 1, "float32", runtime, None, "p50")
    with pytest.raises(
        MeasureError, match=rf"runtime {runtime}.*; build it: archdsl lut build tiny --device {device}{options}$"
    ):
        tables.load(space_of(SPACE), setting, provenance("cpu", "float32", 1, runtime, None))


@pytest.mark.parametrize(
    ("device", "runtime", "name"),
    [
        ("cpu", "eager", "tiny-bfbae9a84de35278"),
        ("cpu", "compile", "tiny-0512f80b8f5e772f"),
        ("cuda", "eager", "tiny-bfbae9a84de35278"),
        ("cuda", "compile", "tiny-0512f80b8f5e772f"),
    ],
)
def test_a_shared_study_keeps_the_name_of_an_earlier_version(device: str, runtime: str, name: str) -> None:
    for key in ("runtime", "mode"):
        space = {"name": "tiny", "budgets": [{"metric": "latency", "max": 5, key: "eager"}]}
        asked = Settings.model_validate({"space": space, "device": device, "stat": "p10", key: runtime})
        assert older_name_of(asked) == name


def test_a_gpu_and_cpus_that_train_for_it_share_a_study_by_default() -> None:
    own = settings(device="cuda", runtime="graph")
    assert name_of(own) == name_of(settings(device="cpu", runtime="eager"))
    assert older_name_of(own) != name_of(own)


def test_machines_with_and_without_onnxruntime_share_a_study_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that trains need not have it; those that measure agree on one runtime before a number counts."""
    monkeypatch.setattr("archdsl.runtimes.onnxruntime.find_spec", lambda name: object())
    measuring = name_of(settings(device="cpu", runtime="onnxruntime"))
    assert name_of(settings(device="cpu", runtime="openvino")) != measuring
    monkeypatch.setattr("archdsl.runtimes.onnxruntime.find_spec", lambda name: None)
    assert name_of(settings(device="cpu", runtime="eager")) == measuring
    assert name_of(settings(device="cpu", runtime="onnxruntime")) != measuring
