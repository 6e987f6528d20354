"""A space examined before the first trial: what it holds, what in it is dead, and how that is shown."""

from __future__ import annotations

import json
import math
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archdsl.cli import main
from archdsl.data import loading as data
from archdsl.data.agreement import BUILT_IN_DATA
from archdsl.load.spaces import point, space_of
from archdsl.render.console import stdout
from archdsl.render.doctor import report
from archdsl.search.doctor import doctor
from archdsl.search.doctor.dead import dead_value_problem
from archdsl.search.doctor.doctor import as_json
from archdsl.search.doctor.points import Points
from archdsl.search.doctor.shares import kept_budgets
from archdsl.search.policy import SHIPPED
from tests.support.examining import Raw, examined, sampling, space, written
from tests.support.fake_worker import Machine, latency_of
from tests.support.screens import text_of
from tests.support.searching import settings

# -------------------------------------------------------------------------------------------------------- what it holds


def test_a_small_space_is_counted_as_a_whole_and_what_is_inactive_does_not_multiply() -> None:
    found = examined()
    assert found.survey.is_whole
    assert found.survey.size.points == 4 * 4 * 2 * (4 + 4 * 3)
    assert found.survey.size.networks == found.survey.size.points
    assert examined(space(constraints=["w <= 32 or d1 == 1"])).survey.size.points == (2 * 4 + 2) * 2 * 16


def test_points_that_build_the_same_are_one_network() -> None:
    document = space()
    document["nodes"][3]["$one_of"][1]["alpha"] = {"$one_of": [0.5, 0.6, 0.75]}  # 2, 2 and 3 of 4 heads
    size = examined(document).survey.size
    assert (size.points, size.networks) == (512, 384)


def test_every_point_of_a_space_is_looked_at_as_the_language_resolves_it() -> None:
    document = space_of(space(constraints=["stage2.depth <= d1"]))
    looked = Points(document)
    generator = random.Random(0)
    for _ in range(40):
        choices: dict[str, Any] = {
            "w": 32,
            "d1": generator.randint(1, 4),
            "d2": generator.randint(1, 4),
            "mlp": "plain",
        }
        choices |= {"stage2": generator.choice(["mlp", "hilo"]), "stage2.hilo.alpha": 0.5}
        network = looked.look(choices.__getitem__).network
        if choices["d2"] > choices["d1"]:
            assert network is None
        else:
            assert network is not None
            assert network.spec == point(document, choices.__getitem__)[0]


def test_a_large_space_is_sampled_and_its_size_estimated_with_an_error() -> None:
    whole, found = examined(), examined(policy=sampling(100, 300))
    assert not found.survey.is_whole
    size = found.survey.size
    assert size.error > 0
    assert abs(size.points - whole.survey.size.points) < 4 * size.error
    assert found.ranges["params"].least == whole.ranges["params"].least
    assert found.ranges["macs"].most == whole.ranges["macs"].most


def test_a_range_without_steps_makes_the_points_infinitely_many() -> None:
    document = space()
    document["nodes"][3]["$one_of"][1]["alpha"] = {"$float": [0.2, 0.9]}
    found = examined(document, policy=sampling(10_000, 50))
    assert found.survey.size.continuous == ("stage2.hilo.alpha",)


def test_the_data_decides_the_classes_that_are_counted() -> None:
    assert examined(data="digits").ranges["params"].least < examined(data="shapetex").ranges["params"].least
    for name, (channels, classes) in BUILT_IN_DATA.items():
        loaded = data.load(name, 16, 0, train=40, validation=20)
        assert (loaded.channels, loaded.classes) == (channels, classes)


# --------------------------------------------------------------------------------------------------------- what is dead


def dead_space() -> Raw:
    document = space(constraints=["w != 48"])
    document["nodes"][3]["$one_of"][1]["heads"] = {"$one_of": [4, 7]}
    return document


def test_dead_values_are_told_with_their_reason_and_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, dead_space())
    assert main(["doctor", str(path), "--no-measure", "--device", "cpu", "--json"]) == 0
    width, heads = json.loads(capsys.readouterr().out)["dead"]
    lines = path.read_text().splitlines()
    assert "48" in lines[width["line"] - 1]
    assert "7" in lines[heads["line"] - 1]
    assert width["file"] == str(path)
    assert width["path"] == "nodes[0].width.$one_of[2]"
    assert heads["path"] == "nodes[3].$one_of[1].heads.$one_of[1]"
    assert "the constraint w != 48 does not hold" in width["rule"]
    assert "must be a multiple of heads" in heads["rule"]
    assert "no valid network has it" in width["rule"]


def test_dead_values_of_a_space_that_is_not_looked_at_as_a_whole_are_drawn_first() -> None:
    width, heads = (dead_value_problem(dead) for dead in examined(dead_space(), policy=sampling(10, 200)).dead)
    assert width.keys == ("nodes", 0, "width", "$one_of", 2)
    assert heads.keys == ("nodes", 3, "$one_of", 1, "heads", "$one_of", 1)
    assert width.rule.startswith("w = 48 is dead: none of 200 combinations drawn with it is valid: ")
    assert "the constraint w != 48 does not hold" in width.rule
    assert "must be a multiple of heads" in heads.rule


def test_what_stands_inside_a_dead_alternative_is_not_told_again() -> None:
    found = examined(space(constraints=["stage2 == 'mlp'"]))
    assert [(dead.name, dead.value) for dead in found.dead] == [("stage2", "hilo")]


def test_a_rare_value_that_was_not_drawn_is_alive() -> None:
    assert not examined(policy=sampling(10, 3)).dead


# ------------------------------------------------------------------------------------------------------- as it is shown


def test_the_report_says_what_was_measured_and_how_sure_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    found = examined(measure=True, latency_budget_ms=3.0)
    stdout(120).print(report(found, ["space.json:1:2: a dead one"]), soft_wrap=True)
    out = capsys.readouterr().out
    assert found.timed is not None
    assert "size  512 combinations, 512 valid, 512 distinct networks" in out
    assert f"p10 measured on {len(found.timed.measured)} networks in eager; the others are predicted by" in out
    assert "dead  1 value that no valid network has\n  space.json:1:2: a dead one" in out
    assert "time  100 trials take" in out
    inside = found.shares[-1]
    assert f"feasible  the budget can be met: about {100 * inside.inside / inside.of:.0f} % of the networks" in out
    half = next(kept.budget_ms for kept in found.kept_budgets if kept.share == 0.5)
    assert f"half of the networks meet a latency budget of {half:.3g}" in out


def test_each_measurement_is_told_once_and_a_sampled_size_in_plain_numbers() -> None:
    lines: list[str] = []
    asked = settings(space=space(), latency_budget_ms=None, trials=None)
    found = doctor.examine(asked, time_s=2.0, new_worker=Machine().worker, policy=sampling(10, 300), say=lines.append)
    measuring = [line for line in lines if line.startswith("measuring network ")]
    assert len(set(measuring)) == len(measuring)
    assert sum("predicted to be the fastest of those not measured yet" in line for line in measuring) == 3
    size = text_of(report(found, []), 200)
    assert re.search(r"size  about \d+ ± \d+ valid combinations", size)
    assert not re.search(r"\de[+-]\d", size)


def test_json_has_the_same_facts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "Worker", Machine().worker)
    asked = ["doctor", str(written(tmp_path, space())), "--device", "cpu", "--time", "1s", "--latency-budget", "3ms"]
    assert main([*asked, "--trials", "7", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["feasible"]
    assert content["trials"] == 7
    assert content["size"]["points"] == 512
    assert len(content["latency"]["measured_ms"]) >= SHIPPED.examination.enough
    assert content["search_s"][0] < content["search_s"][1]


def test_without_a_latency_budget_it_says_which_budgets_shares_of_the_points_keep(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In a runtime of files by a formula that is fitted to a few networks, as an export takes seconds."""
    policy = replace(SHIPPED, examination=replace(SHIPPED.examination, most_measured=6, fastest=0))
    found = examined(measure=True, runtime="onnxruntime", policy=policy)
    assert found.timed is not None
    assert len(found.timed.measured) == 6
    true = sorted(latency_of(network.spec) for _, network in found.survey.valid)
    for kept in found.kept_budgets:
        share = sum(ms <= kept.budget_ms for ms in found.timed.predicted if ms is not None) / len(true)
        assert share == pytest.approx(kept.share, abs=0.01)
        assert kept.low_ms < kept.budget_ms < kept.high_ms
        assert kept.budget_ms == pytest.approx(true[int(kept.share * len(true)) - 1], rel=0.25)
    stdout(120).print(report(found, []), soft_wrap=True)
    out = " ".join(capsys.readouterr().out.split())
    assert "Latency budgets by the share of all 512 valid combinations inside" in out
    assert out.count("6 networks in onnxruntime; the others are predicted by a formula of MACs and operators") == 1
    assert out.count("are predicted by") == 1
    facts: Raw = {**as_json(found, [])}
    assert [kept["share"] for kept in facts["latency_budgets"]] == [0.2, 0.5, 0.8]
    assert facts["latency"]["method"] == "a formula of MACs and operators"


def test_what_is_measured_with_a_budget_says_its_share_and_the_table_of_budgets_is_left_to_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = examined(measure=True, latency_budget_ms=3.0)
    stdout(120).print(report(found, []), soft_wrap=True)
    out = " ".join(capsys.readouterr().out.split())
    assert out.count("networks in eager; the others are predicted by a regression on blocks and MACs") == 1
    assert out.count("are predicted by") == 1
    assert "Latency budgets by the share" not in out
    assert len(found.kept_budgets) == 3


def test_a_budget_that_a_share_keeps_has_an_interval_of_the_sampling_and_the_error() -> None:
    latencies = [float(ms) for ms in range(1, 101)]
    (whole,) = kept_budgets([*latencies, math.inf], (0.5,), True, 0.1)
    assert (whole.share, whole.budget_ms, whole.low_ms) == (0.5, 50.0, 45.0)
    assert whole.high_ms == pytest.approx(55.0)
    (sampled,) = kept_budgets(latencies, (0.5,), False, 0.0)
    assert (sampled.budget_ms, sampled.low_ms, sampled.high_ms) == (50.0, 41.0, 60.0)
    assert kept_budgets([math.inf], (0.5,), True, 0.0) == []
