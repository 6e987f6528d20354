"""What a study says of other machines while there are none; `shared.py` answers otherwise."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import optuna

from archdsl.json_types import Json
from archdsl.search.trial import Trial


class LocalCoordinator:
    """A study of one machine."""

    is_shared = False
    ahead = 0
    """Trials that wait to be trained."""
    is_over = True
    """Whether no other machine will begin a trial."""

    def choosing(self) -> AbstractContextManager[None]:
        """Nobody else chooses a trial inside."""
        return nullcontext()

    def number(self, trial: optuna.Trial, least: int) -> int:
        """The number of a trial that begins."""
        return least

    def keep(self, trial: optuna.Trial, record: Trial) -> bool:
        """Let other machines have a record; whether the trial is still ours to be told."""
        return True

    def enqueue_for_training(self, trial: optuna.Trial, record: Trial) -> None:
        """This trial was measured and waits to be trained."""
        raise NotImplementedError

    def next_to_train(self) -> tuple[optuna.Trial, Trial] | None:
        """A trial that waited to be trained, now ours."""
        return None

    def records(self) -> list[Trial]:
        """The records of the trials that ended on other machines."""
        return []

    def under_way(self) -> dict[str, bool]:
        """The hashes of networks that other machines work on, and whether each is a trial of this search."""
        return {}

    def mark_closed(self, is_over: bool) -> None:
        """Let machines that train know whether there is more to come."""

    def get_or_set(self, name: str, value: Json) -> Json:
        """What the first machine said of something; ours, if we are the first."""
        return value

    def copy_to(self, folder: Path) -> None:
        """Leave what is known of all trials in the run's folder, where the study is not there already."""
