"""Candidate after candidate: chosen here or handed over, tried by the pool, told to the study."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import suppress
from typing import NamedTuple

from archdsl.runtimes.by_name import runs_files
from archdsl.search.baselines import Baseline
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.finalists import Finalists
from archdsl.search.evaluate.gate import all_fell, hopeless
from archdsl.search.evaluate.inheriting import inheriting
from archdsl.search.evaluate.kept_files import remove_unneeded
from archdsl.search.evaluate.library import next_of_library, solved_again
from archdsl.search.evaluate.library_latency import parent_latency
from archdsl.search.evaluate.narrower import late_copies, narrowed_again
from archdsl.search.evaluate.rungs import identity
from archdsl.search.evaluate.time_plan import after_training
from archdsl.search.evaluate.trial_run import abandon_trial, line, new_trial, run_trial, tell
from archdsl.search.loop.budget_share import budget_share
from archdsl.search.loop.ending import EXHAUSTED, all_failed, none_inherits
from archdsl.search.network import network_of
from archdsl.search.predict.latency_model import table_of
from archdsl.search.predict.predictors import Predictors
from archdsl.search.propose.proposals import Proposals
from archdsl.search.propose.study import OpenTrial, Study
from archdsl.search.propose.trial_queue import FROM, HASH, RESULT
from archdsl.search.propose.warm_start import earlier_latencies, load_earlier_runs
from archdsl.search.store import cache
from archdsl.search.store.budget_share import BudgetShare
from archdsl.search.store.result import trials_in
from archdsl.search.trial import ALSO, Trial
from archdsl.search.worker.pool import Work


class Chosen(NamedTuple):
    """A trial, and what is to be done in it."""

    trial: OpenTrial
    work: Work


class SearchLoop:
    """The trials of one search on this machine."""

    def __init__(self, context: Context, study: Study, finalists: Finalists) -> None:
        self.context, self.study, self.pool, self._finalists = context, study, context.pool, finalists
        self.policy, state = context.policy, context.state
        state.funnel.update(trial.end for trial in context.trials)
        self._outside = {each.network_hash: each for each in context.baselines if each.choices is None}
        """Networks named beside the space that are no points of it, by hash, in their order."""
        device_name = None if state.facts is None else state.facts.device_name
        self._predictors = predictors = Predictors(
            map(context.as_ranked, self._of_the_space),
            self.policy,
            state.gate_ms,
            table_of(context.settings, state.facts),
            context.space.objectives,
            needs_export=runs_files(context.settings.runtime),
            earlier=earlier_latencies(context.folder, context.settings, device_name),
            parent=parent_latency(context),
        )
        self.proposals = Proposals(
            study,
            context.space,
            context.settings,
            self.policy,
            set(),
            state.funnel,
            lambda network: predictors.surely_too_slow(network.spec, network.counted),
            predictors.predicted_ms,
            state.gate_ms,
            why_too_slow=predictors.why_too_slow,
            why_too_inaccurate=predictors.why_too_inaccurate,
            parent=lambda: context.parent.network if context.parent is not None and context.inherits else None,
            tries_others=lambda: context.tries_others,
        )
        self._origins = {each.network_hash: each.origin for each in context.baselines}
        """Of the networks beside the space and those of its points that are tried first, by hash."""
        points = ((each.choices, each.name) for each in context.baselines)
        self.proposals.add_baselines((choices, name) for choices, name in points if choices is not None)
        earlier = load_earlier_runs(
            context.folder,
            context.space,
            context.settings,
            context.loaded,
            context.note,
            is_shared=context.options.storage is not None,
            inheriting=identity(inheriting(context)),
        )
        self.proposals.add(earlier.points, earlier.origins)
        self._before = len(context.trials)
        self._next = max((record.number for record in context.trials), default=-1) + 1
        self._is_late = self._is_paced = False
        finalists.keep_time()

    def run(self) -> None:
        """Until a limit, or until there is nothing more to try; and until the others have done their part."""
        try:
            while True:
                self._learn_of_others()
                while self.pool.has_free and self._begin_one():
                    pass
                if self.pool.busy:
                    self._end_one()
                elif self._is_done():
                    self._learn_of_others()  # one may have ended since the last look
                    return
                else:
                    self.context.doing("waiting for other machines")
                    time.sleep(self.policy.sharing.poll_s)
        finally:
            with suppress(Exception):
                for trial in self.pool.open:
                    self.study.release(trial)

    def budget_share(self) -> BudgetShare | None:
        """How much of the space the latency budget leaves, by what was measured and learned so far."""
        context = self.context
        measured = {
            trial.network_hash: trial.latency_ms for trial in self._of_the_space if trial.latency_ms is not None
        }
        return budget_share(context.space, context.settings, self._predictors, measured, self.policy.budget_share)

    @property
    def _of_the_space(self) -> list[Trial]:
        """The trials of points of the space, from which the search learns."""
        return [trial for trial in self.context.trials if trial.network_hash not in self._outside]

    def _begin_one(self) -> bool:
        """Begin a trial that was handed over, or choose one; whether there may be more to begin."""
        with self.study.choosing():
            under_way = self.study.under_way() | self._own_under_way()  # first these, then the records, as trials go
            self._learn_of_others()
            is_going_on = self._choose(under_way)
        if isinstance(is_going_on, Chosen):
            self.pool.start(*is_going_on)
        return bool(is_going_on)

    def _own_under_way(self) -> dict[str, bool]:
        """The hashes of networks that are tried here now, and whether each is a trial of this search."""
        return {str(trial.user_attrs.get(HASH)): FROM not in trial.user_attrs for trial in self.pool.open}

    def _choose(self, under_way: dict[str, bool]) -> Chosen | bool:
        """What to do next, beside all that is under way; else whether a further look may find more."""
        role, ended = self.context.options.role, {record.network_hash for record in self.context.trials}
        handed = None if role == "measure" else self.study.next_to_train()
        if handed is not None:
            return self._work(*handed)
        if role == "train":
            return False
        counted = sum(is_own for network_hash, is_own in under_way.items() if network_hash not in ended)
        over = self._is_over(trials_in(self.context.records) + counted)
        self.study.mark_closed(over)
        if over or (role == "measure" and self.study.ahead >= self.policy.sharing.most_ahead):
            return False
        if (untried := self._untried(under_way.keys())) is not None:
            baseline = self._outside[untried]
            trial = self.study.begin_outside(untried, baseline.name)
            return self._work(trial, baseline.trial(self._number(trial)))
        return self._proposed(ended | under_way.keys()) or True

    def _untried(self, under_way: Collection[str] = ()) -> str | None:
        """The hash of the next network beside the space that was not tried and is not under way; None without."""
        ended = {record.network_hash for record in self.context.trials}
        return next((each for each in self._outside if each not in ended and each not in under_way), None)

    def _proposed(self, taken: set[str]) -> Chosen | None:
        """A candidate that is worth a trial; None where the proposal is of no use."""
        context, proposals = self.context, self.proposals
        context.doing("choosing the next network")
        proposals.seen = taken
        if all_fell(self._of_the_space, self.policy.giving_up):
            proposals.ask_for_the_smallest()
        proposal = proposals.next()
        for reason in proposals.raised:
            context.note(f"a block failed while its costs were counted, and is left out: {reason}")
        if proposal is None:
            return None
        network, trial = proposal
        also = self._origins.get(network.network_hash, ALSO) if ALSO in trial.user_attrs else None
        return self._work(trial, new_trial(network, self._number(trial), also or trial.user_attrs.get(FROM)))

    def _number(self, trial: OpenTrial) -> int:
        """The number of a trial that begins."""
        self._next = 1 + (number := self.study.number(trial, self._next))
        return number

    def _work(self, trial: OpenTrial, record: Trial) -> Chosen:
        """What is to be done in a trial of the study, of which the record says what is known so far."""
        if (cached := trial.user_attrs.get(RESULT)) is not None:
            cache.put(*cached)  # another machine knows it from an earlier run
        if self.study.is_killer(trial):
            return Chosen(trial, lambda slot: abandon_trial(record, self.policy.study.most_lost))
        return Chosen(
            trial, lambda slot: run_trial(self.context, self._predictors, network_of(record.document), record, slot)
        )

    def _end_one(self) -> None:
        """Wait for a trial to end, and tell everyone of it."""
        wait_s = self.policy.sharing.poll_s if self.study.is_shared and self.pool.has_free else None
        if (ended := self.pool.ended(wait_s)) is None:
            return
        trial, record = ended
        if record is None:
            self.study.release(trial)  # it stays open: a resumed search asks for it again
            self._is_late = True
        elif record.outcome == "measured":
            self.study.enqueue_for_training(trial, record)
        else:
            self.context.add(record)
            if self.study.keep(trial, record):
                tell(self.study, self.context.state.gate_ms, self.context.is_ranked, trial, record)
            self._learn(record)

    def _learn_of_others(self) -> None:
        """What other machines finished becomes part of this run."""
        recorded = {record.network_hash for record in self.context.trials} if self.study.is_shared else set()
        for record in self.study.records():
            if record.network_hash not in recorded:
                self.context.add(record)
                self._learn(record)

    def _learn(self, record: Trial) -> None:
        context = self.context
        if record.network_hash not in self._outside:
            self._predictors.learn(context.as_ranked(record))
        context.state.funnel[record.end] += 1
        context.state.trials = trials_in(context.records)
        context.update_front()
        remove_unneeded(context, self._finalists.may_win())
        self._finalists.keep_time()
        context.watcher(context.state, line(record))
        again = solved_again(context, record) or narrowed_again(context, record)
        for baseline in [*reversed(late_copies(context)), *([] if again is None else [again])]:
            self._try_also(baseline)
        if record.origin is None:
            self._try_next_of_library()
        if context.parent is not None and not context.inherits:
            context.note(none_inherits(context.trials))
        is_first = record.outcome == "trained" and not self._is_paced and not context.inherits
        if is_first and record.training is not None:
            self._is_paced = True
            if note := after_training(context.clock, self.policy, record.training.seconds or 0.0):
                context.note(note)

    def _try_next_of_library(self) -> bool:
        """The next best network of the library is tried next; whether there is one."""
        if self.context.tries_only_beside or (baseline := next_of_library(self.context)) is None:
            return False
        self._try_also(baseline)
        self.proposals.exhausted = False
        return True

    def _try_also(self, baseline: Baseline) -> None:
        """A network that is to be tried next, as one that was named when the search began."""
        self.context.baselines.append(baseline)
        self._origins[baseline.network_hash] = baseline.origin
        if baseline.choices is None:
            self._outside = {baseline.network_hash: baseline, **self._outside}
        else:
            self.proposals.add_baselines([(baseline.choices, baseline.name)])

    def _is_done(self) -> bool:
        """Whether no other machine has anything to do, or there is no time to wait for it."""
        if self._time_is_over():
            return True
        if self.context.options.role == "train" and not self.study.is_over:
            return False
        return not self.study.under_way()

    def _time_is_over(self) -> bool:
        """Whether no further candidate is tried; while none was trained inside the budget, one takes what is left."""
        context = self.context
        if self._is_late or not context.clock.search_is_over:
            return self._is_late
        left = context.clock.left_to_train
        has_any = any(trial.accuracy is not None and trial.inside_budget for trial in context.trials)
        return has_any or left is None or left <= 0

    def _is_over(self, begun: int) -> bool:
        """Whether a limit is reached; where it is something else that ends the search, that is told."""
        context, most = self.context, self.context.settings.trials
        if most is not None and begun >= most:
            return True
        if self._time_is_over() or (context.tries_only_beside and self._untried() is None):
            return True
        policy = self.policy.giving_up
        reason = all_failed(context.trials[self._before :], policy)
        if not context.tries_only_beside:
            reason = reason or hopeless(self._of_the_space, context.settings.budgets.latency_ms, policy)
            if self.proposals.exhausted and not self._try_next_of_library():
                reason = EXHAUSTED
        if reason is not None:
            context.note(reason)
        return reason is not None
