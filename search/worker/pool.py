"""The workers of one search on this machine: who is free, who works on what, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Generic, TypeVar

from archdsl.errors import SearchError
from archdsl.latency.provenance import Provenance
from archdsl.search.config import Settings
from archdsl.search.policy.evaluate import SilencePolicy
from archdsl.search.trial import Trial
from archdsl.search.worker.machine_options import MachineOptions
from archdsl.search.worker.messages import HelloRequest, MeasuringSetting
from archdsl.search.worker.process import Failed, OutOfTime
from archdsl.search.worker.slot import DeviceLocks, WorkerProtocol, WorkerSlot


def greeted(worker: WorkerProtocol, settings: Settings, policy: SilencePolicy) -> Provenance:
    """What a worker tells of the device that networks are measured on.

    Raises:
        Failed, WorkerGone: as `Worker.ask`.
    """
    return worker.ask(HelloRequest(MeasuringSetting(**settings.measuring())), policy.greeting_s).provenance


Ticket = TypeVar("Ticket")
"""What a caller names its trials by; the pool only hands it back."""
Work = Callable[[WorkerSlot], Trial]


class WorkerPool(Generic[Ticket]):
    """Seats side by side, one trial each. With one slot, a trial is over when `start` returns: no thread is needed."""

    def __init__(
        self,
        settings: Settings,
        policy: SilencePolicy,
        options: MachineOptions,
        new_worker: Callable[[], WorkerProtocol],
    ) -> None:
        self._policy, locks = policy, DeviceLocks()
        self._is_measuring = options.role != "train"
        devices = device_names(settings.device, options.workers)
        for device in devices:
            WorkerSlot(new_worker(), settings.model_copy(update={"device": device}), locks, options.trial_s)
        self.slots = locks.slots
        self._free = list(self.slots)
        self._busy: dict[Future[Trial], tuple[Ticket, WorkerSlot]] = {}
        self._threads = ThreadPoolExecutor(len(devices)) if len(devices) > 1 else None

    def use(self, settings: Settings) -> None:
        """Other settings from here on; each slot keeps its device."""
        for slot in self.slots:
            slot.settings = settings.model_copy(update={"device": slot.settings.device})

    @property
    def busy(self) -> int:
        """Trials under way."""
        return len(self._busy)

    @property
    def has_free(self) -> bool:
        """Whether a slot waits for work."""
        return bool(self._free)

    @property
    def open(self) -> list[Ticket]:
        """The trials that are under way."""
        return [trial for trial, _ in self._busy.values()]

    def greeted(self) -> Provenance:
        """What the workers tell of their devices, which must be alike: a latency counts on any of them.

        Raises:
            SearchError: one has no device, or one that differs.
        """
        devices: list[Provenance] = []
        for number, slot in enumerate(self.slots, 1):
            settings = slot.settings if self._is_measuring else slot.settings.model_copy(update={"target": None})
            try:
                devices.append(greeted(slot, settings, self._policy))
            except Failed as error:
                if settings.target is not None:
                    raise
                raise SearchError(f"worker {number} of {len(self.slots)}: {error}") from None
        if len(names := {device.device_name for device in devices}) > 1:
            rule = f"the devices of the workers differ: {', '.join(sorted(names))}"
            raise SearchError(f"{rule}; choose one by its number, e.g. --device cuda:0")
        return devices[0]

    def start(self, trial: Ticket, work: Work) -> None:
        """Begin a trial in a free slot."""
        slot = self._free.pop()
        slot.begin()
        if self._threads is not None:
            self._busy[self._threads.submit(work, slot)] = trial, slot
            return
        done: Future[Trial] = Future()
        self._busy[done] = trial, slot
        try:
            done.set_result(work(slot))
        except OutOfTime as error:
            done.set_exception(error)

    def ended(self, wait_s: float | None = None) -> tuple[Ticket, Trial | None] | None:
        """A trial that ended, waited for; without a record where the search's time was over first.

        None if none ends within `wait_s` seconds.
        """
        done = next(iter(wait(self._busy, wait_s, FIRST_COMPLETED).done), None)
        if done is None:
            return None
        record: Trial | None = None
        with suppress(OutOfTime):
            record = done.result()
        trial, slot = self._busy.pop(done)
        self._free.append(slot)
        return trial, record

    def stop(self) -> None:
        """End all workers for good, whatever they are doing."""
        for slot in self.slots:
            slot.close()
        while wait(self._busy, timeout=0.1).not_done and self._threads is not None:
            for slot in self.slots:
                slot.kill()  # the thread that waits for it cleans up
        if self._threads is not None:
            self._threads.shutdown()
        for slot in self.slots:
            slot.stop()


def device_names(device: str, workers: int) -> list[str]:
    """The device of each worker: where CUDA is named without a number, each has a GPU of its own."""
    is_one_each = device == "cuda" and workers > 1
    return [f"cuda:{number}" if is_one_each else device for number in range(workers)]
