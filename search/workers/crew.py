"""The workers of one search on this machine: who is free, who works on what, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any

import optuna

from archdsl.errors import SearchError
from archdsl.search.ladder.rungs import OutOfTime
from archdsl.search.results.front import Record
from archdsl.search.settings import Settings
from archdsl.search.study.waiting import FROM, HASH
from archdsl.search.workers.child import Failed
from archdsl.search.workers.means import Means
from archdsl.search.workers.seat import Asked, Room, Seat

_GREETING_S = 300.0

Work = Callable[[Seat], Record]


class Crew:
    """Seats side by side, one trial each. With one seat, a trial is over when `start` returns: no thread is needed."""

    def __init__(self, settings: Settings, means: Means, new_worker: Callable[[], Asked]) -> None:
        room = Room()
        devices = device_names(settings.device, means.workers)
        for device in devices:
            Seat(new_worker(), settings.model_copy(update={"device": device}), room, means.trial_s)
        self.seats = room.seats
        self._free = list(self.seats)
        self._busy: dict[Future[Record], tuple[optuna.Trial, Seat]] = {}
        self._threads = ThreadPoolExecutor(len(devices)) if len(devices) > 1 else None

    def use(self, settings: Settings) -> None:
        """Other settings from here on; each seat keeps its device."""
        for seat in self.seats:
            seat.settings = settings.model_copy(update={"device": seat.settings.device})

    @property
    def busy(self) -> int:
        """Trials under way."""
        return len(self._busy)

    @property
    def has_free(self) -> bool:
        """Whether a seat waits for work."""
        return bool(self._free)

    @property
    def open(self) -> list[optuna.Trial]:
        """The trials that are under way."""
        return [trial for trial, _ in self._busy.values()]

    def greeted(self) -> dict[str, Any]:
        """What the workers tell of their devices, which must be alike: a latency counts on any of them.

        Raises:
            SearchError: one has no device, or one that differs.
        """
        told: list[dict[str, Any]] = []
        for number, seat in enumerate(self.seats, 1):
            try:
                told.append(seat.ask({"do": "hello", **seat.settings.measuring()}, _GREETING_S)["provenance"])
            except Failed as error:
                raise SearchError(f"worker {number} of {len(self.seats)}: {error}") from None
        if len(names := {str(facts.get("device_name")) for facts in told}) > 1:
            raise SearchError(f"the devices of the workers differ: {', '.join(sorted(names))}; name one by its number")
        return told[0]

    @property
    def under_way(self) -> dict[str, bool]:
        """The hashes of networks that are tried now, and whether each is a trial of this search."""
        return {str(trial.user_attrs.get(HASH)): FROM not in trial.user_attrs for trial in self.open}

    def start(self, trial: optuna.Trial, work: Work) -> None:
        """Begin a trial in a free seat."""
        seat = self._free.pop()
        seat.begin()
        if self._threads is not None:
            self._busy[self._threads.submit(work, seat)] = trial, seat
            return
        done: Future[Record] = Future()
        self._busy[done] = trial, seat
        try:
            done.set_result(work(seat))
        except OutOfTime as error:
            done.set_exception(error)

    def ended(self, wait_s: float | None = None) -> tuple[optuna.Trial, Record | None] | None:
        """A trial that ended, waited for; without a record where the search's time was over first.

        None if none ends within `wait_s` seconds.
        """
        done = next(iter(wait(self._busy, wait_s, FIRST_COMPLETED).done), None)
        if done is None:
            return None
        record: Record | None = None
        with suppress(OutOfTime):
            record = done.result()
        trial, seat = self._busy.pop(done)
        self._free.append(seat)
        return trial, record

    def stop(self) -> None:
        """End all workers for good, whatever they are doing."""
        for seat in self.seats:
            seat.close()
        while wait(self._busy, timeout=0.1).not_done and self._threads is not None:
            for seat in self.seats:
                seat.kill()  # the thread that waits for it cleans up
        if self._threads is not None:
            self._threads.shutdown()
        for seat in self.seats:
            seat.stop()


def device_names(device: str, workers: int) -> list[str]:
    """The device of each worker: where CUDA is named without a number, each has a GPU of its own."""
    own = device == "cuda" and workers > 1
    return [f"cuda:{number}" if own else device for number in range(workers)]
