"""One search from its settings to its winner."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from archdsl.errors import SearchError
from archdsl.schema.space import Space
from archdsl.schema.variables import variables
from archdsl.search.child import Worker
from archdsl.search.clock import Clock
from archdsl.search.finish import longer, settle
from archdsl.search.front import Record, front
from archdsl.search.gate import all_fell, gate_ms, hopeless
from archdsl.search.known import known_from
from archdsl.search.ladder import Asked, OutOfTime
from archdsl.search.learned import Learned
from archdsl.search.predict import table_of
from archdsl.search.progress import State, Watcher, silent
from archdsl.search.proposals import Proposals
from archdsl.search.report import read_report, write_html
from archdsl.search.result import Result, Verdict, keep, stored, trials_in
from archdsl.search.run_folder import RunFolder
from archdsl.search.settings import Settings
from archdsl.search.stopping import stoppable
from archdsl.search.study import Study
from archdsl.search.trial import end_of, line, tell, tried

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
        new_worker: Callable[[], Asked] = Worker,
        earlier: Sequence[str] = (),
    ) -> None:
        """`started` is the moment of `time.monotonic()` from which time counts; `new_worker` makes what measures.

        `earlier` are folders of runs whose trials are known from the start.
        """
        self.settings, self.folder, self.watcher = settings, folder, watcher
        self.resume, self.new_worker = resume, new_worker
        spent = (folder.read("clock.json") or {}).get("seconds", 0.0) if resume else 0.0
        self.clock = Clock(settings, spent, started)
        self.state = State(settings, str(folder.path), self.clock)
        self.records = folder.records() if resume else []
        self.state.trials = trials_in(self.records)
        self.worker = new_worker()
        self.data: dict[str, Any] = {}
        self.origins: dict[str, str] = {}
        self.space: Space = settings.space_document
        self._before, self._earlier = len(self.trials), earlier
        self._update_front()

    @property
    def trials(self) -> list[Record]:
        """The records of trials; a finalist that was trained longer is none of its own."""
        return [record for record in self.records if record["rung"] != "train_longer"]

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
                self.worker.stop()  # it must not disturb what is measured now
                verdict = settle(self)
            finally:
                self.worker.stop()
                self._keep_clock()
        return self._result(verdict, interrupted)

    def _result(self, verdict: Verdict, interrupted: bool) -> Result:
        result = Result(
            self.folder.path, self.settings, self.records, self.state.front, verdict, interrupted, self.state.facts
        )
        keep(self.folder, result, self.clock.elapsed)
        self._report()
        return result

    def _report(self) -> None:
        """Write `report.html`; whatever goes wrong with it, the search has its result."""
        try:
            write_html(read_report(self.folder.path), self.folder.path / "report.html")
        except Exception as error:
            self._note(f"no report.html was written: {' '.join(str(error).split())[:200]}")

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
        hello = {"do": "hello", **self.settings.measuring()}
        self.state.facts = self.worker.ask(hello, 300.0)["provenance"]
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
            study.describe(self._described())
            study.recover(self._record_of, lambda trial, record: tell(study, self.state.gate_ms, trial, record))
            seen = {record["hash"] for record in self.records}
            self.state.funnel.update(end_of(record) for record in self.trials)
            table = table_of(self.settings, self.state.facts)
            self.learned = Learned(self.trials, self.state.gate_ms, table, self.space.objectives)
            too_slow = self.learned.surely_too_slow
            proposals = Proposals(study, self.space, self.settings, seen, self.state.funnel, too_slow)
            proposals.add(self._known_choices())
            self._try_all(study, proposals)
        finally:
            study.close()

    def _described(self) -> dict[str, Any]:
        return {
            "space": self.space.name,
            "latency budget, ms": self.settings.latency_budget_ms,
            "latency gate, ms": self.state.gate_ms,
            "statistic": self.settings.stat,
            "device": self.state.facts.get("device_name"),
            "folder": str(self.folder.path),
        }

    def _known_choices(self) -> list[dict[str, Any]]:
        """The choices that earlier runs bring; what they are is kept in the folder, for a search that is resumed."""
        kept = self.folder.read("known.json") if self.resume else None
        if kept is None:
            found = known_from(self._earlier, self.space, self.settings, self.data)
            kept = {"choices": found.choices, "origins": found.origins}
            for line in found.told:
                self._note(line)
            if self._earlier:
                self.folder.write("known.json", kept)
        self.origins = kept["origins"]
        choices: list[dict[str, Any]] = kept["choices"]
        return choices

    def _record_of(self, known: str) -> Record | None:
        return next((record for record in self.trials if record["hash"] == known), None)

    def _try_all(self, study: Study, proposals: Proposals) -> None:
        """Candidate after candidate, until a limit, or until there is nothing more to try."""
        while not self._is_over(proposals):
            self.doing("choosing what to try next")
            if all_fell(self.trials):
                proposals.ask_for_the_smallest()
            if (proposal := proposals.next()) is None:
                continue
            found, trial = proposal
            try:
                record = tried(self, found)
            except OutOfTime:
                return  # the trial stays open: a resumed search asks for it again
            self.add(record)
            self.learned.learn(record)
            tell(study, self.state.gate_ms, trial, record)
            self.state.funnel[end_of(record)] += 1
            self.state.trials = trials_in(self.records)
            self._update_front()
            self.watcher(self.state, line(record))

    def _is_over(self, proposals: Proposals) -> bool:
        """Whether a limit is reached; where it is something else that ends the search, that is told."""
        most = self.settings.trials
        if (most is not None and self.state.trials >= most) or self.clock.search_is_over:
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


def run_search(
    settings: Settings,
    out: Path,
    resume: bool = False,
    watcher: Watcher = silent,
    started: float | None = None,
    new_worker: Callable[[], Asked] = Worker,
    *,
    earlier: Sequence[str] = (),
) -> Result:
    """Run or resume the search of `settings` in the folder `out`; a finished one gives its result again.

    `earlier` are folders of runs whose trials a new search knows from the start.

    Raises:
        RunExists: there is a run, and `resume` is false.
        SearchError: the folder cannot be used, the data cannot be loaded, or no point of the space can be tried.
    """
    started = time.monotonic() if started is None else started
    folder = RunFolder(out)
    settings = folder.begin(settings, resume)
    try:
        if resume and (result := stored(folder, settings)):
            return result
        return Search(settings, folder, watcher, resume, started, new_worker, earlier).run()
    except BaseException:
        folder.forget()
        raise
    finally:
        folder.release()
