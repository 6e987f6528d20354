"""Earlier proxy checks: what their networks tell of those of a new one, and which can be read."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from archdsl.errors import SearchError
from archdsl.json_types import JsonObject
from archdsl.search.policy import SHIPPED
from archdsl.search.proxy_check import earlier
from archdsl.search.proxy_check.check import check
from archdsl.search.proxy_check.earlier import EarlierCheck
from archdsl.search.proxy_check.judged import judged
from archdsl.search.proxy_check.networks import CheckedNetwork, EarlierNetwork
from archdsl.search.proxy_check.result import EarlierSource
from tests.support.fake_worker import Machine
from tests.support.proxy_checks import DATA, asked, ranking_of, trained
from tests.support.searching import quicken, settings


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


def wide(count: int, seed: int) -> list[CheckedNetwork]:
    """Networks whose accuracy follows from their width and their scores together."""
    rng, records = random.Random(seed), []
    for number in range(count):
        width, score = rng.choice([16, 32, 48, 64]), rng.random()
        accuracy = 0.2 + 0.004 * width + 0.2 * score
        records.append(trained(1000 * seed + number, (accuracy, accuracy + 0.001), score, (4 - accuracy,) * 2, width))
    return records


def rows(networks: list[CheckedNetwork]) -> list[EarlierNetwork]:
    """As a later check reads them."""
    return earlier.networks([EarlierCheck.from_json(result_of(networks))], "fake", settings(epochs=6.0, images=10))


def result_of(networks: list[CheckedNetwork]) -> JsonObject:
    """What a check of 6 epochs of 10 images told of them."""
    return {"data": "fake", "asked": {"epochs": 6.0, "images": 10}, **judged(networks, DATA, SHIPPED).as_json()}


def test_networks_of_earlier_checks_tell_of_those_of_a_new_one() -> None:
    before = rows(wide(24, seed=1))
    records = wide(12, seed=2)
    found, alone = ranking_of(judged(records, DATA, SHIPPED, before)), ranking_of(judged(records, DATA, SHIPPED))
    assert (found.before, alone.before) == (24, 0)
    assert len(found.networks) == 12
    assert found.fitted_after[0].spearman.value > 0.9
    fits = [ranking.scores["fitted"].correlations.spearman.value for ranking in (alone, found)]
    assert fits[0] < fits[1]
    forecasts = [ranking.running_loss[4].beside_scores.correlations.spearman.value for ranking in (alone, found)]
    assert forecasts[0] < forecasts[1]


def test_a_network_is_not_told_by_its_own_training_of_an_earlier_check() -> None:
    records = wide(12, seed=2)
    again = ranking_of(judged(records, DATA, SHIPPED, rows(records)))
    assert again.before == 0
    assert again.scores["fitted"] == ranking_of(judged(records, DATA, SHIPPED)).scores["fitted"]


def test_earlier_checks_are_those_of_equal_trainings_that_can_be_read(tmp_path: Path) -> None:
    searched = settings(epochs=6.0, images=10)
    result = result_of(wide(12, seed=1))
    (tmp_path / "proxy_check.json").write_text(json.dumps(result))
    folder, file = earlier.read([str(tmp_path), str(tmp_path / "proxy_check.json")])
    assert folder == file == EarlierCheck.from_json(result)
    assert len(earlier.networks([folder, file], "fake", searched)) == 12  # each once
    with pytest.raises(SearchError, match="say nothing about these: data fake there, digits here"):
        earlier.networks([folder], "digits", searched)
    with pytest.raises(SearchError, match=r"say nothing about these: epochs 6\.0 there, 2\.0 here"):
        earlier.networks([folder], "fake", settings(epochs=2.0, images=10))
    with pytest.raises(SearchError, match=r"no such folder: .*absent; give the folder of a check"):
        earlier.read([str(tmp_path / "absent")])
    (tmp_path / "text").write_text("{")
    with pytest.raises(SearchError, match="is not JSON"):
        earlier.read([str(tmp_path / "text")])
    for change in ({"networks": None}, {"networks": [{"hash": "a"}]}, {"asked": ...}):
        damaged = {name: value for name, value in (result | change).items() if value is not ...}
        (tmp_path / "text").write_text(json.dumps(damaged))
        with pytest.raises(SearchError, match="holds no networks that this version of archdsl ranked"):
            earlier.read([str(tmp_path / "text")])


def test_a_check_is_told_what_earlier_ones_know(tmp_path: Path) -> None:
    first = check(asked(), tmp_path / "first", new_worker=Machine().worker)
    again = asked(seed=1).model_copy(update={"earlier": (str(tmp_path / "first"),)})
    second = check(again, tmp_path / "second", new_worker=Machine().worker)
    assert second.asked.earlier == (EarlierSource(networks=10, space=first.asked.space, budgets={}, seed=0),)
    assert 0 < ranking_of(second.judgement).before <= 10
