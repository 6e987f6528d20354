"""Budgets and time told before the first trial, on formulas instead of a machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from archdsl.cli import main
from archdsl.errors import SearchError
from archdsl.load.spaces import point, space_of
from archdsl.render.console import stdout
from archdsl.render.doctor import report
from archdsl.search import run as run_search
from archdsl.search.doctor import doctor
from archdsl.search.doctor.feasible import remedies_of, require_feasible
from archdsl.search.doctor.points import Points
from archdsl.search.doctor.survey import survey
from archdsl.search.policy import SHIPPED
from archdsl.spaces.resolve import Choices
from archdsl.training.pace import noise, pace
from tests.support.examining import examined, sampling, space, written
from tests.support.fake_worker import Machine
from tests.support.screens import text_of
from tests.support.searching import settings


def test_latencies_are_measured_on_some_and_predicted_for_the_others() -> None:
    machine = Machine(noise=0.02)
    found = examined(measure=True, machine=machine, latency_budget_ms=3.0)
    timed = found.timed
    assert timed is not None
    assert SHIPPED.examination.enough <= len(timed.measured) == len(machine.names("measure")) < 512
    assert len(timed.predicted) == 512
    assert timed.errors == sorted(timed.errors)
    assert 0 < found.ranges["latency"].least < found.ranges["latency"].median < found.ranges["latency"].most
    latency = found.shares[0]
    assert latency.metric == "latency"
    assert latency.low <= latency.inside / latency.of <= latency.high


def test_the_share_of_a_sample_has_an_interval_and_that_of_a_whole_space_none() -> None:
    whole = examined(params_budget=1e5).shares[0]
    assert whole.low == whole.inside / whole.of == whole.high
    drawn = examined(params_budget=1e5, policy=sampling(100, 400)).shares[0]
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
    assert high - low == pytest.approx(100 * (1 - share) * found.timed.train_s[0])


def test_workers_divide_the_training_of_trials_and_nothing_else() -> None:
    found = examined(measure=True, latency_budget_ms=3.0)
    assert found.timed is not None
    alone, two = (found._replace(workers=workers).search_s for workers in (1, 2))
    assert alone is not None
    assert two is not None
    assert alone[1] - two[1] == pytest.approx(100 * found.timed.train_s[0] / 2)


def test_the_report_says_for_how_many_workers_its_time_is(capsys: pytest.CaptureFixture[str]) -> None:
    found = examined(measure=True, latency_budget_ms=3.0)
    stdout(120).print(report(found._replace(workers=2), []), soft_wrap=True)
    assert "100 trials with 2 workers take" in capsys.readouterr().out


def test_the_time_is_that_of_all_networks_where_the_space_has_fewer_than_the_trials() -> None:
    """Trials end with the space; alike seconds are written once."""
    document = space(constraints=["w <= 32 or d1 == 1"])
    document["nodes"][3]["$one_of"] = document["nodes"][3]["$one_of"][:1]
    found = examined(document, measure=True, latency_budget_ms=3.0)
    networks = found.survey.size.networks
    assert networks is not None
    assert 1 < networks == found.trials < 100
    out = " ".join(text_of(report(found, []), 120).split())
    assert f"time all {networks} networks of the space take" in out
    assert "trains for 5 s (" in out
    assert "half of the networks meet a latency budget of" in out


def test_budgets_that_nothing_drawn_meets_are_said_to_be_met_by_very_few() -> None:
    found = examined(measure=True, latency_budget_ms=3.0)
    none = [share._replace(inside=0) for share in found.shares]
    assert "the budget can be met, by very few networks" in text_of(report(found._replace(shares=none), []), 200)
    three = [found.shares[0], *found.shares]
    assert "the budgets can be met together: about" in text_of(report(found._replace(shares=three), []), 200)


def test_without_a_known_share_the_report_gives_one_time(capsys: pytest.CaptureFixture[str]) -> None:
    found = examined(measure=True, latency_budget_ms=3.0)
    assert found.timed is not None
    few = found._replace(timed=found.timed._replace(errors=[]), shares=[])
    stdout(200).print(report(few, []), soft_wrap=True)
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("time"))
    assert "only the share" not in line
    assert line.count(" if ") == 1
    assert line.endswith("; what share is inside the budgets, and need be trained, is unknown")
    measured = len(found.timed.measured)
    few_text = text_of(report(few._replace(kept_budgets=[]), []), 200)
    assert f"half of the {measured} networks that were measured meet a latency budget of" in few_text


def test_a_budget_below_everything_is_infeasible_and_says_what_would_do() -> None:
    found = examined(measure=True, latency_budget_ms=0.1)
    (remedy,) = found.remedies
    assert found.timed is not None
    assert remedy.least == min(ms for _, ms in found.timed.measured)
    assert f"--latency-budget {remedy.least * 1.01:.3g}ms would be feasible" in str(remedy)


def test_what_is_said_to_be_feasible_of_a_throughput_is_a_throughput(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "Worker", Machine().worker)
    asked = ["doctor", str(written(tmp_path, space())), "--device", "cpu", "--time", "1s", "--batch", "4"]
    assert main([*asked, "--throughput-budget", "100K/s"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "throughput 100,000/s: the highest found is" in out
    rate = out.partition("--throughput-budget ")[2].split()[0]
    assert main([*asked, "--throughput-budget", rate]) == 0


def test_budgets_that_only_together_leave_nothing_are_told_together() -> None:
    rows = [{"params": 2e6, "macs": 9e6, "memory": 1.0}, {"params": 8e6, "macs": 3e6, "memory": 1.0}]
    assert not remedies_of(rows, {"params": 5e6, "macs": 9e6, "memory": 5.0})
    texts = [str(remedy) for remedy in remedies_of(rows, {"params": 5e6, "macs": 5e6, "memory": 5.0})]
    assert texts == [
        "params 5 M: the lowest found is 8 M; --params-budget 8.08M would be feasible",
        "macs 5 M: the lowest found is 9 M; --macs-budget 9.09M would be feasible",
    ]


def test_what_is_said_to_be_feasible_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, space())
    asked = ["doctor", str(path), "--no-measure", "--device", "cpu"]
    assert main([*asked, "--params-budget", "1K"]) == 1
    out = capsys.readouterr().out
    budget = out.partition("--params-budget ")[2].split()[0]
    assert "INFEASIBLE" in out
    assert main([*asked, "--params-budget", budget]) == 0
    assert "feasible  the budget can be met: " in capsys.readouterr().out


def test_a_search_refuses_such_budgets_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match=r"params 0\.001 M: the lowest found is .* would be feasible"):
        run_search(written(tmp_path, space()), device="cpu", params_budget=1e3, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    require_feasible(settings(params_budget=1e6), SHIPPED.descent)
    require_feasible(settings(params_budget=None), SHIPPED.descent)


def test_data_of_unknown_classes_is_taken_for_the_least() -> None:
    smallest = space_of(space(classes=1, channels=1))
    found = survey(smallest, Points(smallest), SHIPPED.survey).valid
    least = min(network.counted.params for _, network in found)
    require_feasible(settings(params_budget=least, data="elsewhere"), SHIPPED.descent)
    with pytest.raises(SearchError, match="no network of the space"):
        require_feasible(settings(params_budget=least, data="shapetex"), SHIPPED.descent)


def test_the_pace_of_training_is_of_real_steps() -> None:
    choices: Choices = {"w": 16, "d1": 1, "d2": 1, "mlp": "plain", "stage2": "mlp"}
    spec = point(space_of(space()), choices.__getitem__)[0]
    found = pace(spec, "cpu", noise(spec))
    assert found.step_s > 0
    assert found.image_s > 0
