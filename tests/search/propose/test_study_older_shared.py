"""Machines with an earlier version share a study by another name: none mixes its form with the other's unseen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from archdsl.errors import SearchError
from archdsl.load.spaces import space_of
from archdsl.search.loop.session import run_search
from archdsl.search.propose.distributions import as_indices
from archdsl.search.propose.study_names import name_of, older_name_of
from archdsl.search.store.database_url import address
from archdsl.search.worker.machine_options import MachineOptions
from archdsl.spaces.variables import variables
from tests.support.fake_worker import Machine
from tests.support.searching import Lines, quicken, settings, trials
from tests.support.sharing import SHARING, database_url

pytest.importorskip("psycopg", reason="the extra 'postgres' is not installed")

postgres = pytest.fixture(scope="module")(database_url)
SAYS = "an earlier version of archdsl began this study: its parameters stay indices instead of values"
BUDGET = 3.0


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quicken(monkeypatch, tmp_path / "cache")


def join(url: str, folder: Path, seed: int, count: int, resume: bool = False) -> list[str]:
    """What a machine says while it takes part."""
    lines, asked = Lines(), settings(seed=seed, trials=count, latency_budget_ms=BUDGET)
    options = MachineOptions(storage=url)
    run_search(asked, folder, resume, lines, new_worker=Machine().worker, options=options, policy=SHARING)
    return lines.told


@contextmanager
def database(url: str) -> Iterator[RDBStorage]:
    storage = RDBStorage(address(url))
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def begin_older(url: str, seed: int) -> None:
    """A study as an earlier version shares it, with a network that fell at the gate and was told as complete."""
    asked = settings(seed=seed, latency_budget_ms=BUDGET)
    with database(url) as storage:
        study = optuna.create_study(
            storage=storage, study_name=older_name_of(asked), directions=["maximize", "minimize"]
        )
        by_name = {name: as_indices(variable) for name, variable in variables(space_of(asked.space).nodes).items()}
        trial = study.ask({name: parameter.distribution for name, parameter in by_name.items()})
        trial.set_constraint("budget", 0.5)
        trial.set_user_attr("latency_ms", 4.5)
        study.tell(trial, [0.0, 4.5])


def stored(url: str, name: str) -> list[FrozenTrial]:
    with database(url) as storage:
        return optuna.load_study(study_name=name, storage=storage).trials


def names(url: str) -> list[str]:
    with database(url) as storage:
        return optuna.get_all_study_names(storage)


def test_a_study_that_older_machines_share_goes_on_in_its_form_and_says_so(postgres: str, tmp_path: Path) -> None:
    seed, asked = 30, settings(seed=30, latency_budget_ms=BUDGET)
    begin_older(postgres, seed)
    assert SAYS in join(postgres, tmp_path / "one", seed, 6)
    assert SAYS in join(postgres, tmp_path / "two", seed, 8)
    assert SAYS in join(postgres, tmp_path / "one", seed, 9, resume=True)
    assert len(trials(tmp_path / "one")) == 9
    older = older_name_of(asked)
    assert json.loads((tmp_path / "one" / "shared.json").read_text())["study"] == older
    assert older in names(postgres)
    assert name_of(asked) not in names(postgres)
    found = stored(postgres, older)
    assert all(trial.distributions == found[0].distributions for trial in found)
    assert found[0].values == [0.0, 4.5]
    assert all((trial.state, trial.values) == (TrialState.PRUNED, None) for trial in found[1:] if over(trial))
    assert any(over(trial) for trial in found[1:])


def over(trial: FrozenTrial) -> bool:
    """Whether it was measured, and fell at the gate."""
    return trial.constraints["budget"] > 0 and "latency_ms" in trial.user_attrs


def test_a_new_study_has_a_name_that_older_machines_do_not_join(postgres: str, tmp_path: Path) -> None:
    seed, asked = 31, settings(seed=31, latency_budget_ms=BUDGET)
    assert SAYS not in join(postgres, tmp_path / "one", seed, 4)
    assert older_name_of(asked) not in names(postgres)
    begin_older(postgres, seed)  # an older machine comes later, and begins one of its own
    assert SAYS not in join(postgres, tmp_path / "two", seed, 6)
    found = stored(postgres, name_of(asked))
    assert {trial.params["w"] for trial in found} <= {16, 32, 48, 64}
    assert all(trial.values is None for trial in found if over(trial))
    assert trials(tmp_path / "two")[:4] == trials(tmp_path / "one")
    assert len(stored(postgres, older_name_of(asked))) == 1


def test_a_run_of_another_study_is_not_joined(postgres: str, tmp_path: Path) -> None:
    join(postgres, tmp_path / "one", 32, 1)
    shared = tmp_path / "one" / "shared.json"
    shared.write_text(json.dumps(json.loads(shared.read_text()) | {"study": "tiny-0"}))
    with pytest.raises(
        SearchError, match=r"shares the study tiny-0, but its settings now belong to study tiny-.*; begin anoth"
    ):
        join(postgres, tmp_path / "one", 32, 2, resume=True)
