"""A run that an earlier version began: its study holds indices and invented accuracies, and the run goes on.

tests/older_run was killed while its seventeenth network was trained, by a version that knew no other form; a sampler of
generations proposed its networks.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from archdsl.errors import SearchError
from archdsl.load.spaces import point, space_of
from archdsl.load.specs import spec_of
from archdsl.search.policy import Policy
from archdsl.search.policy.propose import EvolutionPolicy, SamplerPolicy
from archdsl.search.propose import study as local
from archdsl.search.propose.storage import open_storage
from archdsl.search.propose.study import FORMAT, Study
from archdsl.search.propose.study_facts import study_facts
from archdsl.search.propose.study_names import name_of, older_name_of
from archdsl.spaces.variables import variables
from tests.support.fake_worker import Machine
from tests.support.searching import Lines, quicken, records, search, settings, trials
from tests.support.studies import stored_study

OLDER = Path(__file__).parent / "older_run"
LIMIT = {"latency_budget_ms": 4.0}
POLICY = Policy(samplers=SamplerPolicy(startup=5, population=6), evolution=EvolutionPolicy(least=8))
"""A model proposes after few trials."""
SAYS = "an earlier version of archdsl began this study: its parameters stay indices instead of values"


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the run, with its study on the disk."""
    quicken(monkeypatch, tmp_path / "cache")
    monkeypatch.setattr(local, "open_storage", open_storage)
    return Path(shutil.copytree(OLDER, tmp_path / "run"))


def document(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text())["space"]
    return found


def go_on(folder: Path, sampler: str, count: int, watcher: Lines) -> None:
    asked = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(asked | {"sampler": sampler}))
    machine = Machine()
    machine.losses_tell = True
    search(
        folder,
        machine,
        True,
        watcher,
        POLICY,
        trials=count,
        space=document(folder),
        sampler=sampler,
        seed=asked["seed"],
        **LIMIT,
    )


@contextmanager
def study_in(folder: Path) -> Iterator[list[FrozenTrial]]:
    with stored_study(f"sqlite:///{folder}/study.db") as study:
        yield study.trials


@pytest.mark.parametrize(
    "sampler", ["auto", "nsga2", *(pytest.param(name, marks=pytest.mark.slow) for name in ("random", "tpe", "gp"))]
)
def test_an_older_run_goes_on_in_its_own_form_and_loses_no_trial(older: Path, sampler: str) -> None:
    with study_in(older) as before:
        pass
    lines, recorded = Lines(), trials(older)
    go_on(older, sampler, 21, lines)
    assert SAYS in lines.told
    after = trials(older)
    assert after[: len(recorded)] == recorded
    assert len({record["hash"] for record in after}) == len(after) == 21
    space = space_of(document(older))
    by_name = variables(space.nodes)
    with study_in(older) as stored:
        for was, now in zip(before, stored, strict=False):
            assert was.params == now.params
            if was.state != TrialState.RUNNING:
                assert (was.state, was.values, was.constraints) == (now.state, now.values, now.constraints)
        assert [trial.state for trial in before].count(TrialState.RUNNING) == 1
        assert TrialState.RUNNING not in [trial.state for trial in stored]
        names = {record["hash"]: record["spec"] for record in after}
        for trial in stored[len(before) :]:
            assert trial.values is None or trial.user_attrs["accuracy"] == trial.values[0]
            assert trial.distributions == stored[0].distributions
            if trial.user_attrs.get("hash") in names:
                chosen = {name: variable.values[_index(trial, name)] for name, variable in by_name.items()}
                network = point(space, chosen.__getitem__)[0]
                assert network.nodes == spec_of(names[trial.user_attrs["hash"]]).nodes


def _index(trial: FrozenTrial, name: str) -> int:
    distribution = trial.distributions[name]
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return distribution.choices.index(trial.params[name])
    return int(trial.params[name])


def test_the_network_that_was_under_way_is_tried_next(older: Path) -> None:
    with study_in(older) as before:
        lost = next(trial for trial in before if trial.state == TrialState.RUNNING)
    go_on(older, "nsga2", 18, Lines())
    with study_in(older) as stored:
        again = next(trial for trial in stored[len(before) :] if trial.user_attrs["hash"] == lost.user_attrs["hash"])
    assert again.params == lost.params
    assert trials(older)[16]["hash"] == lost.user_attrs["hash"]
    generation = {"NSGAIISampler:generation": lost.system_attrs["NSGAIISampler:generation"]}
    assert generation.items() <= again.user_attrs.items()


def test_the_report_leaves_out_accuracies_that_were_invented(older: Path) -> None:
    facts = study_facts(older, ("max proxy_accuracy", "min latency"), POLICY.report)
    assert facts.reason == ""
    assert [importance.trials for importance in facts.importance] == [14, 16]
    assert sum(record["accuracy"] is not None for record in records(older)) == 14


def variables_of(asked: Any) -> dict[str, Any]:
    return variables(space_of(asked.space).nodes)


def test_a_study_that_a_later_version_made_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = InMemoryStorage()
    monkeypatch.setattr(local, "open_storage", lambda url, locked_s: storage)
    objectives = ("max proxy_accuracy", "min latency")
    Study("sqlite://", variables_of(settings()), objectives, 0, resume=False, policy=POLICY)
    optuna.load_study(study_name="search", storage=storage).set_user_attr("format", FORMAT + 1)
    with pytest.raises(SearchError, match=f"format {FORMAT + 1}, which a later version of archdsl made; update"):
        Study("sqlite://", variables_of(settings()), objectives, 0, resume=True, policy=POLICY)


def test_a_study_that_has_no_trials_yet_becomes_one_of_this_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was made by an earlier version, or by this one, which was killed before it said so."""
    storage = InMemoryStorage()
    monkeypatch.setattr(local, "open_storage", lambda url, locked_s: storage)
    optuna.create_study(study_name="search", storage=storage, directions=["maximize"])
    study = Study("sqlite://", variables_of(settings()), ("max proxy_accuracy",), 0, resume=True, policy=POLICY)
    with closing(study):
        assert not study.is_older
        assert study.ask()[0].params["w"] in (16, 32, 48, 64)


def test_machines_of_two_versions_know_a_study_by_two_names() -> None:
    """The older one is that which earlier versions gave these settings."""
    changed = settings(sampler="gp", seed=3, data="/a/folder/images", dtype="float16", params_budget=1e6)
    assert older_name_of(settings()) == "tiny-d434bd0faf66191c"
    assert older_name_of(changed) != older_name_of(settings())
    assert {name_of(settings()), name_of(changed)}.isdisjoint({older_name_of(settings()), older_name_of(changed)})
