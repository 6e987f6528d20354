"""A space examined before the first trial, on small spaces and on formulas instead of a machine."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest
from searching import SPACE, Machine, settings

from archdsl.cli import main
from archdsl.errors import SearchError, SpecError
from archdsl.render.console import stdout
from archdsl.render.doctor import report
from archdsl.schema.contradiction import contradiction
from archdsl.schema.space import Space
from archdsl.search import run as run_search
from archdsl.search.data import loading as data
from archdsl.search.doctor import doctor, survey
from archdsl.search.doctor.doctor import Examination, examine
from archdsl.search.doctor.feasible import BUILT_IN_DATA, remedies_of, require_feasible
from archdsl.search.doctor.points import Points
from archdsl.search.doctor.timing import ENOUGH
from archdsl.search.ladder.rungs import PAUSE_S
from archdsl.search.training.pace import noise, pace
from archdsl.spaces import parse_space, point, space_of

Raw = dict[str, Any]


def space(**changes: Any) -> Raw:
    return {**copy.deepcopy(SPACE), **changes}


def examined(
    document: Raw | None = None, measure: bool = False, machine: Machine | None = None, **more: Any
) -> Examination:
    asked = settings(space=document or space(), **{"latency_budget_ms": None, "trials": None, **more})
    return examine(asked, measure=measure, time_s=2.0, new_worker=(machine or Machine()).worker)


def written(folder: Path, document: Raw) -> Path:
    path = folder / "space.json"
    path.write_text(json.dumps(document, indent=1))
    return path


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


def test_a_large_space_is_sampled_and_its_size_estimated_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = examined()
    monkeypatch.setattr(survey, "MOST_CHOICES", 100)
    monkeypatch.setattr(survey, "SAMPLES", 300)
    found = examined()
    assert not found.survey.is_whole
    size = found.survey.size
    assert size.error > 0
    assert abs(size.points - whole.survey.size.points) < 4 * size.error
    assert found.ranges["params"].least == whole.ranges["params"].least
    assert found.ranges["macs"].most == whole.ranges["macs"].most


def test_a_range_without_steps_makes_the_points_infinitely_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "SAMPLES", 50)
    document = space()
    document["nodes"][3]["$one_of"][1]["alpha"] = {"$float": [0.2, 0.9]}
    found = examined(document)
    assert found.survey.size.continuous == ("stage2.hilo.alpha",)


def test_the_data_decides_the_classes_that_are_counted(tmp_path: Path) -> None:
    assert examined(data="digits").ranges["params"].least < examined(data="shapetex").ranges["params"].least
    assert examined(data=str(tmp_path)).own_classes
    for name, (channels, classes) in BUILT_IN_DATA.items():
        loaded = data.load(name, 16, 0, train=40, validation=20)
        assert (loaded.channels, loaded.classes) == (channels, classes)


# --------------------------------------------------------------------------------------------------------- what is dead


def dead_space() -> Raw:
    document = space(constraints=["w != 48"])
    document["nodes"][3]["$one_of"][1]["heads"] = {"$one_of": [4, 7]}
    return document


@pytest.mark.parametrize("most", [10_000, 10])
def test_dead_values_are_told_with_their_reason_and_place(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(survey, "MOST_CHOICES", most)
    monkeypatch.setattr(survey, "SAMPLES", 200)
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
    assert ("no network has it" in width["rule"]) == (most > 10)


def test_what_stands_inside_a_dead_alternative_is_not_told_again() -> None:
    found = examined(space(constraints=["stage2 == 'mlp'"]))
    assert [(dead.name, dead.value) for dead in found.dead] == [("stage2", "hilo")]


def test_a_rare_value_that_was_not_drawn_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "MOST_CHOICES", 10)
    monkeypatch.setattr(survey, "SAMPLES", 3)
    assert not examined().dead


# ------------------------------------------------------------------------------------------------------- contradictions


def test_the_fewest_contradicting_constraints_are_told_with_their_places(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, space(constraints=["d1 >= 2", "w >= 48", "d2 >= 1", "w <= 8 * d1"]))
    for command in (["check"], ["doctor", "--no-measure"], ["search", "--out", str(tmp_path / "run")]):
        assert main([command[0], str(path), *command[1:]]) == 1
        told = "".join(capsys.readouterr()).splitlines()
        assert len(told) == 2
        assert told[0].endswith(
            "constraints[1]: none of 16 choices keeps the constraint w >= 48 together with constraints[3] "
            "(w <= 8 * d1); change one of them"
        )
        assert told[1].split(":")[0] == str(path)
    assert not (tmp_path / "run").exists()


def test_constraints_that_few_choices_keep_do_not_contradict() -> None:
    document = Space.model_validate(space(constraints=["d1 == 3", "w == 48", "d2 == 2", "stage2 == 'hilo'"]))
    assert contradiction(document) is None


def test_a_contradiction_of_values_that_follow_is_proven() -> None:
    document = Space.model_validate(space(constraints=["merge1.width >= 100", "stem.width <= 32"]))
    found = contradiction(document)
    assert found is not None
    assert found.constraints == (0, 1)
    assert found.is_proven


def test_a_contradiction_on_a_continuous_range_is_said_to_be_drawn() -> None:
    document = space(constraints=["a > 0.9"])
    document["nodes"][3]["$one_of"][1]["alpha"] = {"$float": [0.2, 0.8], "$name": "a"}
    document["constraints"] = ["a > 0.9", "stage2 == 'hilo'"]
    with pytest.raises(SpecError, match=r"none of 1,000 choices drawn keeps the constraint a > 0\.9 together"):
        parse_space(json.dumps(document).encode(), "x.json")


# ----------------------------------------------------------------------------------------------------- budgets and time


def test_latencies_are_measured_on_some_and_predicted_for_the_others() -> None:
    machine = Machine(noise=0.02)
    found = examined(measure=True, machine=machine, latency_budget_ms=3.0)
    timed = found.timed
    assert timed is not None
    assert ENOUGH <= len(timed.measured) == len(machine.names("measure")) < 512
    assert len(timed.predicted) == 512
    assert timed.errors == sorted(timed.errors)
    assert 0 < found.ranges["latency"].least < found.ranges["latency"].median < found.ranges["latency"].most
    latency = found.shares[0]
    assert latency.metric == "latency"
    assert latency.low <= latency.inside / latency.of <= latency.high


def test_the_share_of_a_sample_has_an_interval_and_that_of_a_whole_space_none(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = examined(params_budget=1e5).shares[0]
    assert whole.low == whole.inside / whole.of == whole.high
    monkeypatch.setattr(survey, "MOST_CHOICES", 100)
    monkeypatch.setattr(survey, "SAMPLES", 400)
    drawn = examined(params_budget=1e5).shares[0]
    assert drawn.low < drawn.inside / drawn.of < drawn.high
    assert drawn.low < whole.low < drawn.high


def test_the_search_time_follows_from_what_was_measured() -> None:
    found = examined(measure=True, latency_budget_ms=3.0)
    assert found.timed is not None
    assert found.search_s is not None
    assert found.timed.train_s == pytest.approx([250 * 0.01 + 2500 * 0.001] * 3)
    low, high = found.search_s
    assert low < high
    share = found.shares[-1].inside / found.shares[-1].of
    again_s = found.timed.near(3.0) * 2 * (found.timed.measure_s + PAUSE_S)
    assert high - low == pytest.approx(100 * ((1 - share) * found.timed.train_s[0] - again_s))


def test_what_misses_the_budget_by_little_is_reckoned_to_be_measured_again() -> None:
    found = examined(measure=True, latency_budget_ms=3.0).timed
    assert found is not None
    known = found._replace(predicted=[2.0, 3.5, 4.4, 4.6, None], measure_s=0.5)
    assert known.near(3.0) == 0.5
    assert known.near(10.0) == 0
    without, again = (known.seconds(100, 0.2, near=near)[0] for near in (0.0, 0.5))
    assert again - without == pytest.approx(100 * 0.5 * 2 * (0.5 + PAUSE_S))


def test_workers_divide_the_training_of_trials_and_nothing_else() -> None:
    found = examined(measure=True, latency_budget_ms=3.0)
    assert found.timed is not None
    one, two = (found._replace(workers=workers).search_s for workers in (1, 2))
    assert one is not None
    assert two is not None
    assert one[1] - two[1] == pytest.approx(100 * found.timed.train_s[0] / 2)


def test_the_report_says_for_how_many_workers_its_time_is(capsys: pytest.CaptureFixture[str]) -> None:
    found = examined(measure=True, latency_budget_ms=3.0)
    stdout(120).print(report(found._replace(workers=2), []), soft_wrap=True)
    assert "100 trials, 2 side by side, take" in capsys.readouterr().out


def test_a_budget_below_everything_is_infeasible_and_says_what_would_do() -> None:
    found = examined(measure=True, latency_budget_ms=0.1)
    (remedy,) = found.remedies
    assert found.timed is not None
    assert remedy.least == min(ms for _, ms in found.timed.measured)
    assert f"--latency-budget {remedy.least * 1.01:.3g}ms would be feasible" in str(remedy)


def test_budgets_that_only_together_leave_nothing_are_told_together() -> None:
    rows = [{"params": 2e6, "macs": 9e6, "memory": 1.0}, {"params": 8e6, "macs": 3e6, "memory": 1.0}]
    assert not remedies_of(rows, {"params": 5e6, "macs": 9e6, "memory": 5.0})
    told = [str(remedy) for remedy in remedies_of(rows, {"params": 5e6, "macs": 5e6, "memory": 5.0})]
    assert told == [
        "params 5 M: the least found is 8 M; --params-budget 8.08M would be feasible",
        "macs 5 M: the least found is 9 M; --macs-budget 9.09M would be feasible",
    ]


def test_what_is_said_to_be_feasible_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, space())
    asked = ["doctor", str(path), "--no-measure", "--device", "cpu"]
    assert main([*asked, "--params-budget", "1K"]) == 1
    out = capsys.readouterr().out
    budget = out.partition("--params-budget ")[2].split()[0]
    assert "INFEASIBLE" in out
    assert main([*asked, "--params-budget", budget]) == 0
    assert "feasible  something was found inside all budgets" in capsys.readouterr().out


def test_a_search_refuses_such_budgets_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match=r"params 0\.001 M: the least found is .* would be feasible"):
        run_search(written(tmp_path, space()), device="cpu", params_budget=1e3, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    require_feasible(settings(params_budget=1e6))
    require_feasible(settings(params_budget=None))


def test_data_of_unknown_classes_is_taken_for_the_least() -> None:
    least = examined(space(classes=1, channels=1), data="elsewhere").ranges["params"].least
    require_feasible(settings(params_budget=least, data="elsewhere"))
    with pytest.raises(SearchError, match="no network of the space"):
        require_feasible(settings(params_budget=least, data="shapetex"))


# ------------------------------------------------------------------------------------------------------- as it is shown


def test_the_report_says_what_was_measured_and_how_sure_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    found = examined(measure=True, latency_budget_ms=3.0)
    stdout(120).print(report(found, ["space.json:1:2: a dead one"]), soft_wrap=True)
    out = capsys.readouterr().out
    assert found.timed is not None
    assert "size  512 points, 512 different networks: all of 512 choices looked at" in out
    assert f"p10 measured on {len(found.timed.measured)} networks; the others predicted, off by" in out
    assert "dead  1 value\n  space.json:1:2: a dead one" in out
    assert "time  100 trials take" in out
    assert "feasible  something was found inside all budgets" in out


def test_json_has_the_same_facts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "Worker", Machine().worker)
    asked = ["doctor", str(written(tmp_path, space())), "--device", "cpu", "--time", "1s", "--latency-budget", "3ms"]
    assert main([*asked, "--trials", "7", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["feasible"]
    assert told["trials"] == 7
    assert told["size"]["points"] == 512
    assert len(told["latency"]["measured_ms"]) >= ENOUGH
    assert told["search_s"][0] < told["search_s"][1]


def test_the_pace_of_training_is_of_real_steps() -> None:
    spec = point(space_of(space()), {"w": 16, "d1": 1, "d2": 1, "mlp": "plain", "stage2": "mlp"}.__getitem__)[0]
    found = pace(spec, "cpu", noise(spec))
    assert found.step_s > 0
    assert found.image_s > 0
