"""A study that machines share in a PostgreSQL database.

What a trial needs to go from machine to machine is kept with it: its network's hash, its number, its record. A trial
whose machine is silent counts as lost and is enqueued again, by a callback of ours: Optuna's own copies the constraint
of the lost trial, which then cannot be set any more. A trial that was measured waits until a machine that trains takes
it. Choosing is done by one process at a time, so that no network is tried twice.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from archdsl.files import replacing
from archdsl.json_types import Json
from archdsl.search.config import Sampler
from archdsl.search.network import Choices
from archdsl.search.policy import Policy
from archdsl.search.propose.distributions import choices
from archdsl.search.propose.heartbeat import HeartbeatThread
from archdsl.search.propose.storage import brief, unheard
from archdsl.search.propose.study import Breeding, Study
from archdsl.search.propose.study_names import name_of as name_of
from archdsl.search.propose.trial_queue import BEGUN, FIXED, FROM, HASH, LOST, OUTSIDE, RESULT, generation_of
from archdsl.search.store.database_url import address
from archdsl.search.trial import ALSO, Trial
from archdsl.spaces.variables import Variable

_NUMBER, _MEASURED, _RECORD, _OVER = "number", "measured", "record", "over"


class Shared(Study):
    """The optimiser of one search on many machines."""

    is_shared = True

    def __init__(
        self,
        url: str,
        name: str,
        variables: dict[str, Variable],
        objectives: Sequence[str],
        seed: int,
        sampler: Sampler = "auto",
        older: str | None = None,
        *,
        policy: Policy,
    ) -> None:
        """Opens the study, or makes it; where there is none of that name, it joins the one that machines with an
        earlier version of archdsl share by the name `older`.

        Raises:
            SearchError: the database cannot be reached.
        """
        self._sharing, self._older = policy.sharing, older
        super().__init__(url, variables, objectives, seed, resume=True, name=name, sampler=sampler, policy=policy)
        self._heart = HeartbeatThread(self._rdb, self._sharing.beat_s)

    def open(self, url: str) -> RDBStorage:
        """The database. Where many processes make its tables at once, all but one fail, and try again."""
        for tries_left in reversed(range(self._sharing.tries)):
            try:
                self._rdb = RDBStorage(
                    address(url),
                    {"pool_pre_ping": True, "connect_args": {"connect_timeout": self._sharing.connect_s}},
                    heartbeat_interval=self._sharing.beat_s,
                    grace_period=self._sharing.grace_s,
                    heartbeat_stale_trial_callback=lambda study, trial: self._again(trial, lost=1),
                )
                self._choose_name()
                return self._rdb
            except SQLAlchemyError as error:
                if not tries_left or "connection" in brief(error):
                    raise
                time.sleep(self._sharing.retry_s)
        raise AssertionError

    def close(self) -> None:
        """Let go of the database."""
        self._heart.stop()
        super().close()

    def _choose_name(self) -> None:
        names = optuna.get_all_study_names(self._rdb)
        if self.name not in names and self._older is not None and self._older in names:
            self.name = self._older

    @property
    def must_stay_older(self) -> bool:
        """Whether machines with an earlier version know the study by this name."""
        return self.name == self._older

    @contextmanager
    def choosing(self) -> Iterator[None]:
        """Only one process chooses at a time; one that hangs is not waited for for ever."""
        connection = self._rdb.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        with connection:
            end = time.monotonic() + self._sharing.lock_s
            key = {"key": self._study_key}
            while not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), key).scalar():
                if time.monotonic() > end:
                    break
                time.sleep(0.05)
            try:
                with unheard():
                    fail_stale_trials(self._study)
                yield
            finally:
                connection.execute(text("SELECT pg_advisory_unlock_all()"))

    def ask(self, breeding: Breeding | None = None) -> tuple[optuna.Trial, Choices]:
        """The next trial, and a value for every variable."""
        trial, chosen = super().ask(breeding)
        self._heart.watch(self.key_of(trial))
        return trial, chosen

    def begin_outside(self, network_hash: str, name: str) -> optuna.Trial:
        """A trial of a network that is no point of the space."""
        trial = super().begin_outside(network_hash, name)
        self._heart.watch(self.key_of(trial))
        return trial

    def next_trial(self) -> optuna.Trial:
        """The first trial that was enqueued, else a new one; none that waits to be trained, as `Study.ask` would."""
        for waiting in self._waiting():
            if (trial := self._claimed(waiting)) is not None:
                return trial
        return optuna.Trial(self._study, self._rdb.create_new_trial(self._study_key))

    def _claimed(self, waiting: FrozenTrial) -> optuna.Trial | None:
        """A trial that waited, now ours; None where another machine was faster."""
        key = self.key_of(waiting)
        with suppress(UpdateFinishedTrialError):
            if self._rdb.set_trial_state_values(key, TrialState.RUNNING):
                return optuna.Trial(self._study, key)
        return None

    def number(self, trial: optuna.Trial, least: int) -> int:
        """The number of a trial that begins, kept with it: no machine gives it again."""
        numbers = [other.user_attrs.get(_NUMBER, -1) for other in self._study.get_trials(deepcopy=False)]
        number = int(max(numbers)) + 1
        trial.set_user_attr(_NUMBER, number)
        return number

    def unfinished(self, trial: FrozenTrial) -> None:
        """Another machine may work on it: only its silence tells."""

    def release(self, trial: optuna.Trial) -> None:
        """This machine ends by itself while the trial is under way: another may take it at once."""
        if OUTSIDE in trial.user_attrs:
            super().release(trial)  # a point is enqueued again with what it was lost for; this is told by its mark
        self._heart.forget(self.key_of(trial))
        self._again(self._rdb.get_trial(self.key_of(trial)), lost=0)
        self._study.tell(trial.number, state=TrialState.FAIL)

    # ------------------------------------------------------------------------------------------------- handing over

    def enqueue_for_training(self, trial: optuna.Trial, record: Trial) -> None:
        """This trial was measured and waits to be trained, here or elsewhere."""
        trial.set_user_attr(_MEASURED, record.as_json())
        self._heart.forget(self.key_of(trial))
        self._rdb.set_trial_state_values(self.key_of(trial), TrialState.WAITING)

    def next_to_train(self) -> tuple[optuna.Trial, Trial] | None:
        """A trial that waited to be trained, now ours; None if there is none."""
        for waiting in self._waiting_trained():
            with unheard():
                if (trial := self._claimed(waiting)) is not None:
                    self._heart.watch(self.key_of(trial))
                    if OUTSIDE not in waiting.user_attrs:
                        choices(trial, self.parameters)
                    return trial, Trial.from_json(waiting.user_attrs[_MEASURED])
        return None

    def _waiting_trained(self) -> list[FrozenTrial]:
        return [trial for trial in super()._waiting() if _MEASURED in trial.user_attrs]

    def _waiting(self) -> list[FrozenTrial]:
        return [trial for trial in super()._waiting() if _MEASURED not in trial.user_attrs]

    @property
    def ahead(self) -> int:  # type: ignore[override]
        """Trials that wait to be trained."""
        return len(self._waiting_trained())

    # ------------------------------------------------------------------------------------------------- of the others

    def keep(self, trial: optuna.Trial, record: Trial) -> bool:
        """Let the others have a record; false where the trial was taken from us meanwhile, for we were silent."""
        self._heart.forget(self.key_of(trial))
        with suppress(UpdateFinishedTrialError):
            trial.set_user_attr(_RECORD, record.as_json())
            return True
        return False

    def records(self) -> list[Trial]:
        """The records of all trials that ended, on whichever machine, if only it came as far as keeping the record."""
        ended = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL))
        return [Trial.from_json(trial.user_attrs[_RECORD]) for trial in ended if _RECORD in trial.user_attrs]

    def under_way(self) -> dict[str, bool]:
        """The hashes of networks that some machine works on, or will, and whether each is a trial of this search."""
        running = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        attributes = (trial.user_attrs for trial in running + self._waiting_trained())
        return {attribute[HASH]: FROM not in attribute for attribute in attributes if HASH in attribute}

    def get_or_set(self, name: str, value: Json) -> Json:
        """What the first machine said of something; ours, if we are the first."""
        with self.choosing():
            attributes = self._study.user_attrs
            if name not in attributes:
                self._study.set_user_attr(name, value)
            return attributes.get(name, value)

    def copy_to(self, folder: Path) -> None:
        """Leave the study, as it is now, in `study.db`, where a report and a dashboard find it without the server."""
        copy = RDBStorage("sqlite://")  # in memory: on a disk each trial would wait for it
        try:
            optuna.copy_study(
                from_study_name=self._study.study_name,
                from_storage=self._rdb,
                to_storage=copy,
                to_study_name="search",
            )
            connection = copy.engine.raw_connection()
            with (
                replacing(folder / "study.db") as partial,
                closing(connection),
                closing(sqlite3.connect(partial)) as file,
            ):
                driver = connection.driver_connection
                assert isinstance(driver, sqlite3.Connection)
                driver.backup(file)
        finally:
            copy.remove_session()
            copy.engine.dispose()

    def mark_closed(self, is_over: bool) -> None:
        """Whether those that measure will begin no further trial."""
        if self.is_over != is_over:
            self._study.set_user_attr(_OVER, is_over)

    @property
    def is_over(self) -> bool:  # type: ignore[override]
        """Whether no further trial will begin."""
        return bool(self._study.user_attrs.get(_OVER, False))

    def _again(self, trial: FrozenTrial, lost: int) -> None:
        """The point of a trial once more, with what was measured of it, but without its constraint."""
        parameters = trial.system_attrs.get(FIXED, trial.params)
        is_point = OUTSIDE not in trial.user_attrs and parameters.keys() == self.variables.keys()
        if not is_point or _RECORD in trial.user_attrs:
            return
        names = [name for name in (FROM, RESULT, ALSO) if name in trial.user_attrs]
        names += [_MEASURED, HASH, _NUMBER] if _MEASURED in trial.user_attrs else []
        kept = {name: trial.user_attrs[name] for name in names}
        kept |= {LOST: trial.user_attrs.get(LOST, 0) + lost, BEGUN: HASH in trial.user_attrs} | generation_of(trial)
        with unheard():
            self._study.enqueue_trial(parameters, user_attrs=kept)
