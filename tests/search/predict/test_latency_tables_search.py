"""Tables in a search: which of them it uses, what they reject, and how they learn its own measure."""

from __future__ import annotations

from pathlib import Path

import pytest

from archdsl import count
from archdsl.latency.tables import Table
from archdsl.latency.tables.survey import survey
from archdsl.load.spaces import space_of
from archdsl.search.policy import SHIPPED
from archdsl.search.predict.latency_model import LatencyModel, table_of
from archdsl.spaces.space import Space
from tests.support.searching import settings
from tests.support.tabled import SPACE, facts, small_table, space_point

POLICY = SHIPPED.latency_model


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


def test_a_search_uses_the_fresh_table_of_its_setting_and_none_other(table: Table) -> None:
    assert table_of(settings(space=SPACE, threads=1), facts(table)) == table
    assert table_of(settings(space=SPACE, threads=1), facts(table, torch="1.0")) is None
    assert table_of(settings(space=SPACE, threads=1, batch=4), facts(table)) is None


def test_a_search_that_chose_its_threads_uses_the_table_of_these(table: Table) -> None:
    asked = settings(space=SPACE)
    assert table_of(asked.model_copy(update={"chosen_threads": 1}), facts(table)) == table
    assert table_of(asked.model_copy(update={"chosen_threads": 2}), facts(table)) is None


def test_a_table_rejects_from_the_first_trial_what_is_over_by_more_than_it_erred(table: Table) -> None:
    spec = space_point()
    careful = LatencyModel(POLICY, table._replace(accuracy=table.accuracy._replace(worst=0.5)))
    ms = table.predict(spec)
    assert careful.surely_over(spec, ms / 1.6) == ms
    assert careful.surely_over(spec, ms / 1.4) is None
    assert LatencyModel(POLICY).surely_over(spec, ms / 100) is None


def test_tables_are_scaled_to_what_the_search_measures(table: Table, space: Space) -> None:
    model, specs = LatencyModel(POLICY, table), survey(space, frozenset(), 1, POLICY.enough_to_scale).held_out
    spec = space_point()
    for number, measured in enumerate(specs):
        assert model.guess(spec) == table.predict(spec), number
        model.learn(measured, 0.8 * table.predict(measured))
    assert model.guess(spec) == pytest.approx(0.8 * table.predict(spec))
    gate = 0.9 * table.predict(spec) / (1 + table.accuracy.worst)
    assert LatencyModel(POLICY, table).surely_over(spec, gate) is not None
    assert model.surely_over(spec, gate) is None


def test_where_the_table_knows_nothing_the_search_learns_by_itself(table: Table, space: Space) -> None:
    model = LatencyModel(POLICY, table._replace(times={}))
    specs = survey(space, frozenset(), 1, POLICY.enough + 4).held_out
    for spec in specs:
        model.learn(spec, 1.0 + count(spec).macs / 1e6)
    assert model.surely_over(specs[0], 0.01) is not None
