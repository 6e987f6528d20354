"""The proxy check: what it trains, what it keeps, what it says of scores, and when it refuses to."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from searching import SPACE, Machine, quicken, settings

from archdsl.cli import main
from archdsl.errors import SearchError, WrongUse
from archdsl.render.proxy_check import report
from archdsl.search.proxy_check import api as proxy_api
from archdsl.search.proxy_check import check as proxy_check
from archdsl.search.proxy_check import earlier
from archdsl.search.proxy_check.api import checked_proxies
from archdsl.search.proxy_check.check import Check, check
from archdsl.search.proxy_check.judged import judged
from archdsl.search.proxy_check.sample import sample
from archdsl.search.results.folder import RunExists
from archdsl.search.scores.every import NAMES

Record = dict[str, Any]
DATA = {"validation": 1000, "held_out": 1000}
KNOWN = {
    "asked": {"space": "tiny", "seeds": 2, "budgets": {"params": 8e6, "memory": 1e6}, "device": "cpu"},
    **DATA,
    "data": "fake: 10 images",
    "provenance": {"device_name": "a machine"},
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


def asked(networks: int = 10, **changes: Any) -> Check:
    plain = {"latency_budget_ms": None, "trials": None}
    return Check(settings=settings(**{**plain, **changes}), networks=networks)


def trained(number: int, accuracies: tuple[float, ...], scores: float, losses: tuple[float, ...]) -> Record:
    """A record; the scores are all the same, and so is the running loss of a training."""
    trainings = [
        {"accuracy": accuracy, "held_out": accuracy, "running": [loss] * 20, "seconds": 60.0, "fidelity": "6 epochs"}
        for accuracy, loss in zip(accuracies, losses, strict=True)
    ]
    spec = {"name": f"net-{number}", "nodes": [{"id": "stage", "type": "mlp"}]}
    found = {"number": number, "hash": str(number), "spec": spec, "reason": None, "trainings": trainings}
    return found | {"scores": dict.fromkeys(NAMES, scores), "seconds": {"snip": 0.2, "flow": 0.3}}


def networks(noise: float = 0.005, seed: int = 0) -> list[Record]:
    """Twelve, from 20 % to 75 % accurate, perfectly ranked by every score and every loss."""
    rng = random.Random(seed)
    records = []
    for number in range(12):
        middle = 0.2 + 0.05 * number
        accuracies = (middle + rng.gauss(0, noise), middle + rng.gauss(0, noise))
        records.append(trained(number, accuracies, float(number), (4 - middle, 4 - middle)))
    return records


# ------------------------------------------------------------------------------------------------------------- judging


def test_scores_that_rank_all_networks_rightly_meet_every_target_but_the_one_above_params() -> None:
    found = judged(networks(), DATA)
    assert found["refused"] is None
    assert found["ceiling"]["spearman"]["value"] == pytest.approx(1)
    assert found["scores"]["ensemble"]["spearman"]["value"] == pytest.approx(1)
    assert found["scores"]["snip"]["recall"] == 0.8  # the upper third of 12 holds 4 of the 5 best
    assert found["short"]["4"]["spearman_of_other_seed"]["value"] == pytest.approx(1)
    assert [target["met"] for target in found["targets"]] == [True, False, True]
    assert found["targets"][1]["found"] == 0


def wide(count: int, seed: int) -> list[Record]:
    """Networks whose accuracy follows from their width and their scores together."""
    rng, records = random.Random(seed), []
    for number in range(count):
        width, score = rng.choice([16, 32, 48, 64]), rng.random()
        accuracy = 0.2 + 0.004 * width + 0.2 * score
        records.append(trained(1000 * seed + number, (accuracy, accuracy + 0.001), score, (4 - accuracy,) * 2))
        records[-1]["spec"]["nodes"][0]["width"] = width
    return records


def test_networks_of_earlier_checks_tell_of_those_of_a_new_one() -> None:
    before = judged(wide(24, seed=1), DATA)["networks"]
    records = wide(12, seed=2)
    found, alone = judged(records, DATA, before), judged(records, DATA)
    assert (found["before"], alone["before"]) == (24, 0)
    assert found["trained"] == len(found["networks"]) == 12
    assert found["fitted_after"]["0"]["spearman"]["value"] > 0.9
    fits = [told["scores"]["fitted"]["spearman"]["value"] for told in (alone, found)]
    assert fits[0] < fits[1]
    promises = [told["short"]["4"]["beside_scores"]["spearman"]["value"] for told in (alone, found)]
    assert promises[0] < promises[1]


def test_a_network_is_not_told_by_its_own_training_of_an_earlier_check() -> None:
    records = wide(12, seed=2)
    again = judged(records, DATA, judged(records, DATA)["networks"])
    assert again["before"] == 0
    assert again["scores"]["fitted"] == judged(records, DATA)["scores"]["fitted"]


def test_earlier_checks_are_those_of_equal_trainings_that_can_be_read(tmp_path: Path) -> None:
    own = settings(epochs=6.0, images=10)
    told = {"data": "fake", "asked": {"epochs": 6.0, "images": 10}, **judged(wide(12, seed=1), DATA)}
    (tmp_path / "proxy_check.json").write_text(json.dumps(told))
    folder, file = earlier.read([str(tmp_path), str(tmp_path / "proxy_check.json")])
    assert folder == file == json.loads(json.dumps(told))
    assert len(earlier.networks([folder, file], "fake", own)) == 12  # each once
    with pytest.raises(SearchError, match="tell nothing of these: data fake there, digits here"):
        earlier.networks([folder], "digits", own)
    with pytest.raises(SearchError, match=r"tell nothing of these: epochs 6\.0 there, 2\.0 here"):
        earlier.networks([folder], "fake", settings(epochs=2.0, images=10))
    with pytest.raises(SearchError, match="cannot be read: No such file"):
        earlier.read([str(tmp_path / "absent")])
    (tmp_path / "text").write_text("{")
    with pytest.raises(SearchError, match="is not JSON"):
        earlier.read([str(tmp_path / "text")])
    for change in ({"networks": None}, {"networks": [{"hash": "a"}]}, {"asked": ...}):
        damaged = {name: value for name, value in (told | change).items() if value is not ...}
        (tmp_path / "text").write_text(json.dumps(damaged))
        with pytest.raises(SearchError, match="tells of no networks that were ranked by this version"):
            earlier.read([str(tmp_path / "text")])


def test_a_check_is_told_what_earlier_ones_know(tmp_path: Path) -> None:
    first = check(asked(), tmp_path / "first", new_worker=Machine().worker)
    again = asked(seed=1).model_copy(update={"earlier": (str(tmp_path / "first"),)})
    second = check(again, tmp_path / "second", new_worker=Machine().worker)
    assert second["asked"]["earlier"] == [{"networks": 10, "space": first["asked"]["space"], "budgets": {}, "seed": 0}]
    assert 0 < second["before"] <= 10


def test_what_few_trained_networks_tell_of_the_others_is_told_beside_what_all_do() -> None:
    rng = random.Random(0)
    records = []
    for number in range(30):
        width, score = rng.choice([16, 32, 48, 64]), rng.random()
        accuracy = 0.2 + 0.004 * width + 0.2 * score
        records.append(trained(number, (accuracy, accuracy + 0.001), score, (2.0, 2.0)))
        records[-1]["spec"]["nodes"][0]["width"] = width
    found = judged(records, DATA)
    after = {count: facts["spearman"]["value"] for count, facts in found["fitted_after"].items()}
    assert list(after) == ["8", "16"]
    assert 0.5 < after["8"] < after["16"] < found["scores"]["fitted"]["spearman"]["value"]
    assert found["fitted_after"]["8"]["spearman"]["low"] < after["8"] < found["fitted_after"]["8"]["spearman"]["high"]
    assert judged(networks(), DATA)["fitted_after"] == {}  # of 12, too few would be left


def test_accuracies_are_those_of_all_images_that_were_not_trained_on() -> None:
    records = networks()
    for record in records:
        for training in record["trainings"]:
            training["held_out"] = training["accuracy"] - 0.06
    found = judged(records, {"validation": 1000, "held_out": 500})
    assert found["accuracy"]["mean"] == pytest.approx(0.475 - 0.06 / 3, abs=0.004)


def test_a_spread_within_noise_is_refused_in_words() -> None:
    records = [trained(number, (0.80 + 0.002 * number, 0.82), float(number), (1, 1)) for number in range(12)]
    found = judged(records, DATA)
    assert "scores" not in found
    assert (
        "less than 3 times the error of 0.87% that so few images leave: who is better here is noise" in found["refused"]
    )
    assert "train longer (--epochs, --images)" in found["refused"]


def test_a_ranking_that_another_seed_does_not_repeat_is_refused_in_words() -> None:
    rng = random.Random(1)
    records = [trained(row, (rng.random(), rng.random()), float(row), (1, 1)) for row in range(12)]
    found = judged(records, DATA)
    assert "scores" not in found
    assert found["refused"].startswith("another seed ranks the same 12 networks otherwise, Spearman ")
    assert "who is better here is noise" in found["refused"]


def test_the_errors_are_those_of_the_seeds_and_of_the_images() -> None:
    records = [trained(row, (0.5 + 0.03 * row, 0.5 - 0.03 * row), 1.0, (1, 1)) for row in (1, -1) * 4]
    found = judged(records, {"validation": 50, "held_out": 50})
    assert found["error"]["by_seed"] == pytest.approx(0.03)  # two accuracies 0.06 apart: 0.03 sqrt 2 each
    assert found["error"]["by_images"] == pytest.approx(0.05)


def test_below_eight_networks_nothing_is_said_of_ranks() -> None:
    failed = [record | {"reason": "out of memory"} for record in networks()[:5]]
    found = judged([*failed, *networks()[5:]], DATA)
    assert found["refused"] == "7 networks were trained; below 8 nothing is said of ranks"
    assert (found["trained"], found["failed"]) == (7, 5)


def test_a_loss_is_judged_by_the_other_seed_alone_too() -> None:
    """Losses that know their own seed's noise rank its accuracies better than the other's."""
    records = networks(noise=0.1, seed=3)
    for record in records:
        for training in record["trainings"]:
            training["running"] = [-training["accuracy"]] * 20
    short = judged(records, {"validation": 10**6, "held_out": 10**6})
    assert short["refused"] is None
    facts = short["short"]["4"]
    assert facts["spearman"]["value"] > facts["spearman_of_other_seed"]["value"]
    assert facts["spearman_of_other_seed"]["value"] == pytest.approx(short["ceiling"]["spearman"]["value"])


def test_a_short_training_of_its_own_is_judged_by_itself_and_beside_the_scores() -> None:
    records = networks()
    for number, record in enumerate(records):
        record["short"] = {"accuracy": 0.1 + 0.01 * number, "seconds": 12.0, "fidelity": "1.2 epochs"}
    found = judged(records, DATA)
    own = found["short_of_its_own"]
    assert (own["spearman"]["value"], own["cost"]) == (pytest.approx(1), pytest.approx(0.2))
    assert own["beside_scores"]["spearman"]["value"] == pytest.approx(1, abs=0.02)
    del records[3]["short"]
    assert "short_of_its_own" not in judged(records, DATA)


# ------------------------------------------------------------------------------------------------------------- running


def test_a_check_trains_every_network_with_every_seed_once(tmp_path: Path) -> None:
    machine = Machine()
    found = check(asked(), tmp_path / "check", new_worker=machine.worker)
    assert (found["trained"], found["failed"], found["complete"], found["interrupted"]) == (10, 0, True, False)
    names = machine.names("train")
    assert len(names) == 30
    assert len(set(names)) == 10
    asked_for = [(request["seed"], request["epochs"]) for request in machine.asked if request["do"] == "train"]
    assert asked_for == [(0, 2.0), (1, 2.0), (2, 0.4)] * 10
    assert machine.names("score") == names[::3]
    assert not machine.names("measure")
    assert json.loads((tmp_path / "check" / "proxy_check.json").read_text()) == json.loads(json.dumps(found))


def test_a_check_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    machine = Machine()
    whole = check(asked(), tmp_path / "whole", new_worker=machine.worker)
    file = tmp_path / "whole" / "networks.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:4]) + lines[4][:50])
    again = Machine()
    found = check(asked(), tmp_path / "whole", resume=True, new_worker=again.worker)
    assert len(again.names("score")) == 6
    assert again.names("train") == []  # the results are in the cache
    assert found["networks"] == whole["networks"]


def test_what_an_earlier_version_did_not_train_shortly_is_made_up_for(tmp_path: Path) -> None:
    whole = check(asked(), tmp_path / "check", new_worker=Machine().worker)
    file = tmp_path / "check" / "networks.jsonl"
    records = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps({k: v for k, v in r.items() if k != "short"}) + "\n" for r in records))
    machine = Machine()
    found = check(asked(), tmp_path / "check", resume=True, new_worker=machine.worker)
    assert not machine.names("score")
    assert found["networks"] == whole["networks"]
    assert [json.loads(line)["short"]["accuracy"] for line in file.read_text().splitlines()]


def test_a_check_of_an_earlier_version_that_knew_fewer_settings_can_be_resumed(tmp_path: Path) -> None:
    check(asked(8), tmp_path / "check", new_worker=Machine().worker)
    file = tmp_path / "check" / "check.json"
    written = json.loads(file.read_text())
    del written["settings"]["sampler"]
    file.write_text(json.dumps(written))
    assert check(asked(9), tmp_path / "check", resume=True, new_worker=Machine().worker)["trained"] == 9


def test_more_networks_can_be_asked_for_later(tmp_path: Path) -> None:
    check(asked(8), tmp_path / "check", new_worker=Machine().worker)
    machine = Machine()
    found = check(asked(12), tmp_path / "check", resume=True, new_worker=machine.worker)
    assert found["trained"] == 12
    assert len(machine.names("score")) == 4


def test_a_check_is_resumed_as_it_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tiny.json"
    file.write_text(json.dumps(SPACE))
    machine = Machine()
    monkeypatch.setattr(proxy_check.check, "__defaults__", (False, lambda text: None, machine.worker))
    first = checked_proxies(file, networks=8, seeds=3, macs_budget=4e6, device="cpu", out=tmp_path / "check")
    again = checked_proxies(networks=9, out=tmp_path / "check", resume=True)
    assert (first["asked"]["seeds"], first["asked"]["epochs"], first["asked"]["budgets"]) == (3, 6.0, {"MACs": 4e6})
    assert again["asked"] == first["asked"] | {"networks": 9}
    assert len(machine.names("train")) == 36
    with pytest.raises(SearchError, match="something else: seeds: 3 there, 2 now"):
        checked_proxies(seeds=2, out=tmp_path / "check", resume=True)
    with pytest.raises(SearchError, match="something else: space: another space"):
        checked_proxies("lit-dat-64", out=tmp_path / "check", resume=True)
    with pytest.raises(SearchError, match="holds no check to resume"):
        checked_proxies(out=tmp_path / "none", resume=True)
    with pytest.raises(WrongUse, match="name the check to resume by its folder"):
        checked_proxies(resume=True)
    with pytest.raises(WrongUse, match="networks: Input should be greater than or equal to 8; got 3"):
        checked_proxies(file, networks=3, device="cpu", out=tmp_path / "few")


def test_a_longer_sample_begins_with_the_shorter_one() -> None:
    own = settings()
    short, longer = sample(own.space_document, own, 5), sample(own.space_document, own, 9)
    assert [found.hash for found in longer[:5]] == [found.hash for found in short]
    assert len({found.hash for found in longer}) == 9
    other = settings(seed=1)
    assert sample(other.space_document, other, 5) != short


def test_a_sample_keeps_the_static_budgets() -> None:
    own = settings(macs_budget=4e6)
    assert all(found.counted.macs <= 4e6 for found in sample(own.space_document, own, 9))
    none = settings(macs_budget=10)
    with pytest.raises(SearchError, match="no network of the space 'tiny' is inside the budgets"):
        sample(none.space_document, none, 5)


def test_a_space_with_fewer_networks_than_asked_for_is_checked_on_all_of_them(tmp_path: Path) -> None:
    nodes = [{**SPACE["nodes"][0], "width": 16}, *SPACE["nodes"][1:2], {"id": "head", "type": "mean_head"}]
    own = asked(50, space={**SPACE, "nodes": nodes})
    found = check(own, tmp_path / "check", new_worker=Machine().worker)
    assert (found["trained"], found["complete"]) == (8, True)


def test_another_check_in_the_folder_is_refused(tmp_path: Path) -> None:
    check(asked(8), tmp_path / "check", new_worker=Machine().worker)
    with pytest.raises(RunExists, match="holds a check already; go on with --resume"):
        check(asked(8), tmp_path / "check", new_worker=Machine().worker)
    with pytest.raises(SearchError, match=r"a check of something else: epochs: 2\.0 there, 4\.0 now"):
        check(asked(8, epochs=4.0), tmp_path / "check", resume=True, new_worker=Machine().worker)
    with pytest.raises(SearchError, match="holds no check to resume"):
        check(asked(8), tmp_path / "none", resume=True, new_worker=Machine().worker)


def test_networks_that_fail_are_counted_and_left_out(tmp_path: Path) -> None:
    machine = Machine()
    machine.finite = False
    found = check(asked(8), tmp_path / "check", new_worker=machine.worker)
    assert (found["trained"], found["failed"]) == (0, 8)
    assert found["refused"] == "0 networks were trained; below 8 nothing is said of ranks"


def test_what_is_there_when_time_is_over_is_judged(tmp_path: Path) -> None:
    machine = Machine()
    machine.finished = False  # as a training whose deadline came
    found = check(asked(8, time_s=0.5), tmp_path / "check", new_worker=machine.worker)
    assert (found["trained"], found["complete"]) == (0, False)


def test_an_interrupted_check_tells_so_and_keeps_its_networks(tmp_path: Path) -> None:
    machine = Machine()

    def interrupt(request: Record) -> None:
        if len(machine.names("score")) == 9:
            raise KeyboardInterrupt

    machine.on_ask = interrupt
    found = check(asked(10), tmp_path / "check", new_worker=machine.worker)
    assert (found["trained"], found["complete"], found["interrupted"]) == (8, False, True)


# ------------------------------------------------------------------------------------------------------------ on screen


def shown(found: Record, width: int = 120) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(report({**KNOWN, **found}), soft_wrap=True)
    return capture.get()


def test_the_screen_shows_every_score_under_its_ceiling_and_every_target() -> None:
    text = shown(judged(networks(), DATA))
    lines = text.splitlines()
    assert lines[0] == (
        "space tiny: 12 networks drawn evenly inside params <= 8.000 M, memory <= 1000000; cpu (a machine)"
    )
    assert "trained for 6 epochs with 2 seeds: accuracies 19.9% to 75.1%" in lines[1]
    table = text[text.index("ranks accuracy") :]
    for name in ("another seed (the ceiling)", "params", "MACs", "SynFlow", "ensemble", "loss after 20% of training"):
        assert name in table
    assert table.index("ceiling") < table.index("params") < table.index("loss after 10%")
    assert "1.00 [1.00, 1.00]" in table
    assert "MET     Spearman of the zero-cost rung (ensemble): 1.00, aimed at 0.75" in text
    assert "MISSED  the same above that of params: 0.00, aimed at 0.20" in text


def test_the_screen_says_why_nothing_is_ranked() -> None:
    records = [trained(number, (0.80, 0.82), float(number), (1, 1)) for number in range(12)]
    text = shown(judged(records, DATA))
    assert "REFUSED  the accuracies of 12 networks lie 0.00% apart" in text
    assert "ranks accuracy" not in text


def test_the_command_ends_with_1_where_nothing_is_ranked_and_with_130_where_it_was_interrupted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = judged([trained(row, (0.80, 0.82), 1.0, (1, 1)) for row in range(12)], DATA)
    for found, interrupted, code in ((judged(networks(), DATA), False, 0), (refused, False, 1), (refused, True, 130)):
        whole = {**KNOWN, **found, "interrupted": interrupted}
        monkeypatch.setattr(proxy_api, "checked_proxies", lambda *_, found=whole, **__: found)
        assert main(["proxy-check", "lit-dat-64", "--json"]) == code
        assert json.loads(capsys.readouterr().out)["refused"] == found["refused"]
        assert main(["proxy-check", "lit-dat-64"]) == code
        assert ("REFUSED" in capsys.readouterr().out) is (found["refused"] is not None)
