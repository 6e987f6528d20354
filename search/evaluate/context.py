"""What every step of a search works with: settings, clock, data, workers, folder, and how it tells of its progress."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from archdsl.data.agreement import with_data
from archdsl.language.document import Spec
from archdsl.runtimes.by_name import runs_files
from archdsl.search.baselines import Baseline, baselines_of
from archdsl.search.config import Settings
from archdsl.search.evaluate.exported_files import ExportedFiles
from archdsl.search.evaluate.library_networks import LibraryNetworks
from archdsl.search.evaluate.narrower_copies import CopyMaker, NarrowerCopies
from archdsl.search.loaded_data import DataFacts
from archdsl.search.measurement import Measurement
from archdsl.search.network import AnyNetwork, TimmNetwork
from archdsl.search.policy import Policy
from archdsl.search.propose.study import OpenTrial
from archdsl.search.store.clock import Clock
from archdsl.search.store.folder import RunFolder
from archdsl.search.store.front import front
from archdsl.search.store.machine_load import MachineLoad
from archdsl.search.store.parent import Parent
from archdsl.search.store.progress import State, Watcher, silent
from archdsl.search.store.result import trials_in
from archdsl.search.store.run_schema import ClockFile
from archdsl.search.trial import Trial
from archdsl.search.worker.events import DeviceBusy, Event
from archdsl.search.worker.machine_options import MachineOptions
from archdsl.search.worker.pool import WorkerPool
from archdsl.search.worker.slot import WorkerProtocol, WorkerSlot
from archdsl.search.worker.training_messages import CountRequest
from archdsl.spaces.space import Space


class Context:
    """One search on this machine, as its steps see it."""

    def __init__(
        self,
        settings: Settings,
        policy: Policy,
        folder: RunFolder,
        watcher: Watcher = silent,
        is_resumed: bool = False,
        *,
        started: float | None = None,
        new_worker: Callable[[], WorkerProtocol] | None = None,
        options: MachineOptions = MachineOptions(),  # noqa: B008  # it is immutable
    ) -> None:
        """`started` is the moment of `time.monotonic()` from which time counts; `new_worker` makes what measures and
        trains.
        """
        self.settings, self.policy, self.folder, self.watcher = settings, policy, folder, watcher
        self.is_resumed, self.options = is_resumed, options
        before = folder.read("clock.json", ClockFile) if is_resumed else None
        before = before or ClockFile(seconds=0.0)
        self.clock = Clock(settings, policy, before.seconds, started, trials_from=before.trials_from)
        self.records = folder.records() if is_resumed else []
        self.new_worker = new_worker or options.worker(settings.device, policy.worker, settings.runtime)
        self.pool: WorkerPool[OpenTrial] = WorkerPool(settings, policy.silence, options, self.new_worker)
        self.state = State(settings, str(folder.path), self.clock)
        self.state.trials = trials_in(self.records)
        self.space: Space = settings.space_document
        """With the classes and the channels of the data, once it is loaded."""
        self.baselines: list[Baseline] = []
        """Networks that were named beside the space, once the data is loaded."""
        self.data: DataFacts | None = None
        """What the worker tells of the data; None until it is loaded."""
        self.exported = ExportedFiles(folder.path, policy.exported_files)
        self.machine = MachineLoad(lambda text: self.watcher(self.state, text))
        self.is_interrupted, self.is_ending = False, False
        """Whether it was interrupted; and whether that was while the winner was chosen, so that no other is tried."""
        self.parent: Parent | None = None
        """The trained network that candidates inherit from, once it is prepared; None where there is none."""
        self.measured_parent: tuple[str, float, Measurement] | None = None
        """Its hash, ms and reading, where it was measured in this part of the search: it may be a candidate too."""
        self.library: LibraryNetworks | None = None
        """The networks of the library of its blocks, where there is one."""
        self.own_library: Path | None = None
        """The folder of the library that this search fitted, where it did."""
        self.copies = CopyMaker(settings)
        """Makes copies of the parent with fewer channels."""
        self.narrower: NarrowerCopies | None = None
        """Those that are tried, where its space and its library have nothing that is fast enough."""
        self.fastest: tuple[Spec, float] | None = None
        """The fastest network that was found and its ms, where a small budget made it worth measuring."""
        self.tries_only_beside = False
        """Whether no point of the space is proposed, since all are too slow: only what stands beside it is tried."""
        self._noted = set[str]()
        self._told_waiting = -math.inf
        self.update_front()

    @property
    def trials(self) -> list[Trial]:
        """The records of trials; a finalist that was trained longer is none of its own."""
        return [record for record in self.records if not record.is_longer]

    @property
    def loaded(self) -> DataFacts:
        """The data, in what begins once it is loaded."""
        assert self.data is not None
        return self.data

    @property
    def inherits(self) -> bool:
        """Whether candidates inherit from a parent: not where the first that were trained show that none can."""
        if self.parent is None:
            return False
        of_the_search = (trial for trial in self.trials if not trial.is_baseline)
        trained = [trial for trial in of_the_search if trial.accuracy is not None or trial.is_inherited]
        return len(trained) < self.policy.inheritance.tries or any(trial.is_inherited for trial in trained)

    @property
    def tries_others(self) -> bool:
        """Whether what cannot inherit is trained from initial weights: if time is long, and while nothing inherited."""
        limit, policy = self.clock.limit, self.policy.inheritance
        is_long = limit is None or limit >= policy.others_from_s
        return is_long or not any(trial.is_inherited for trial in self.trials)

    def is_ranked(self, trial: Trial) -> bool:
        """Whether a trained network is ranked among most others: what inherited is not compared with what did not."""
        return trial.is_inherited == self.inherits

    def as_ranked(self, trial: Trial) -> Trial:
        """The trial without its accuracy where that is not to be compared with most others."""
        return trial if self.is_ranked(trial) else replace(trial, accuracy=None)

    @property
    def worker(self) -> WorkerSlot:
        """Who does what is no trial."""
        return self.pool.slots[0]

    @contextmanager
    def exported_file(self, network: AnyNetwork) -> Iterator[Path | None]:
        """Where the exported file of a network is kept meanwhile; None where the runtime runs modules."""
        if not runs_files(self.settings.runtime):
            yield None
            return
        with self.exported.using(network) as file:
            yield file

    def use_data(self, data: DataFacts) -> None:
        """The data's classes and channels go into the space, and into the networks named beside it.

        Raises:
            SearchError: the space or one of these networks states others, or the network is outside the budgets.
        """
        self.data = data
        facts = {"channels": data.channels, "classes": data.classes}
        self.space = with_data(self.space, facts, self.settings.data)
        self.baselines = baselines_of(self.settings, self.space, facts, self._counted)

    def _counted(self, network: TimmNetwork) -> tuple[int, int]:
        """Params and MACs of a network that has to be built for it."""
        reply = self.worker.ask(CountRequest(network.to_json()), self.policy.silence.score_s)
        return reply.params, reply.macs

    def use_parent(self, parent: Parent) -> None:
        """Candidates inherit from it from here on, so that they get less of the time and finalists more."""
        self.parent = parent
        self.clock.with_parent()

    def use_library_of_its_own(self, folder: Path) -> None:
        """Solve for networks of a library that this search fitted, after which few candidates are left to be tried."""
        self.own_library = folder
        self.clock.with_library()

    def use_settings(self, settings: Settings) -> None:
        """Other settings from here on, also when the run is resumed."""
        self.settings = self.state.settings = settings
        self.pool.use(settings)
        self.folder.write("run.json", settings.model_dump(mode="json"))

    def add(self, record: Trial) -> None:
        """Keep a record: on disk first, so that nothing is paid for twice."""
        self.folder.append(record)
        self.records.append(record)
        self.keep_clock()

    def keep_clock(self) -> None:
        """Write down how long the search took so far."""
        self.folder.write(
            "clock.json", {"seconds": round(self.clock.elapsed, 3), "trials_from": self.clock.trials_from}
        )

    def update_front(self) -> None:
        """The front becomes that of what was trained at the search's own length, inside the budget."""
        trials = (record for record in self.trials if record.can_win)
        kept = [record for record in trials if record.accuracy is not None and record.inside_budget]
        if any(self.is_ranked(record) for record in kept):
            kept = [record for record in kept if self.is_ranked(record)]
        self.state.front = front(kept, self.space.objectives)

    # ---------------------------------------------------------------------------------------------------- telling

    def doing(self, what: str, phase: str = "searching") -> None:
        """Show what is being done."""
        self.state.phase, self.state.doing, self.state.fraction = phase, what, None
        self.watcher(self.state, None)

    def trained_so_far(self, share: float) -> None:
        """Show how far a training is, 0 to 1."""
        self.state.fraction = share
        self.watcher(self.state, None)

    def note(self, text: str) -> None:
        """Tell something that is worth keeping, once."""
        if text not in self._noted:
            self._noted.add(text)
            self.state.notes.append(text)
            self.watcher(self.state, text)

    def waits(self, text: str) -> None:
        """Tell that another process measures on the device, at once and then every half a minute."""
        self.doing(text, self.state.phase)
        if time.monotonic() - self._told_waiting >= self.policy.time.remind_s:
            self._told_waiting = time.monotonic()
            self.watcher(self.state, text)

    def while_waiting(self, event: Event) -> None:
        """Take what a worker says before its reply: while it waits for the device, the search's time stands still."""
        if isinstance(event, DeviceBusy):
            self.clock.pause()
            self.waits(event.text)
        else:
            self.clock.go_on()
