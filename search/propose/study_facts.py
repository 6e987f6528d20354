"""What only the study's database knows: the candidates that were refused unmeasured, and what matters by Optuna."""

from __future__ import annotations

import random
import shutil
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, create_trial

from archdsl.search.policy.report import ReportPolicy
from archdsl.search.propose.measured_trials import Measured, measured_trials
from archdsl.search.propose.study import METRICS
from archdsl.search.propose.trial_queue import OUTSIDE, REASON, RUNG


class Importance(NamedTuple):
    """Shares of a metric's variation that Optuna lays to each parameter; empty, with the reason, if there are none."""

    metric: str
    trials: int
    shares: dict[str, float]
    by_chance: float | None
    """The largest share when the values are dealt out at random, the mean of several deals."""
    reason: str


class StudyFacts(NamedTuple):
    """Of a study; `reason` says why nothing is known."""

    refusals: Counter[tuple[str, str]]
    """By rung and reason."""
    importance: list[Importance]
    reason: str


def study_facts(folder: Path, objectives: Sequence[str], policy: ReportPolicy) -> StudyFacts:
    """What the run's database tells. A copy is opened, so that neither a running search nor the folder is touched.

    `objectives` are the space's, as `max proxy_accuracy`.
    """
    database = folder / "study.db"
    if not database.is_file():
        return _nothing("there is no study.db")
    try:
        with TemporaryDirectory() as place, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for path in folder.glob("study.db*"):
                shutil.copy(path, place)
            trials = _read(Path(place) / "study.db")
        importance = _importance(trials, objectives, policy)
    except Exception as error:  # whatever SQLite, SQLAlchemy or Optuna say of a file that is none of theirs
        return _nothing(f"study.db cannot be read: {' '.join(str(error).split())[:160]}")
    refused = (trial.user_attrs for trial in trials if RUNG in trial.user_attrs)
    counted = Counter((str(attrs[RUNG]), str(attrs.get(REASON) or "")) for attrs in refused)
    return StudyFacts(counted, importance, "")


def _nothing(reason: str) -> StudyFacts:
    return StudyFacts(Counter(), [], reason)


def _read(database: Path) -> list[FrozenTrial]:
    """The trials of the only study in it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = RDBStorage(f"sqlite:///{database}")
    try:
        return optuna.load_study(study_name=None, storage=storage).get_trials(deepcopy=False)
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _importance(trials: Sequence[FrozenTrial], objectives: Sequence[str], policy: ReportPolicy) -> list[Importance]:
    """Of accuracy and latency. Only what was trained to the end has an accuracy; what is filled in is left out."""
    measured = measured_trials([trial for trial in trials if OUTSIDE not in trial.user_attrs], objectives)
    trained = [each for each in measured if each.is_trained]
    by_metric = {"proxy_accuracy": trained, "latency": measured}
    metrics = [text.split()[-1] for text in objectives if text.split()]
    return [_shares(name, by_metric[name], place, policy) for place, name in enumerate(metrics) if name in by_metric]


def _shares(name: str, measured: Sequence[Measured], place: int, policy: ReportPolicy) -> Importance:
    metric, trials, values = METRICS[name], [each.trial for each in measured], [each.values[place] for each in measured]
    if len(trials) < policy.importance_trials:
        which = "trained" if name == "proxy_accuracy" else "measured"
        few = f"it needs at least {policy.importance_trials} {which} networks of the space; this run has {len(trials)}"
        return Importance(metric, len(trials), {}, None, few)
    if len(set(values)) < 2:
        return Importance(metric, len(trials), {}, None, "all networks have the same value")
    best = -1 if name == "proxy_accuracy" else 1  # the evaluator looks at what is least
    signed = [best * value for value in values]
    try:
        evaluated = _evaluated(trials, signed)
        shares = dict(sorted(evaluated.items(), key=lambda item: (-round(item[1], 9), item[0])))
        generator = random.Random(0)
        dealt = [_evaluated(trials, generator.sample(signed, len(signed))) for _ in range(policy.importance_deals)]
    except Exception as error:  # an evaluator may refuse, and in more ways than it says
        return Importance(
            metric, len(trials), {}, None, f"Optuna cannot compute it: {' '.join(str(error).split())[:160]}"
        )
    by_chance = sum(max(shares_by_chance.values()) for shares_by_chance in dealt) / policy.importance_deals
    return Importance(metric, len(trials), shares, by_chance, "")


def _evaluated(trials: Sequence[FrozenTrial], values: Sequence[float]) -> dict[str, float]:
    """Optuna's default evaluator (PED-ANOVA, arXiv:2304.10255) on these values alone."""
    from optuna.importance import get_param_importances  # it loads scikit-learn where there is one

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study()
        study.add_trials(
            [
                create_trial(params=trial.params, distributions=trial.distributions, value=value)
                for trial, value in zip(trials, values, strict=True)
            ]
        )
        return get_param_importances(study)
