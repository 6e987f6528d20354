"""A thread that tells the database which trials this process works on: `Study.ask` and `tell` send no heartbeat."""

from __future__ import annotations

import contextlib
import threading

from optuna.storages import RDBStorage


class HeartbeatThread:
    """Beats for every trial that is watched."""

    def __init__(self, storage: RDBStorage, beat_s: float) -> None:
        """`beat_s` are the seconds between two beats."""
        self._database, self._beat_s = storage, beat_s
        self._watched: set[int] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def watch(self, trial: int) -> None:
        """A trial begins; its first beat is sent before this returns, so that it cannot be lost unseen."""
        self._database.record_heartbeat(trial)
        self._watched.add(trial)

    def forget(self, trial: int) -> None:
        """A trial has ended, or is handed over."""
        self._watched.discard(trial)

    def stop(self) -> None:
        """Beat no more."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._beat_s):
            for trial in list(self._watched):
                with contextlib.suppress(Exception):  # the next beat may get through
                    self._database.record_heartbeat(trial)
        self._database.remove_session()
