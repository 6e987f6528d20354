"""Candidate after candidate: chosen here or handed over, tried by the crew, told to the study."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import optuna

from archdsl.load import spec_of
from archdsl.search.ladder.gate import all_fell, hopeless
from archdsl.search.ladder.kept_files import remove_unneeded
from archdsl.search.ladder.known import take_over
from archdsl.search.ladder.learned import Learned
from archdsl.search.ladder.predict import table_of
from archdsl.search.ladder.proposals import Proposals
from archdsl.search.ladder.trial import begun, end_of, given_up, line, tell, tried
from archdsl.search.results import cache
from archdsl.search.results.front import Record
from archdsl.search.results.result import trials_in
from archdsl.search.study.waiting import FROM, RESULT
from archdsl.search.workers.crew import Work

if TYPE_CHECKING:
    from archdsl.search.runner import Search

MOST_FAILURES = 20
"""Trials in a row that failed, after which the fault is not the candidates'."""
MOST_AHEAD = 4
"""Measured trials that may wait to be trained, before a machine that only measures waits too."""
POLL_S = 0.5
"""Between two looks at what other machines did."""


class Chosen(NamedTuple):
    """A trial, and what is to be done in it."""

    trial: optuna.Trial
    work: Work


class Trying:
    """The trials of one search on this machine."""

    def __init__(self, search: Search) -> None:
        self.search, self.study, self.crew = search, search.study, search.crew
        state = search.state
        state.funnel.update(end_of(record) for record in search.trials)
        table = table_of(search.settings, state.facts)
        search.learned = Learned(search.trials, state.gate_ms, table, search.space.objectives)
        too_slow = search.learned.surely_too_slow
        predicted = search.learned.predicted_ms
        self.proposals = Proposals(
            self.study, search.space, search.settings, set(), state.funnel, too_slow, predicted, state.gate_ms
        )
        self.proposals.add(take_over(search), search.origins)
        self._before = len(search.trials)
        self._next = max((record["number"] for record in search.trials), default=-1) + 1
        self._is_late = False

    def run(self) -> None:
        """Until a limit, or until there is nothing more to try; and until the others have done their part."""
        try:
            while True:
                self._learn_of_others()
                while self.crew.has_free and self._begin_one():
                    pass
                if self.crew.busy:
                    self._end_one()
                elif self._is_done():
                    self._learn_of_others()  # one may have ended since the last look
                    return
                else:
                    self.search.doing("waiting for other machines")
                    time.sleep(POLL_S)
        finally:
            with suppress(Exception):
                for trial in self.crew.open:
                    self.study.release(trial)

    def _begin_one(self) -> bool:
        """Begin a trial that was handed over, or choose one; whether there may be more to begin."""
        with self.study.choosing():
            # first these, then the records: that is the way that a trial goes
            under_way = self.study.under_way() | self.crew.under_way
            self._learn_of_others()
            is_going_on = self._choose(under_way)
        if isinstance(is_going_on, Chosen):
            self.crew.start(*is_going_on)
        return bool(is_going_on)

    def _choose(self, under_way: dict[str, bool]) -> Chosen | bool:
        """What to do next, beside all that is under way; else whether a further look may find more."""
        role, ended = self.search.means.role, {record["hash"] for record in self.search.trials}
        handed = None if role == "measure" else self.study.handed_over()
        if handed is not None:
            return self._work(*handed)
        if role == "train":
            return False
        counted = sum(is_own for known, is_own in under_way.items() if known not in ended)
        over = self._is_over(trials_in(self.search.records) + counted)
        self.study.declare(over)
        if over or (role == "measure" and self.study.ahead >= MOST_AHEAD):
            return False
        return self._proposed(ended | under_way.keys()) or True

    def _proposed(self, taken: set[str]) -> Chosen | None:
        """A candidate that is worth a trial; None where the proposal is of no use."""
        search, proposals = self.search, self.proposals
        search.doing("choosing what to try next")
        proposals.seen = taken
        if all_fell(search.trials):
            proposals.ask_for_the_smallest()
        proposal = proposals.next()
        for reason in proposals.raised:
            search.note(f"a block failed while its costs were counted, and is left out: {reason}")
        if proposal is None:
            return None
        found, trial = proposal
        number = self.study.number(trial, self._next)
        self._next = number + 1
        return self._work(trial, begun(found, number, trial.user_attrs.get(FROM)))

    def _work(self, trial: optuna.Trial, record: Record) -> Chosen:
        """What is to be done in a trial, of which the record says what is known so far."""
        if (known := trial.user_attrs.get(RESULT)) is not None:
            cache.put(*known)  # another machine knows it from an earlier run
        if self.study.is_killer(trial):
            return Chosen(trial, lambda seat: given_up(record))
        return Chosen(trial, lambda seat: tried(self.search, spec_of(record["spec"]), record, seat))

    def _end_one(self) -> None:
        """Wait for a trial to end, and tell everyone of it."""
        wait_s = POLL_S if self.study.is_shared and self.crew.has_free else None
        if (ended := self.crew.ended(wait_s)) is None:
            return
        trial, record = ended
        if record is None:
            self.study.release(trial)  # it stays open: a resumed search asks for it again
            self._is_late = True
        elif record["outcome"] == "measured":
            self.study.hand_over(trial, record)
        else:
            self.search.add(record)
            if self.study.keep(trial, record):
                tell(self.study, self.search.state.gate_ms, trial, record)
            self._learn(record)

    def _learn_of_others(self) -> None:
        """What other machines finished becomes part of this run."""
        known = {record["hash"] for record in self.search.trials} if self.study.is_shared else set()
        for record in self.study.records():
            if record["hash"] not in known:
                self.search.add(record)
                self._learn(record)

    def _learn(self, record: Record) -> None:
        search = self.search
        search.learned.learn(record)
        search.state.funnel[end_of(record)] += 1
        search.state.trials = trials_in(search.records)
        search.update_front()
        remove_unneeded(search)
        search.watcher(search.state, line(record))

    def _is_done(self) -> bool:
        """Whether no other machine has anything to do, or there is no time to wait for it."""
        if self.search.clock.search_is_over or self._is_late:
            return True
        if self.search.means.role == "train" and not self.study.is_over:
            return False
        return not self.study.under_way()

    def _is_over(self, begun: int) -> bool:
        """Whether a limit is reached; where it is something else that ends the search, that is told."""
        search, most = self.search, self.search.settings.trials
        if most is not None and begun >= most:
            return True
        if search.clock.search_is_over or self._is_late:
            return True
        last = search.trials[self._before :][-MOST_FAILURES:]
        reason = hopeless(search.trials, search.settings.latency_budget_ms)
        if self.proposals.exhausted:
            reason = "every network that could be drawn from the space was tried, or is surely too slow"
        elif len(last) == MOST_FAILURES and all(record["outcome"] == "failed" for record in last):
            reason = f"the last {MOST_FAILURES} networks failed, the last one so: {last[-1]['reason']}"
        if reason is not None:
            search.note(reason)
        return reason is not None
