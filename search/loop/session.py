"""One search from its settings to its winner."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from archdsl import late
from archdsl.data.agreement import classes_note, square_side
from archdsl.latency.provenance import Provenance
from archdsl.numbers import plain_text
from archdsl.search.config import Settings
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.finalists import Finalists
from archdsl.search.evaluate.finish import settle
from archdsl.search.evaluate.gate import choose_threads, gate_ms
from archdsl.search.evaluate.library import use_library
from archdsl.search.evaluate.narrower import add_narrower
from archdsl.search.evaluate.own_library import fit_own_library
from archdsl.search.evaluate.own_parent import train_own_parent
from archdsl.search.evaluate.parent import measure_parent, prepare_parent
from archdsl.search.evaluate.reach import check_reach
from archdsl.search.evaluate.rungs import load_data
from archdsl.search.evaluate.time_plan import at_the_start
from archdsl.search.evaluate.trial_run import tell
from archdsl.search.loaded_data import DataRequest
from archdsl.search.loop.trials import SearchLoop
from archdsl.search.policy import SHIPPED, Policy
from archdsl.search.propose.opening import Choice, Conditions, agreed, described, opened
from archdsl.search.propose.storage import brief, telling
from archdsl.search.propose.study import Study
from archdsl.search.report import read_report
from archdsl.search.report.commands import resume_command
from archdsl.search.store.budget_share import BudgetShare
from archdsl.search.store.clock import more_time_s
from archdsl.search.store.folder import RunFolder
from archdsl.search.store.progress import Watcher, silent
from archdsl.search.store.result import Result, keep, stored
from archdsl.search.store.stopping import stoppable
from archdsl.search.store.verdict import Verdict
from archdsl.search.trial import Trial
from archdsl.search.worker.machine_options import MachineOptions
from archdsl.search.worker.process import OutOfTime
from archdsl.search.worker.slot import WorkerProtocol
from archdsl.training.fidelity import length_note


class Search:
    """A search while it runs."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._finalists = Finalists(context)
        self._study: Study | None = None
        self._budget_share: BudgetShare | None = None

    def run(self, notes: Sequence[str] = ()) -> Result:
        """Search until the trials or the time are used up, then choose and measure the winner."""
        context = self.context
        with stoppable():
            try:
                try:
                    study = self._prepare(notes)
                    if context.options.role == "both" and (note := at_the_start(context.clock, context.policy)):
                        context.note(note)
                    if context.is_resumed and context.clock.search_is_over:
                        context.note(_no_time_left(context))
                    loop = SearchLoop(context, study, self._finalists)
                    loop.run()
                    self._budget_share = loop.budget_share()
                    if context.options.role == "both":
                        self._finalists.train()
                except OutOfTime:
                    context.note(_no_time_left(context))
                except KeyboardInterrupt:
                    context.is_interrupted = True
                    context.note(
                        "interrupted: ending the search with the results so far; press Ctrl-C again to stop at once"
                    )
                context.pool.stop()  # it must not disturb what is measured now
                verdict = settle(context, self._finalists)
                self._note_waiting()
                self._copy_study()
            finally:
                context.pool.stop()
                context.exported.remove()
                if self._study is not None:
                    self._study.close()
                with suppress(OSError):  # or it would hide what went wrong before
                    context.keep_clock()
        return self._result(verdict)

    def _result(self, verdict: Verdict) -> Result:
        context = self.context
        result = Result(
            context.folder.path,
            context.settings,
            context.records,
            context.state.front,
            verdict,
            context.is_interrupted,
            context.state.facts,
            context.machine.disturbed,
            self._budget_share,
            None if context.parent is None else context.parent.summary,
            seconds=context.clock.elapsed,
        )
        keep(context.folder, result, context.policy.final_reading)
        self._write_report()
        return result

    def _copy_study(self) -> None:
        """Leave a shared study in the folder; whatever goes wrong with it, the search has its result."""
        if self._study is None:
            return
        try:
            self._study.copy_to(self.context.folder.path)
        except Exception as error:
            self.context.note(f"the shared study was not copied to study.db: {brief(error)}")

    def _write_report(self) -> None:
        """Write `report.html`; whatever goes wrong with it, the search has its result."""
        folder = self.context.folder.path
        try:
            late.call("write_report_page", read_report(folder, self.context.policy), folder / "report.html")
        except Exception as error:
            self.context.note(f"no report.html was written: {' '.join(str(error).split())[:200]}")

    def _note_waiting(self) -> None:
        """Say how long the device was not free, since that explains why everything took longer than its time."""
        context = self.context
        if context.clock.waited >= 1:
            device = context.settings.measuring_place
            seconds = f"{context.clock.waited:.0f} s"
            waited = f"waited {seconds} while another process measured on {device}; this does not count as search time"
            longer = "" if context.clock.limit is None else f", so that the search takes {seconds} more than --time"
            context.note(f"{waited}{longer}")

    # ------------------------------------------------------------------------------------------------- preparation

    def _prepare(self, notes: Sequence[str]) -> Study:
        """The data's classes and channels go into the space; the machine's noise sets the gate."""
        context = self.context
        context.doing("loading data", "starting")
        context.exported.remove()  # those of a search that was killed
        machine = context.state.facts = context.pool.greeted()
        for note in notes:
            context.note(note)
        self._load_data(machine)
        prepare_parent(context)
        study = self._study = opened(
            context.folder, context.space, context.settings, context.policy, self._choice(), context.note
        )
        if context.options.role != "train":
            self._use_threads(study, choose_threads(context))
            train_own_parent(context)
            measure_parent(context)
        context.doing("measuring the machine's noise", "starting")
        is_measuring = context.options.role != "train"
        mine = Conditions(
            gate_ms=gate_ms(context) if is_measuring else None,
            device_name=machine.device_name,
            fingerprint=context.loaded.fingerprint,
            is_measuring=is_measuring,
            is_resumed=self.context.is_resumed,
        )
        context.state.gate_ms = agreed(study, context.settings, context.space, mine)
        check_reach(context)
        fit_own_library(context)
        use_library(context)
        add_narrower(context)
        if is_measuring:
            facts = described(context.settings, context.space, context.state.gate_ms, mine.device_name)
            study.describe(facts if study.is_shared else facts | {"folder": str(context.folder.path)})
        study.recover(self._record_of, partial(tell, study, context.state.gate_ms, context.is_ranked))
        return study

    def _choice(self) -> Choice:
        context = self.context
        return Choice(context.options.storage, self.context.is_resumed, bool(context.records))

    def _load_data(self, machine: Provenance) -> None:
        context, settings = self.context, self.context.settings
        request = DataRequest(settings.data, square_side(context.space), settings.seed, settings.images)
        data = load_data(context.worker, request, machine, context.policy.silence)
        classes = classes_note(context.space, data.classes)
        context.use_data(data)
        context.note(f"data  {data.describe}")
        for warning in data.warnings:
            context.note(f"warning: {warning}")
        for note in (classes, length_note(settings, data.images)):
            if note is not None:
                context.note(note)

    def _use_threads(self, study: Study, threads: int | None) -> None:
        """Measure on so many threads from here on; all machines of a study do."""
        if threads is not None:
            agreed_on = study.get_or_set("threads", threads)
            threads = agreed_on if isinstance(agreed_on, int) else threads
            if threads != self.context.settings.chosen_threads:
                self.context.use_settings(self.context.settings.model_copy(update={"chosen_threads": threads}))

    def _record_of(self, network_hash: str) -> Trial | None:
        return next((trial for trial in self.context.trials if trial.network_hash == network_hash), None)


def _no_time_left(context: Context) -> str:
    """What stands where no time is left to try a network, and the command that continues."""
    if not context.trials:
        return "time limit reached before the first trial"
    limit = context.clock.limit or 0.0
    stand = "the trial so far stands" if len(context.trials) == 1 else f"the {len(context.trials)} trials so far stand"
    more = resume_command(context.folder.path, "--time", f"{more_time_s(limit, context.clock.elapsed)}s")
    spent = f"the time limit of {plain_text(limit)} s is used up"
    if (left := context.clock.left or 0.0) > 0:
        spent = f"the {left:.0f} s that are left of {plain_text(limit)} s are for finishing the best"
    return f"no network is tried: {spent}; {stand}; to continue: {more}"


def run_search(
    settings: Settings,
    out: Path,
    resume: bool = False,
    watcher: Watcher = silent,
    started: float | None = None,
    new_worker: Callable[[], WorkerProtocol] | None = None,
    *,
    options: MachineOptions = MachineOptions(),  # noqa: B008  # it is immutable
    earlier: Sequence[str] = (),
    notes: Sequence[str] = (),
    policy: Policy = SHIPPED,
) -> Result:
    """Run or resume the search of `settings` in the folder `out`; a finished one gives its result again.

    `earlier` are folders of runs whose trials a new search knows from the start; `notes` are told when it begins.

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
            return result._replace(is_stored=True)
        with telling(out):
            context = Context(
                settings, policy, folder, watcher, resume, started=started, new_worker=new_worker, options=options
            )
            return Search(context).run(notes)
    except BaseException:
        folder.forget()
        raise
    finally:
        folder.release()
