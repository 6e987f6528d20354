"""One search from its settings to its winner."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from archdsl.schema.space import Space
from archdsl.search.data.agreement import square_side, with_data
from archdsl.search.ladder.finals import Finals
from archdsl.search.ladder.finish import settle
from archdsl.search.ladder.gate import choose_threads, gate_ms
from archdsl.search.ladder.learned import Learned
from archdsl.search.ladder.rungs import OutOfTime
from archdsl.search.ladder.trial import tell
from archdsl.search.ladder.trying import Trying
from archdsl.search.report import read_report, write_html
from archdsl.search.results.busy import MachineLoad
from archdsl.search.results.clock import Clock
from archdsl.search.results.folder import RunFolder
from archdsl.search.results.front import Record, front
from archdsl.search.results.progress import State, Watcher, silent
from archdsl.search.results.result import Result, Verdict, keep, stored, trials_in
from archdsl.search.results.stopping import stoppable
from archdsl.search.settings import Settings
from archdsl.search.study.local import Study
from archdsl.search.study.opening import agreed, described, opened
from archdsl.search.study.storage import brief, telling
from archdsl.search.training.fidelity import length_note
from archdsl.search.workers.child import Reply
from archdsl.search.workers.crew import Crew
from archdsl.search.workers.means import Means
from archdsl.search.workers.seat import Asked, Seat

_REMIND_S = 30.0
"""Between two lines that say that the search waits for the device."""


class Search:
    """A search while it runs."""

    def __init__(
        self,
        settings: Settings,
        folder: RunFolder,
        watcher: Watcher = silent,
        resume: bool = False,
        started: float | None = None,
        new_worker: Callable[[], Asked] | None = None,
        means: Means = Means(),  # noqa: B008  # it is immutable
    ) -> None:
        """`started` is the moment of `time.monotonic()` from which time counts; `new_worker` makes what measures."""
        self.settings, self.folder, self.watcher = settings, folder, watcher
        self.resume, self.means = resume, means
        self.new_worker = new_worker or means.worker(settings.device)
        spent = (folder.read("clock.json") or {}).get("seconds", 0.0) if resume else 0.0
        self.clock = Clock(settings, spent, started)
        self.state = State(settings, str(folder.path), self.clock)
        self.records = folder.records() if resume else []
        self.state.trials = trials_in(self.records)
        self.crew = Crew(settings, means, self.new_worker)
        self.data: dict[str, Any] = {}
        self.origins: dict[str, str] = {}
        """The earlier runs that networks come from, by hash."""
        self.space: Space = settings.space_document
        self._noted = set[str]()
        self._told_waiting = -_REMIND_S
        self.is_interrupted, self.is_ending = False, False
        """Whether it was interrupted; and whether that was while the winner was chosen, so that no other is tried."""
        self.machine = MachineLoad(lambda text: self.watcher(self.state, text))
        self.study: Study
        self.learned: Learned
        self.finals = Finals(self)
        self.update_front()

    @property
    def trials(self) -> list[Record]:
        """The records of trials; a finalist that was trained longer is none of its own."""
        return [record for record in self.records if record["rung"] != "train_longer"]

    @property
    def worker(self) -> Seat:
        """Who does what is no trial."""
        return self.crew.seats[0]

    def run(self) -> Result:
        """Search until the trials or the time are used up, then choose and measure the winner."""
        with stoppable():
            try:
                try:
                    self._prepare()
                    Trying(self).run()
                    if self.means.role == "both":
                        self.finals.train()
                except OutOfTime:
                    self.note("the time was over before the first trial")
                except KeyboardInterrupt:
                    self.is_interrupted = True
                    self.note("interrupted: ending with what there is; once more stops at once")
                self.crew.stop()  # it must not disturb what is measured now
                verdict = settle(self)
                self._note_waiting()
                if hasattr(self, "study"):
                    self._copy_study()
            finally:
                self.crew.stop()
                if hasattr(self, "study"):
                    self.study.close()
                with suppress(OSError):  # or it would hide what went wrong before
                    self._keep_clock()
        return self._result(verdict, self.is_interrupted)

    def _result(self, verdict: Verdict, interrupted: bool) -> Result:
        result = Result(
            self.folder.path,
            self.settings,
            self.records,
            self.state.front,
            verdict,
            interrupted,
            self.state.facts,
            self.machine.disturbed,
        )
        keep(self.folder, result, self.clock.elapsed)
        self._report()
        return result

    def _copy_study(self) -> None:
        """Leave a shared study in the folder; whatever goes wrong with it, the search has its result."""
        try:
            self.study.copy_to(self.folder.path)
        except Exception as error:
            self.note(f"the shared study was not copied to study.db: {brief(error)}")

    def _report(self) -> None:
        """Write `report.html`; whatever goes wrong with it, the search has its result."""
        try:
            write_html(read_report(self.folder.path), self.folder.path / "report.html")
        except Exception as error:
            self.note(f"no report.html was written: {' '.join(str(error).split())[:200]}")

    def doing(self, what: str, phase: str = "searching") -> None:
        """Show what is being done."""
        self.state.phase, self.state.doing, self.state.fraction = phase, what, None
        self.watcher(self.state, None)

    def trained_so_far(self, share: float) -> None:
        """Show how far a training is, 0 to 1."""
        self.state.fraction = share
        self.watcher(self.state, None)

    def add(self, record: Record) -> None:
        """Keep a record: on disk first, so that nothing is paid for twice."""
        self.folder.append(record)
        self.records.append(record)
        self._keep_clock()

    def _note_waiting(self) -> None:
        """Say how long the device was not free, since that explains why everything took longer than its time."""
        if self.clock.waited >= 1:
            device = self.settings.device
            waited = f"waited {self.clock.waited:.0f} s while another process measured on {device}"
            self.note(f"{waited}; this does not count as search time")

    def waits(self, text: str) -> None:
        """Tell that another process measures on the device, at once and then every half a minute."""
        self.doing(text, self.state.phase)
        if time.monotonic() - self._told_waiting >= _REMIND_S:
            self._told_waiting = time.monotonic()
            self.watcher(self.state, text)

    def while_waiting(self, reply: Reply) -> None:
        """Take what a worker says before its reply: while it waits for the device, the search's time stands still."""
        if "waiting" in reply:
            self.clock.pause()
            self.waits(str(reply["waiting"]))
        else:
            self.clock.go_on()

    def note(self, text: str) -> None:
        """Tell something that is worth keeping, once."""
        if text not in self._noted:
            self._noted.add(text)
            self.state.notes.append(text)
            self.watcher(self.state, text)

    def _keep_clock(self) -> None:
        self.folder.write("clock.json", {"seconds": round(self.clock.elapsed, 3)})

    # ------------------------------------------------------------------------------------------------- preparation

    def _prepare(self) -> None:
        """The data's classes and channels go into the space; the machine's noise sets the gate."""
        self.doing("loading data", "starting")
        side = square_side(self.space)
        self.state.facts = self.crew.greeted()
        request = [self.settings.data, side, self.settings.seed, self.settings.images]
        self.data = self.worker.ask({"do": "data", "data": request}, 1800.0)
        self.data |= {"request": request, "torch": self.state.facts.get("torch")}
        self.space = with_data(self.space, self.data, self.settings.data)
        self.note(f"data  {self.data['describe']}")
        if (note := length_note(self.settings, self.data["images"])) is not None:
            self.note(note)
        self.study = opened(self)
        if self.means.role != "train":
            self._use_threads(choose_threads(self))
        self.doing("measuring the machine's noise", "starting")
        self.state.gate_ms = agreed(self, None if self.means.role == "train" else gate_ms(self))
        self.study.describe(described(self))
        self.study.recover(self._record_of, lambda trial, record: tell(self.study, self.state.gate_ms, trial, record))

    def _use_threads(self, threads: int | None) -> None:
        """Measure on so many threads from here on, also when the run is resumed; all machines of a study do."""
        if threads is not None:
            threads = int(self.study.agree("threads", threads))
        if threads is None or threads == self.settings.chosen_threads:
            return
        self.settings = self.settings.model_copy(update={"chosen_threads": threads})
        self.state.settings = self.settings
        self.crew.use(self.settings)
        self.folder.write("run.json", self.settings.model_dump(mode="json"))

    def _record_of(self, known: str) -> Record | None:
        return next((record for record in self.trials if record["hash"] == known), None)

    def update_front(self) -> None:
        """The front becomes that of what was trained at the search's own length, inside the budget."""
        kept = [record for record in self.trials if record["accuracy"] is not None and record["inside_budget"]]
        self.state.front = front(kept, self.space.objectives)


def run_search(
    settings: Settings,
    out: Path,
    resume: bool = False,
    watcher: Watcher = silent,
    started: float | None = None,
    new_worker: Callable[[], Asked] | None = None,
    *,
    means: Means = Means(),  # noqa: B008  # it is immutable
    earlier: Sequence[str] = (),
) -> Result:
    """Run or resume the search of `settings` in the folder `out`; a finished one gives its result again.

    `earlier` are folders of runs whose trials a new search knows from the start.

    Raises:
        RunExists: there is a run, and `resume` is false.
        SearchError: the folder or its study cannot be used, the data cannot be loaded, or no point of the space can be
            tried.
    """
    started = time.monotonic() if started is None else started
    folder = RunFolder(out)
    settings = folder.begin(settings, resume, earlier)
    try:
        if resume and (result := stored(folder, settings)):
            return result
        with telling(out):
            return Search(settings, folder, watcher, resume, started, new_worker, means).run()
    except BaseException:
        folder.forget()
        raise
    finally:
        folder.release()
