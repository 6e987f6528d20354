"""One search from its settings to its winner."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any, NamedTuple

from archdsl.errors import SearchError
from archdsl.schema.document import Spec
from archdsl.schema.space import Space
from archdsl.schema.variables import variables
from archdsl.search.child import Failed, Worker, WorkerGone
from archdsl.search.finish import Verdict, finish
from archdsl.search.front import Record, front
from archdsl.search.ladder import Candidate, Refused, candidate, measure, random_candidate, train
from archdsl.search.progress import State, Watcher, silent
from archdsl.search.run_folder import RunFolder
from archdsl.search.settings import DEFAULT_TIME_S, Settings
from archdsl.search.study import Study
from archdsl.spaces import seeds

SEARCH_SHARE = 0.75
"""Share of the time that the search itself takes; the rest is for training the finalists and measuring the winner."""
_MOST_REPEATS = 3
_MOST_REFUSALS = 400


class Result(NamedTuple):
    """A finished search."""

    folder: Path
    settings: Settings
    records: list[Record]
    front: list[Record]
    verdict: Verdict
    interrupted: bool

    @property
    def winner(self) -> Spec | None:
        """The backbone that kept the budget when it was measured again, or None."""
        return self.verdict.spec if self.verdict.passed else None

    def as_json(self) -> dict[str, Any]:
        """The facts for programs."""
        return {
            "folder": str(self.folder),
            "passed": self.verdict.passed,
            "winner": self.winner.to_json() if self.winner else None,
            "latency": self.verdict.latency,
            "stat": self.settings.stat,
            "budget_ms": self.settings.latency_budget_ms,
            "front": self.front,
            "trials": len({record["number"] for record in self.records}),
            "interrupted": self.interrupted,
        }


class Search:
    """A search while it runs."""

    def __init__(self, settings: Settings, folder: RunFolder, watcher: Watcher, resume: bool) -> None:
        self.settings, self.folder, self.watcher = settings, folder, watcher
        self.resume = resume
        self.state = State(settings, str(folder.path))
        self.records = folder.records() if resume else []
        self.state.trials = len({record["number"] for record in self.records})
        self.worker = Worker()
        self.data: dict[str, Any] = {}
        self.space: Space = settings.space_document

    def run(self) -> Result:
        """Search until the trials or the time are used up, then choose and measure the winner."""
        interrupted = False
        with self.worker:
            try:
                self._prepare()
                self._search()
            except KeyboardInterrupt:
                interrupted = True
                self.state.notes.append("interrupted: ending with what there is; press again to stop at once")
                self.worker.stop()
            self._show("choosing the winner")
            verdict = finish(self, finalists=not interrupted)
        return Result(self.folder.path, self.settings, self.records, self.state.front, verdict, interrupted)

    # ------------------------------------------------------------------------------------------------- preparation

    def _prepare(self) -> None:
        """The data's classes and channels go into the space; the machine's noise sets the gate."""
        self._show("loading data")
        image = self.space.image_size
        if image[0] != image[1]:
            raise SearchError(f"search data is square; the space '{self.space.name}' has images of {image}")
        request = [self.settings.data, image[0], self.settings.seed, self.settings.images]
        self.data = self.worker.ask({"do": "data", "data": request}, 600.0) | {"request": request}
        hello = {"do": "hello", "device": self.settings.device, "threads": self.settings.threads}
        told = {name: getattr(self.settings, name) for name in ("dtype", "batch", "mode")}
        self.state.facts = self.worker.ask({**hello, **told}, 120.0)["provenance"]
        self.data["torch"] = self.state.facts.get("torch")
        update = {"classes": self.data["classes"], "channels": self.data["channels"]}
        self.space = self.space.model_copy(update=update)
        self._update_front()

    def _gate(self) -> None:
        """The budget less the machine's noise: how far three readings of one network lie apart."""
        budget = self.settings.latency_budget_ms
        if budget is None:
            return
        self._show("measuring the machine's noise")
        found = self._first_candidate()
        readings = [measure(self.worker, found.spec, self.settings).ms for _ in range(3)]
        noise = min(max(max(readings) / min(readings) - 1, 0.03), 0.15)
        self.state.gate_ms = budget / (1 + noise)
        self.folder.write("noise.json", {"readings_ms": readings, "noise": noise, "gate_ms": self.state.gate_ms})

    def _first_candidate(self) -> Candidate:
        known = variables(self.space.nodes)
        for spec, choices in seeds(self.space):
            del spec
            try:
                return candidate(self.space, choices.__getitem__, self.settings)
            except Refused:
                continue
        drawn = random_candidate(self.space, known, self.settings, set(), random.Random(self.settings.seed))
        if drawn is None:
            raise SearchError("no point of the space is inside the params, MACs and memory budgets")
        return drawn[0]

    # ------------------------------------------------------------------------------------------------------ search

    def _search(self) -> None:
        settings = self.settings
        self._gate()
        known = variables(self.space.nodes)
        self.study = Study(self.folder.storage, known, self.space.objectives, settings.seed, self.resume)
        if not self.records:
            for _, choices in seeds(self.space):
                self.study.enqueue(choices)
        self.seen = {record["hash"] for record in self.records}
        generator = random.Random(settings.seed + self.state.trials)
        repeats = refusals = 0
        while not self._is_over():
            self._show("searching")
            trial, choices = self.study.ask()
            try:
                found = candidate(self.space, choices.__getitem__, settings)
                repeated = found.hash in self.seen
            except Refused as refused:
                self.state.funnel[refused.args[0]] += 1
                self.study.refused(trial)
                refusals, repeated = refusals + 1, False
            else:
                refusals = 0
                if not repeated:
                    repeats = 0
                    self._try(found, trial)
                    continue
                self.state.funnel["duplicate"] += 1
                self.study.refused(trial)
                repeats += 1
            if repeats >= _MOST_REPEATS or refusals >= _MOST_REPEATS:
                drawn = random_candidate(self.space, known, settings, self.seen, generator)
                if drawn is None:
                    self.state.notes.append("every network that could be drawn from the space was tried")
                    return
                self.study.enqueue(drawn[1])
                repeats = refusals = 0

    def _is_over(self) -> bool:
        settings = self.settings
        if settings.trials is not None and self.state.trials >= settings.trials:
            return True
        limit = settings.time_s if settings.time_s is not None or settings.trials is not None else DEFAULT_TIME_S
        return limit is not None and self.state.elapsed > limit * SEARCH_SHARE

    def seconds_left(self) -> float | None:
        """Until the whole search must be over; None without a limit."""
        limit = self.settings.time_s
        if limit is None and self.settings.trials is None:
            limit = DEFAULT_TIME_S
        return None if limit is None else limit - self.state.elapsed

    def _try(self, found: Candidate, trial: Any) -> None:
        """Measure a candidate and, if it passes, train it."""
        self.seen.add(found.hash)
        started = time.monotonic()
        record: Record = {
            "number": self.state.trials,
            "hash": found.hash,
            "spec": found.spec.to_json(),
            "rung": "latency",
            "outcome": "failed",
            "reason": None,
            "params": found.counted.params,
            "macs": found.counted.macs,
            "latency": None,
            "inside_budget": None,
            "accuracy": None,
            "seconds": 0.0,
            "provenance": {},
        }
        try:
            self._climb(found, record)
        except (Failed, WorkerGone) as error:
            record["reason"] = str(error)
        record["seconds"] = round(time.monotonic() - started, 3)
        self._tell(trial, record)
        self.folder.append(record)
        self.records.append(record)
        self.state.trials += 1
        self._update_front()
        self._show("searching", _line(record))

    def _climb(self, found: Candidate, record: Record) -> None:
        """The rungs that cost time; the record says how far the candidate came."""
        settings = self.settings
        self.state.doing = f"trial {record['number']}: measuring {found.spec.name}"
        latency = measure(self.worker, found.spec, settings)
        record["latency"] = latency.ms
        record["provenance"] = {"latency": latency.facts}
        budget, gate = settings.latency_budget_ms, self.state.gate_ms
        record["inside_budget"] = budget is None or latency.ms <= budget
        if gate is not None and latency.ms > gate:
            record["outcome"] = "fell"
            record["reason"] = f"{settings.stat} {latency.ms:.2f} ms over the gate of {gate:.2f} ms"
            return
        record["rung"] = "train"
        self.state.doing = f"trial {record['number']}: training {found.spec.name}"

        def show(done: float) -> None:
            self.state.fraction = done
            self._show("searching")

        left = self.seconds_left()
        trained = train(
            self.worker, found.spec, settings, self.data, seconds=None if left is None else max(left, 1), progress=show
        )
        self.state.fraction = None
        record["accuracy"] = trained.accuracy
        record["provenance"]["proxy"] = trained.facts
        record["outcome"] = "cached" if trained.cached else "trained"

    def _tell(self, trial: Any, record: Record) -> None:
        """What the optimiser learns of a trial."""
        values = {"params": float(record["params"]), "macs": float(record["macs"])}
        if record["outcome"] in ("trained", "cached"):
            self.state.funnel["trained"] += 1
            values |= {"proxy_accuracy": record["accuracy"], "latency": record["latency"]}
            self.study.trained(trial, values)
        elif record["outcome"] == "fell" and self.state.gate_ms is not None:
            self.state.funnel["latency"] += 1
            excess = record["latency"] / self.state.gate_ms - 1
            self.study.gated(trial, excess, values | {"latency": record["latency"]})
        else:
            self.state.funnel["failed"] += 1
            self.study.refused(trial)

    def _update_front(self) -> None:
        """The front of what was trained at the search's own length, inside the budget."""
        kept = [record for record in self.records if record["accuracy"] is not None and record["rung"] == "train"]
        self.state.front = front([record for record in kept if record["inside_budget"]], self.space.objectives)

    def _show(self, phase: str, line: str | None = None) -> None:
        self.state.phase = phase
        self.watcher(self.state, line)


def _line(record: Record) -> str:
    """One trial in one line."""
    text = f"trial {record['number']}: {record['params'] / 1e6:.2f} M params"
    if record["latency"] is not None:
        text += f", {record['latency']:.2f} ms"
    if record["accuracy"] is not None:
        text += f", accuracy {record['accuracy']:.3f}"
    return text + (f": {record['reason']}" if record["reason"] else "")


def run_search(settings: Settings, out: Path, resume: bool = False, watcher: Watcher = silent) -> Result:
    """Run or resume the search of `settings` in the folder `out`.

    Raises:
        SearchError: the folder cannot be used, the data cannot be loaded, or no point of the space can be tried.
    """
    folder = RunFolder(out)
    settings = folder.begin(settings, resume)
    try:
        return Search(settings, folder, watcher, resume).run()
    finally:
        folder.release()
