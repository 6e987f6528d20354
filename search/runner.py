"""One search from its settings to its winner."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna

from archdsl.errors import SearchError
from archdsl.schema.space import Space
from archdsl.schema.variables import variables
from archdsl.search.clock import Clock
from archdsl.search.crew import Crew
from archdsl.search.finish import longer, settle
from archdsl.search.front import Record, front
from archdsl.search.gate import all_fell, gate_ms, hopeless
from archdsl.search.ladder import OutOfTime
from archdsl.search.learned import Learned
from archdsl.search.means import Means
from archdsl.search.progress import State, Watcher, silent
from archdsl.search.proposals import Proposals
from archdsl.search.result import Result, Verdict, keep, stored, trials_in
from archdsl.search.run_folder import RunFolder
from archdsl.search.seat import Asked, Seat
from archdsl.search.settings import Settings
from archdsl.search.stopping import stoppable
from archdsl.search.storage import telling
from archdsl.search.study import Study
from archdsl.search.trial import end_of, given_up, line, tell, tried

MOST_FAILURES = 20
"""Trials in a row that failed, after which the fault is not the candidates'."""


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
        self.resume, self.new_worker = resume, new_worker or means.worker(settings.device)
        spent = (folder.read("clock.json") or {}).get("seconds", 0.0) if resume else 0.0
        self.clock = Clock(settings, spent, started)
        self.state = State(settings, str(folder.path), self.clock)
        self.records = folder.records() if resume else []
        self.state.trials = trials_in(self.records)
        self.crew = Crew(settings, means, self.new_worker)
        self.data: dict[str, Any] = {}
        self._is_late = False
        self.space: Space = settings.space_document
        self._before, self._begun, self._noted = len(self.trials), next_number(self.records), set[str]()
        self._update_front()

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
        interrupted = False
        with stoppable():
            try:
                try:
                    self._prepare()
                    self._search()
                    longer(self)
                except OutOfTime:
                    self._note("the time was over before the first trial")
                except KeyboardInterrupt:
                    interrupted = True
                    self._note("interrupted: ending with what there is; once more stops at once")
                self.crew.stop()  # it must not disturb what is measured now
                verdict = settle(self)
            finally:
                self.crew.stop()
                with suppress(OSError):  # or it would hide what went wrong before
                    self._keep_clock()
        return self._result(verdict, interrupted)

    def _result(self, verdict: Verdict, interrupted: bool) -> Result:
        result = Result(
            self.folder.path, self.settings, self.records, self.state.front, verdict, interrupted, self.state.facts
        )
        keep(self.folder, result, self.clock.elapsed)
        return result

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

    def _note(self, text: str) -> None:
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
        image = self.space.image_size
        if image[0] != image[1]:
            raise SearchError(f"search data is square; the space '{self.space.name}' has images of {image}")
        self.state.facts = self.crew.greeted()
        request = [self.settings.data, image[0], self.settings.seed, self.settings.images]
        self.data = self.worker.ask({"do": "data", "data": request}, 1800.0)
        self.data |= {"request": request, "torch": self.state.facts.get("torch")}
        self.space = self.space.model_copy(update={name: self.data[name] for name in ("classes", "channels")})
        self.doing("measuring the machine's noise", "starting")
        self.state.gate_ms = gate_ms(self)

    # ------------------------------------------------------------------------------------------------------ search

    def _search(self) -> None:
        known = variables(self.space.nodes)
        study = Study(self.folder.storage, known, self.space.objectives, self.settings.seed, self.resume)
        try:
            study.recover(self._record_of, lambda trial, record: tell(study, self.state.gate_ms, trial, record))
            seen = {record["hash"] for record in self.records}
            self.state.funnel.update(end_of(record) for record in self.trials)
            self.learned = Learned(self.trials, self.state.gate_ms)
            too_slow = self.learned.surely_too_slow
            self._try_all(study, Proposals(study, self.space, self.settings, seen, self.state.funnel, too_slow))
        finally:
            study.close()

    def _record_of(self, known: str) -> Record | None:
        return next((record for record in self.trials if record["hash"] == known), None)

    def _try_all(self, study: Study, proposals: Proposals) -> None:
        """Candidate after candidate, until a limit, or until there is nothing more to try."""
        try:
            while True:
                while self.crew.has_free and not self._is_over(proposals):
                    self._begin_one(study, proposals)
                if not self.crew.busy:
                    return
                trial, record = self.crew.ended()
                if record is None:
                    study.release(trial)  # it stays open: a resumed search asks for it again
                    self._is_late = True
                else:
                    self._end_one(study, trial, record)
        finally:
            with suppress(Exception):
                for trial in self.crew.open:
                    study.release(trial)

    def _begin_one(self, study: Study, proposals: Proposals) -> None:
        """Propose a candidate; if it is of use, its trial begins."""
        self.doing("choosing what to try next")
        if all_fell(self.trials):
            proposals.ask_for_the_smallest()
        proposal = proposals.next()
        for reason in proposals.raised:
            self._note(f"a block failed while its costs were counted, and is left out: {reason}")
        if proposal is None:
            return
        found, trial = proposal
        number, self._begun = self._begun, self._begun + 1
        if study.is_killer(trial):
            self.crew.start(trial, lambda seat: given_up(found, number))
        else:
            self.crew.start(trial, lambda seat: tried(self, found, number, seat))

    def _end_one(self, study: Study, trial: optuna.Trial, record: Record) -> None:
        self.add(record)
        self.learned.learn(record)
        tell(study, self.state.gate_ms, trial, record)
        self.state.funnel[end_of(record)] += 1
        self.state.trials += 1
        self._update_front()
        self.watcher(self.state, line(record))

    def _is_over(self, proposals: Proposals) -> bool:
        """Whether a limit is reached; where it is something else that ends the search, that is told."""
        most = self.settings.trials
        if most is not None and self.state.trials + self.crew.busy >= most:
            return True
        if self.clock.search_is_over or self._is_late:
            return True
        last = self.trials[self._before :][-MOST_FAILURES:]
        reason = hopeless(self.trials, self.settings.latency_budget_ms)
        if proposals.exhausted:
            reason = "every network that could be drawn from the space was tried"
        elif len(last) == MOST_FAILURES and all(record["outcome"] == "failed" for record in last):
            reason = f"the last {MOST_FAILURES} networks failed, the last one so: {last[-1]['reason']}"
        if reason is not None:
            self._note(reason)
        return reason is not None

    def _update_front(self) -> None:
        """The front of what was trained at the search's own length, inside the budget."""
        kept = [record for record in self.trials if record["accuracy"] is not None and record["inside_budget"]]
        self.state.front = front(kept, self.space.objectives)


def next_number(records: list[Record]) -> int:
    """The number of the next trial."""
    return max((record["number"] for record in records), default=-1) + 1


def run_search(
    settings: Settings,
    out: Path,
    resume: bool = False,
    watcher: Watcher = silent,
    started: float | None = None,
    new_worker: Callable[[], Asked] | None = None,
    means: Means = Means(),  # noqa: B008  # it is immutable
) -> Result:
    """Run or resume the search of `settings` in the folder `out`; a finished one gives its result again.

    Raises:
        RunExists: there is a run, and `resume` is false.
        SearchError: the folder or its study cannot be used, the data cannot be loaded, or no point of the space can be
            tried.
    """
    started = time.monotonic() if started is None else started
    folder = RunFolder(out)
    settings = folder.begin(settings, resume)
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
