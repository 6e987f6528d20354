"""Tables of latencies: how they predict, are kept, refused and shown."""

from __future__ import annotations

import json
import math
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from archdsl import load_spec
from archdsl.cli import main
from archdsl.errors import MeasureError
from archdsl.latency import tables
from archdsl.latency.tables import StaleTable, Table, building
from archdsl.latency.tables.parts import parts
from archdsl.latency.tables.session import Session
from archdsl.latency.tables.survey import Survey, survey
from archdsl.latency.tables.table import DECIDING, load, options_text, save, space_digest, total
from archdsl.load.spaces import space_of
from archdsl.render.lut import predictions, table_sheet
from archdsl.spaces.space import Space
from tests.support.screens import text_of
from tests.support.tabled import FEW, SPACE, facts, measured, small_table, space_point, truth


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def space() -> Space:
    return space_of(SPACE)


@pytest.fixture
def table(space: Space, monkeypatch: pytest.MonkeyPatch) -> Table:
    return small_table(space, monkeypatch)


# The table


def test_a_table_predicts_networks_that_it_was_not_made_from(table: Table, space: Space) -> None:
    assert table.accuracy.networks == 12
    assert table.accuracy.worst < 0.02
    assert table.accuracy.kendall_tau > 0.95
    for spec in survey(space, frozenset(), 1, 20, seed=5).held_out:
        assert math.isclose(table.predict(spec), truth(spec), rel_tol=0.02)


def test_throughput_is_images_a_second_at_the_tables_batch(table: Table) -> None:
    assert table.images_per_second(5.0) == 200.0
    assert table._replace(setting=table.setting._replace(batch=8)).images_per_second(5.0) == 1600.0


def test_a_part_that_the_table_has_not_is_named(table: Table) -> None:
    with pytest.raises(MeasureError, match=r"litv2_s: the table has no time for patch_stem reading 3x224x224 \(node"):
        table.predict(load_spec("litv2_s"))
    assert total(space_point(), table.times, table.whole).parts == len(parts(space_point()))


def test_times_are_kept_and_not_measured_again(space: Space, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    surveys: list[Survey] = []

    def seen(found: Survey, *rest: Any) -> Session:
        surveys.append(found)
        return measured(found, *rest)

    monkeypatch.setattr(building, "measured", seen)
    again = tables.build_tables(space, "cpu", **FEW)["p10"]
    tables.build_tables(space, "cpu", **FEW, again=True)
    tables.build_tables(space, "cpu", **FEW | {"threads": 2})
    assert [len(found.carriers) > 0 for found in surveys] == [False, True, True]
    assert again.times == table.times


def test_a_kept_table_is_read_as_it_was(table: Table, space: Space) -> None:
    assert tables.load(space, table.setting, facts(table)) == table
    assert json.loads(json.dumps(table.as_json()))["accuracy"]["mape"] == table.accuracy.mape


@pytest.mark.parametrize("name", DECIDING)
def test_a_table_of_another_device_or_version_is_refused_by_what_differs(table: Table, space: Space, name: str) -> None:
    message = rf"stale: {name} was .* and is another; build it: archdsl lut build tiny --device cpu .*--threads 1$"
    with pytest.raises(StaleTable, match=message):
        tables.load(space, table.setting, facts(table, **{name: "another"}))


def test_a_table_of_another_form_of_the_space_is_refused(table: Table, space: Space) -> None:
    other = space_of(json.loads(json.dumps(SPACE).replace('"heads": 4', '"heads": 2')))
    with pytest.raises(StaleTable, match="the space's nodes or constraints have changed"):
        tables.load(other, table.setting, facts(table))
    assert space_digest(space.model_copy(update={"classes": 3})) == table.space_digest


@pytest.mark.parametrize("change", [{"batch": 2}, {"runtime": "compile"}, {"dtype": "bfloat16"}, {"threads": 4}])
def test_a_table_is_for_its_setting_alone(table: Table, space: Space, change: dict[str, Any]) -> None:
    with pytest.raises(MeasureError, match="there is no table of tiny on cpu"):
        tables.load(space, table.setting._replace(**change), facts(table))


def test_a_table_of_inference_forms_is_one_of_its_own(
    table: Table, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its parts are measured anew, and its setting and commands say so; earlier tables are of plain networks."""
    asked: list[bool] = []

    def seen(found: Survey, *rest: Any) -> Session:
        asked.append(rest[-1])
        return measured(found, *rest)

    monkeypatch.setattr(building, "measured", seen)
    form = tables.build_tables(space, "cpu", **FEW, optimize=True)["p10"]
    assert asked == [True]
    assert form.made.parts_timed == form.made.parts
    assert (table.setting.optimize, form.setting.optimize) == (False, True)
    assert options_text(form.setting) == options_text(table.setting) + " --optimize"
    assert load(space, form.setting, form.provenance) == form
    assert load(space, table.setting, table.provenance) == table
    assert "optimize" not in table.setting.told()


def test_a_table_of_an_earlier_version_is_read(table: Table, space: Space, cache: Path) -> None:
    """Which called the runtime `mode`, and told nothing of the environment."""
    for file in (cache / "latency").glob("table-*.json"):
        written = json.loads(file.read_text())
        for facts_of in (written["setting"], written["provenance"]):
            facts_of["mode"] = facts_of.pop("runtime")
        del written["provenance"]["environment"]
        file.write_text(json.dumps(written))
    read = tables.load(space, table.setting, facts(table))
    assert read == table._replace(provenance=facts(table, environment={}))


def test_a_damaged_file_counts_as_none(table: Table, space: Space, cache: Path) -> None:
    for content in (
        "{",
        "[]",
        '{"format": 1, "space": "tiny"}',
        json.dumps(table.as_json() | {"times": {"a": "slow"}}),
    ):
        for file in (cache / "latency").glob("table-*.json"):
            file.write_text(content)
        with pytest.raises(MeasureError, match="there is no table"):
            tables.load(space, table.setting, facts(table))


def test_a_cache_that_cannot_be_written_is_told(table: Table, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / "file").write_text("")
    monkeypatch.setenv("ARCHDSL_CACHE", str(cache / "file"))
    with pytest.raises(MeasureError, match=r"the table cannot be written: .*; set ARCHDSL_CACHE to a folder"):
        save(table)


# The command line


def test_the_commands_build_show_and_predict(
    space: Space, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(building, "measured", measured)
    path, spec = tmp_path / "tiny.json", tmp_path / "point.json"
    path.write_text(json.dumps(SPACE))
    spec.write_text(json.dumps(space_point().to_json()))
    assert main(["lut", "build", str(path), "--device", "cpu", "--threads", "1", "--held-out", "12"]) == 0
    assert "on 12 networks held out" in " ".join(capsys.readouterr().out.split())
    assert main(["lut", "show", str(path), "--device", "cpu", "--threads", "1", "--stat", "min", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["setting"]["stat"] == "min"
    assert main(["lut", "predict", str(path), str(spec), "--device", "cpu", "--threads", "1", "--json"]) == 0
    [item] = json.loads(capsys.readouterr().out)["items"]
    assert math.isclose(item["ms"], truth(space_point()), rel_tol=0.02)
    assert math.isclose(item["images_per_second"], 1000 / item["ms"])


def test_a_missing_table_is_one_line_that_says_how_to_build_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lut", "show", "lit-dat-64", "--device", "cpu", "--batch", "8"]) == 1
    line = capsys.readouterr().err
    assert re.search(r"build it: archdsl lut build lit-dat-64 --device cpu --batch 8 .*--threads \d+\n$", line)
    assert main(["lut", "show", "lit-dat-46", "--device", "cpu"]) == 2
    assert main(["lut", "show", "lit-dat-64", "--stat", "mean"]) == 2


def proposed(text: str) -> list[str]:
    """The arguments of the command that a message ends with."""
    name, *arguments = shlex.split(text[text.rindex("archdsl ") :])
    assert name == "archdsl"
    return arguments


@pytest.mark.parametrize("setting", [["--threads", "1"], ["--batch", "2", "--threads", "2", "--stat", "min"]])
def test_the_command_that_a_message_proposes_builds_the_table_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], cache: Path, setting: list[str]
) -> None:
    monkeypatch.setattr(building, "measured", measured)
    path, spec = tmp_path / "my space.json", tmp_path / "point.json"
    path.write_text(json.dumps(SPACE))
    spec.write_text(json.dumps(space_point().to_json()))
    asked = ["lut", "predict", str(path), str(spec), "--device", "cpu", *setting]
    assert main(asked) == 1
    command = proposed(capsys.readouterr().err)
    assert main([*command, "--held-out", "12"]) == 0
    assert main(asked) == 0
    assert main([*asked[:1], "show", *asked[2:3], *asked[4:]]) == 0


def test_a_space_too_small_for_a_table_names_the_options_to_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(SPACE))
    assert main(["lut", "build", str(path), "--device", "cpu", "--held-out", "999"]) == 1
    assert "give smaller --calibration and --held-out" in capsys.readouterr().err


def test_the_command_that_measures_a_network_with_other_parts_works(
    space: Space, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(building, "measured", measured)
    path, other = tmp_path / "tiny.json", tmp_path / "an other.json"
    path.write_text(json.dumps(SPACE))
    document = space_point().to_json()
    other.write_text(json.dumps(document))
    assert main(["lut", "build", str(path), "--device", "cpu", "--threads", "1", "--held-out", "12"]) == 0
    stem = document["nodes"][0]["id"]
    asked = ["lut", "predict", str(path), str(other), "--set", f"{stem}.width=20", "--device", "cpu", "--threads", "1"]
    capsys.readouterr()
    assert main(asked) == 1
    line = capsys.readouterr().err
    assert "the table has no time for patch_stem" in line
    command = proposed(line)
    assert command[:4] == ["bench", str(other), "--set", f"{stem}.width=20"]
    assert main([*command, "--rounds", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"][0]["provenance"]["threads"] == 1


def test_a_table_shows_its_error_first_and_the_longest_parts(table: Table) -> None:
    lines = text_of(table_sheet(table), 100).splitlines()
    assert lines[0].startswith("tiny: mean error ")
    longest = max(table.times.values())
    assert f"{longest:.3f}" in lines[3] or f"{longest:.3f}" in lines[2]
    assert max(map(len, text_of(table_sheet(table)).splitlines())) <= 80


def test_a_prediction_says_that_it_is_one(table: Table) -> None:
    text = text_of(predictions([("net", 5.0)], table), 100)
    assert "net" in text
    assert "5.000" in text
    assert "200" in text
    assert "Predicted, not measured" in text
