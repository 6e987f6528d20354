"""Tables of latencies: what a network's time is made of, how it is summed, kept, refused and used."""

from __future__ import annotations

import io
import json
import math
import os
import random
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from searching import SPACE as LARGER
from searching import settings

from archdsl import count, load_spec, override
from archdsl.cli import main
from archdsl.errors import MeasureError
from archdsl.latency import Setting, tables
from archdsl.latency.rounds import plain_timer
from archdsl.latency.tables import StaleTable, Table, accuracy, building, session
from archdsl.latency.tables.calibration import PLAIN, Calibration, Sum, fitted, kendall_tau
from archdsl.latency.tables.parts import parts
from archdsl.latency.tables.session import Session
from archdsl.latency.tables.survey import Survey, survey
from archdsl.latency.tables.table import DECIDING, save, space_digest, total
from archdsl.latency.tables.timing import InPlace, by_key
from archdsl.render.lut import predictions, table_sheet
from archdsl.schema.canonical import canonical_hash
from archdsl.schema.document import Spec
from archdsl.schema.space import Space
from archdsl.search.ladder.predict import ENOUGH, ENOUGH_TO_SCALE, LatencyModel, Tables, tables_of
from archdsl.spaces import space_of

SPACE: dict[str, Any] = json.loads(json.dumps(LARGER))
SPACE["nodes"][0]["width"]["$one_of"] = [16, 32]
SPACE["nodes"][1]["depth"]["$int"] = [1, 3]
SPACE["nodes"][3]["$one_of"][1]["alpha"] = 0.5
for _stage in SPACE["nodes"][3]["$one_of"]:
    _stage["depth"]["$int"] = [1, 2]

CPU = Setting("cpu", 1, "float32", "eager")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def space() -> Space:
    return space_of(SPACE)


def cost_of(key: str) -> float:
    """A machine on which every part takes a time of its own, and always the same."""
    return 0.1 + random.Random(key).random()


def truth(spec: Spec) -> float:
    """On that machine parts are slower in a network, and there is something between them."""
    found = parts(spec)
    return 1.2 * sum(cost_of(part.key) for part in found) + 0.01 * len(found) + 0.5 * count(spec).params / 1e6


def measured(found: Survey, *_: Any) -> Session:
    """What that machine measures."""
    keys = {part.key for spec in found.carriers for part in parts(spec, found.whole)}
    whole: list[tuple[float, ...]] = [(truth(spec),) * 10 for spec in (*found.calibration, *found.held_out)]
    return Session({key: [(cost_of(key),) * 10] for key in keys}, whole)


FEW: dict[str, Any] = {"threads": 1, "calibration": 8, "held_out": 12}


@pytest.fixture
def table(space: Space, monkeypatch: pytest.MonkeyPatch) -> Table:
    """The table of the small space on that machine."""
    monkeypatch.setattr(building, "measured", measured)
    return tables.build_tables(space, "cpu", **FEW)["p10"]


# Parts


def test_a_part_is_known_by_what_decides_its_time() -> None:
    plain = load_spec("litv2_s")
    renamed = plain.model_copy(update={"name": "other", "drop_path": 0.0})
    assert [part.key for part in parts(plain)] == [part.key for part in parts(renamed)]
    deeper = override(plain, ["stage3.depth=7"])
    assert {part.key for part in parts(deeper)} == {part.key for part in parts(plain)}
    assert len(parts(deeper)) == len(parts(plain)) + 1
    for change in ("stage3.heads=6", "image=256", "stage2.mlp.ratio=2"):
        assert {part.key for part in parts(override(plain, [change]))} != {part.key for part in parts(plain)}
    assert parts(override(plain, ["stage3.alpha=0.91"])) == parts(plain)  # as many Lo-Fi heads as 0.9 gives


def test_equal_blocks_are_one_part_wherever_they_stand() -> None:
    found = parts(load_spec("litv2_s"))
    stage3 = [part.key for part in found if part.node == "stage3" and part.block is not None]
    assert len(stage3) == 6
    assert len(set(stage3)) == 1
    assert found[-1].facts["classes"] == 1000


def test_a_stage_that_cannot_be_taken_apart_is_one_part_with_its_depth() -> None:
    spec = load_spec("litv2_s")
    whole = parts(spec, frozenset({"hilo"}))
    assert [part.block for part in whole if part.node == "stage3"] == [None]
    deeper = parts(override(spec, ["stage3.depth=7"]), frozenset({"hilo"}))
    assert {part.key for part in whole} != {part.key for part in deeper}


def test_a_stage_of_blocks_in_turn_has_their_parts() -> None:
    nodes: list[Any] = [
        {"id": "stem", "type": "patch_stem", "width": 16},
        {"id": "mixed", "type": "sequence", "depth": 4, "blocks": [{"type": "mlp"}, {"type": "attention", "heads": 2}]},
        {"id": "head", "type": "mean_head"},
    ]
    from archdsl.load import spec_of

    document = {"kind": "arch", "version": 1, "name": "mixed", "image": 32, "classes": 10}
    mixed = parts(spec_of({**document, "nodes": nodes}))
    nodes[1] = {"id": "mixed", "type": "mlp", "depth": 2}
    plain = parts(spec_of({**document, "nodes": nodes}))
    assert [part.block for part in mixed if part.node == "mixed"] == [0, 1, 2, 3, None]
    assert mixed[1].key == mixed[3].key == plain[1].key
    assert mixed[2].key != mixed[1].key


# Survey


def test_the_carriers_hold_every_part_and_the_others_are_networks_of_their_own(space: Space) -> None:
    found = survey(space, frozenset(), calibration=5, held_out=7)
    carried = {part.key for spec in found.carriers for part in parts(spec)}
    assert found.complete
    assert carried == found.keys
    others = [canonical_hash(spec) for spec in (*found.calibration, *found.held_out)]
    assert len({*others, *map(canonical_hash, found.carriers)}) == 12 + len(found.carriers)
    assert {part.key for spec in found.held_out for part in parts(spec)} <= found.keys
    assert survey(space, frozenset(), 5, 7).held_out == found.held_out


def test_what_is_known_needs_no_carrier(space: Space) -> None:
    keys = survey(space, frozenset(), 1, 1).keys
    assert survey(space, keys, 1, 1).carriers == ()
    some = frozenset(sorted(keys)[: len(keys) // 2])
    carried = {part.key for spec in survey(space, some, 1, 1).carriers for part in parts(spec)}
    assert keys - some <= carried


def test_a_space_with_too_few_networks_is_refused(space: Space) -> None:
    with pytest.raises(MeasureError, match=r"space 'tiny' has \d+ networks.* ask for fewer"):
        survey(space, frozenset(), 10_000, 1)


# Timing


def test_parts_in_place_add_up_to_the_nodes_of_the_network() -> None:
    found = parts(space_point())
    net = InPlace(space_point(), found, CPU)
    net()
    net.take(1)
    [taken] = net.taken
    assert set(taken) == {part.key for part in found}
    assert all(math.isfinite(ms) for ms in taken.values())
    assert sum(taken[part.key] for part in found) > 0


def test_a_stages_ends_are_what_its_blocks_leave_of_it() -> None:
    found = parts(override(load_spec("litv2_s"), ["stage3.depth=2"]))
    totals = {(part.node, part.block): 1.0 if part.block is not None else 10.0 for part in found}
    ms = by_key(found, totals)
    ends = next(part for part in found if part.node == "stage3" and part.block is None)
    assert ms[ends.key] == 8.0
    assert ms[found[0].key] == 10.0


def test_a_session_times_every_part_and_every_whole_network(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "MOST_PASSES", 2)
    monkeypatch.setattr(session, "_WARM_UP_S", 0.0)
    monkeypatch.setattr(session, "_SETTLE_S", 0.0)
    monkeypatch.setattr(session, "STEADY", -1.0)
    found = small_survey(space)
    taken = session.measured(found, CPU, 1, "p10", 3, lambda text: None)
    assert set(taken.parts) == {part.key for spec in found.carriers for part in parts(spec)}
    assert [len(samples) for samples in taken.whole] == [6, 6]
    assert {len(samples) for each in taken.parts.values() for samples in each} == {6}


def test_parts_alone_are_timed_on_what_they_read_in_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = space_point()
    runs = tables_alone(spec)
    assert set(runs) == {(part.node, part.block) for part in parts(spec)} | {(part.node, None) for part in parts(spec)}
    for run in runs.values():
        assert plain_timer("cpu")(run, 1) > 0


def tables_alone(spec: Spec) -> dict[Any, Any]:
    from archdsl.latency.tables.timing import alone

    return alone(spec, parts(spec), CPU)


def space_point() -> Spec:
    return small_survey(space_of(SPACE)).held_out[0]


def small_survey(space: Space) -> Survey:
    found = survey(space, frozenset(), 1, 1)
    return found._replace(carriers=found.carriers[:2])


# Calibration


def test_a_calibration_finds_what_a_machine_does_and_starts_from_the_plain_sum() -> None:
    generator = random.Random(0)
    sums = [Sum(generator.uniform(2, 9), generator.randint(8, 20), generator.uniform(0.2, 4)) for _ in range(20)]
    machine = Calibration(1.15, 0.02, 0.1)
    found = fitted(sums, [machine(one) for one in sums])
    assert all(math.isclose(found(one), machine(one), rel_tol=0.01) for one in sums)
    assert fitted([], []) == PLAIN
    assert PLAIN(sums[0]) == sums[0].ms


def test_errors_are_relative_and_ranks_are_counted() -> None:
    found = accuracy([1.1, 1.8, 3.0], [1.0, 2.0, 3.0])
    assert (found.networks, round(found.mape, 4), round(found.worst, 4)) == (3, 0.0667, 0.1)
    assert found.kendall_tau == 1.0
    assert kendall_tau([1, 2, 3], [3, 2, 1]) == -1.0
    assert kendall_tau([1, 1, 1], [1, 2, 3]) == 0.0
    assert math.isclose(kendall_tau([1, 2, 3, 4], [1, 3, 2, 4]), 4 / 6)


# The table


def test_a_table_predicts_networks_that_it_was_not_made_from(table: Table, space: Space) -> None:
    assert table.accuracy.networks == 12
    assert table.accuracy.worst < 0.02
    assert table.accuracy.kendall_tau > 0.95
    for spec in survey(space, frozenset(), 1, 20, seed=5).held_out:
        assert math.isclose(table.predict(spec), truth(spec), rel_tol=0.02)


def test_throughput_is_images_a_second_at_the_tables_batch(table: Table) -> None:
    assert table.images_per_second(5.0) == 200.0
    assert table._replace(setting=table.setting | {"batch": 8}).images_per_second(5.0) == 1600.0


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


def facts(table: Table, **changes: Any) -> dict[str, Any]:
    return table.provenance | changes


def test_a_kept_table_is_read_as_it_was(table: Table, space: Space) -> None:
    assert tables.load(space, table.setting, facts(table)) == table
    assert json.loads(json.dumps(table.as_json()))["accuracy"]["mape"] == table.accuracy.mape


@pytest.mark.parametrize("name", DECIDING)
def test_a_table_of_another_device_or_version_is_refused_by_what_differs(table: Table, space: Space, name: str) -> None:
    message = rf"stale: {name} was .* and is another; build it: archdsl lut build tiny --device cpu$"
    with pytest.raises(StaleTable, match=message):
        tables.load(space, table.setting, facts(table, **{name: "another"}))


def test_a_table_of_another_form_of_the_space_is_refused(table: Table, space: Space) -> None:
    other = space_of(json.loads(json.dumps(SPACE).replace('"heads": 4', '"heads": 2')))
    with pytest.raises(StaleTable, match="the space's nodes or constraints have changed"):
        tables.load(other, table.setting, facts(table))
    assert space_digest(space.model_copy(update={"classes": 3})) == table.space_digest


@pytest.mark.parametrize("change", [{"batch": 2}, {"mode": "compile"}, {"dtype": "bfloat16"}, {"threads": 4}])
def test_a_table_is_for_its_setting_alone(table: Table, space: Space, change: dict[str, Any]) -> None:
    with pytest.raises(MeasureError, match="there is no table of tiny on cpu"):
        tables.load(space, table.setting | change, facts(table))


def test_a_damaged_file_counts_as_none(table: Table, space: Space, cache: Path) -> None:
    for file in (cache / "latency").glob("table-*.json"):
        file.write_text("{")
    with pytest.raises(MeasureError, match="there is no table"):
        tables.load(space, table.setting, facts(table))


def test_a_cache_that_cannot_be_written_is_told(table: Table, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / "file").write_text("")
    monkeypatch.setenv("ARCHDSL_CACHE", str(cache / "file"))
    with pytest.raises(MeasureError, match=r"the table cannot be kept: .*; name a folder by ARCHDSL_CACHE"):
        save(table)


# The search


def test_a_search_uses_the_fresh_table_of_its_setting_and_none_other(table: Table) -> None:
    assert tables_of(settings(space=SPACE, threads=1), facts(table)) == Tables((table,))
    assert tables_of(settings(space=SPACE, threads=1), facts(table, torch="1.0")) is None
    assert tables_of(settings(space=SPACE, threads=1, batch=4), facts(table)) is None


def test_where_threads_are_chosen_for_each_network_the_tables_of_both_are_used(table: Table) -> None:
    own = facts(table, physical_cores=4)
    table = table._replace(provenance=own)
    save(table)
    assert tables_of(settings(space=SPACE), own) == Tables((table,), 4.0)
    every = table._replace(setting=table.setting | {"threads": 4})
    save(every)
    assert tables_of(settings(space=SPACE), own) == Tables((table, every))
    for file in (Path(os.environ["ARCHDSL_CACHE"]) / "latency").glob("table-*.json"):
        if json.loads(file.read_text())["setting"]["threads"] == 1:
            file.unlink()
    assert tables_of(settings(space=SPACE), own) is None  # on one thread anything may be faster


def test_tables_of_several_threads_say_what_the_faster_says(table: Table) -> None:
    spec = space_point()
    slower = table._replace(calibration=table.calibration._replace(factor=2 * table.calibration.factor))
    ms, worst = table.predict(spec), 1 + table.accuracy.worst
    assert Tables((slower, table)).predict(spec) == ms
    assert Tables((slower, table)).least(spec) == ms / worst
    assert Tables((table,), 4.0).least(spec) == ms / worst / 4


def test_a_table_rejects_from_the_first_trial_what_is_over_by_more_than_it_erred(table: Table) -> None:
    spec = space_point()
    careful = LatencyModel(Tables((table._replace(accuracy=table.accuracy._replace(worst=0.5)),)))
    ms = table.predict(spec)
    assert careful.surely_over(spec, ms / 1.6) == ms
    assert careful.surely_over(spec, ms / 1.4) is None
    assert LatencyModel().surely_over(spec, ms / 100) is None


def test_tables_are_scaled_to_what_the_search_measures(table: Table, space: Space) -> None:
    model, specs = LatencyModel(Tables((table,))), survey(space, frozenset(), 1, ENOUGH_TO_SCALE).held_out
    spec = space_point()
    for number, measured in enumerate(specs):
        assert model.guess(spec) == table.predict(spec), number
        model.learn(measured, 0.8 * table.predict(measured))
    assert model.guess(spec) == pytest.approx(0.8 * table.predict(spec))
    gate = 0.9 * table.predict(spec) / (1 + table.accuracy.worst)
    assert LatencyModel(Tables((table,))).surely_over(spec, gate) is not None
    assert model.surely_over(spec, gate) is None


def test_where_the_table_knows_nothing_the_search_learns_by_itself(table: Table, space: Space) -> None:
    model = LatencyModel(Tables((table._replace(times={}),)))
    specs = survey(space, frozenset(), 1, ENOUGH + 4).held_out
    for spec in specs:
        model.learn(spec, 1.0 + count(spec).macs / 1e6)
    assert model.surely_over(specs[0], 0.01) is not None


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
    assert line.endswith("build it: archdsl lut build lit-dat-64 --device cpu --batch 8\n")
    assert main(["lut", "show", "lit-dat-46", "--device", "cpu"]) == 2
    assert main(["lut", "show", "lit-dat-64", "--stat", "mean"]) == 2


def text_of(drawn: Any, width: int = 80) -> str:
    console = Console(width=width, color_system=None, file=io.StringIO())
    console.print(drawn)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_a_table_shows_its_error_first_and_the_longest_parts(table: Table) -> None:
    lines = text_of(table_sheet(table), 100).splitlines()
    assert lines[0].startswith("tiny: error ")
    longest = max(table.times.values())
    assert f"{longest:.3f}" in lines[3] or f"{longest:.3f}" in lines[2]
    assert max(map(len, text_of(table_sheet(table)).splitlines())) <= 80


def test_a_prediction_says_that_it_is_one(table: Table) -> None:
    text = text_of(predictions([("net", 5.0)], table), 100)
    assert "net" in text
    assert "5.000" in text
    assert "200" in text
    assert "Predicted, not measured" in text
