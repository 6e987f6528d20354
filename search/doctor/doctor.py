"""A space examined before the first trial: what it holds, what of it is dead, what budgets leave, how long it takes.

Counts come from closed formulas. Latencies are measured on a few networks, and predicted for the others with the error
that the prediction makes on networks that it has not seen.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

from archdsl.data.agreement import with_data
from archdsl.errors import SpecError
from archdsl.json_types import JsonObject
from archdsl.runtimes.by_name import runs_files
from archdsl.search.config import METRICS, Settings
from archdsl.search.doctor.data import DataFacts, data_facts
from archdsl.search.doctor.dead import Dead, dead_values
from archdsl.search.doctor.extremes import descend
from archdsl.search.doctor.feasible import Remedy, inside, remedies_of
from archdsl.search.doctor.points import Points
from archdsl.search.doctor.shares import KeptBudget, Share, kept_budgets, shares
from archdsl.search.doctor.survey import Size, Survey, survey
from archdsl.search.doctor.timing import Timed, timed
from archdsl.search.doctor.training_pace import paces
from archdsl.search.network import Network
from archdsl.search.policy import SHIPPED, Policy
from archdsl.search.policy.doctor import DescentPolicy
from archdsl.search.worker.process import Worker
from archdsl.search.worker.slot import WorkerProtocol
from archdsl.spaces.variables import variables
from archdsl.training.fidelity import Fidelity, fidelity_of

Say = Callable[[str], None]


class Range(NamedTuple):
    """A cost over the space: the least and the most found, and the median of what was looked at."""

    least: float
    median: float
    most: float


class Examination(NamedTuple):
    """What is known of a space before it is searched."""

    settings: Settings
    survey: Survey
    ranges: dict[str, Range]
    """By metric: params, macs, memory in bytes, and latency in ms where it was measured."""
    dead: list[Dead]
    shares: list[Share]
    kept_budgets: list[KeptBudget]
    """Latency budgets by the share of the points that keeps them; empty where latencies are not predicted."""
    timed: Timed | None
    remedies: list[Remedy]
    """Budgets that nothing found keeps together; empty where the search has something to find."""
    trials: int
    """Of the search that is to come: as many as were asked for, but no more than the space has networks."""
    data: DataFacts
    """Whose channels and classes are counted, and whose images a training has."""
    seconds: float
    training: Fidelity
    """The length of a trial's training."""
    policy: Policy
    """Of the search that is to come."""
    workers: int = 1
    """Trials side by side in it."""

    @property
    def tries_all(self) -> bool:
        """Whether so many trials are all networks of the space, as far as these are counted or estimated."""
        most = self.survey.size.most_networks
        return most is not None and self.trials >= most

    @property
    def is_feasible(self) -> bool:
        """Whether something was found inside all budgets."""
        return not self.remedies

    @property
    def unmeasured(self) -> bool:
        """Whether there is a latency budget that nothing is known of."""
        return self.settings.budgets.latency_ms is not None and (self.timed is None or not self.timed.measured)

    @property
    def search_s(self) -> tuple[float, float] | None:
        """Seconds that the search will take: with the share as drawn trained, and with all trained."""
        if self.timed is None or not self.timed.train_s:
            return None
        everything = self.shares[-1] if self.shares else None
        share = everything.inside / everything.of if everything else 1.0
        low, high = self.timed.seconds(self.trials, share, self.policy, self.workers)
        return low, max(low, high)


def examine(
    settings: Settings,
    *,
    measure: bool = True,
    time_s: float | None = None,
    trials: int | None = None,
    workers: int = 1,
    say: Say = lambda text: None,
    new_worker: Callable[[], WorkerProtocol] | None = None,
    policy: Policy = SHIPPED,
) -> Examination:
    """Look at the space of `settings`, within about `time_s` seconds if latencies are measured.

    By default that is a minute, and two where networks are exported.

    Raises:
        SpecError: no network of the space was found.
        SearchError: the data cannot be loaded, the space states other channels, or the worker that measures does not
            start.
    """
    begun, asked = time.monotonic(), policy.examination
    say("loading data")
    data = data_facts(settings)
    for warning in data.warnings:
        say(f"warning: {warning}")
    points = Points(with_data(settings.space_document, data._asdict(), settings.data))
    settings = settings.model_copy(update={"images": data.images})
    say("examining the space")
    surveyed = survey(points.space, points, policy.survey, settings.seed)
    if not surveyed.valid:
        raise SpecError([problem for problem, _ in surveyed.refused.most_common(1)])
    dead = dead_values(points.space, points, surveyed, policy.survey.dead_draws)
    networks = [network for _, network in surveyed.valid]
    ends = [] if surveyed.is_whole else _ends(points, surveyed, settings, policy.descent)
    latencies = None
    if measure:
        default_s = asked.exported_time_s if runs_files(settings.runtime) else asked.time_s
        allowed_s = default_s if time_s is None else time_s
        until = begun + allowed_s * (1 - asked.training_share)
        deadline = max(until, time.monotonic() + allowed_s * asked.measuring_share)
        judged = data.validation + data.held_out
        latencies = _timed(networks + ends, settings, policy, judged, deadline, say, new_worker or Worker)
    rows = [network.costs(settings) for network in networks + ends]
    for row, ms in zip(rows, latencies.predicted if latencies else (), strict=False):
        row["latency"] = math.inf if ms is None else ms
    error = median(latencies.errors) if latencies is not None and latencies.errors else 0.0
    told = [row["latency"] for row in rows[: len(networks)]] if latencies is not None and latencies.errors else []
    limits = settings.budgets.static
    if latencies is not None and latencies.errors and settings.budgets.latency_ms is not None:
        limits["latency"] = settings.budgets.latency_ms
    return Examination(
        settings,
        surveyed,
        _ranges(rows, len(networks), [*METRICS, *(["latency"] if latencies and latencies.errors else [])]),
        dead,
        shares(rows[: len(networks)], limits, surveyed.is_whole, error),
        kept_budgets(told, asked.kept_shares, surveyed.is_whole, error),
        latencies,
        _remedies(rows, settings, latencies),
        _trials(trials or settings.trials or asked.trials, surveyed.size),
        data,
        time.monotonic() - begun,
        fidelity_of(settings, settings.images),
        policy,
        workers,
    )


def _trials(asked: int, size: Size) -> int:
    """A search ends when it has tried all networks of its space."""
    return asked if size.most_networks is None else min(asked, size.most_networks)


def _ends(points: Points, surveyed: Survey, settings: Settings, policy: DescentPolicy) -> list[Network]:
    """Networks of the least and the most of each cost that one-variable steps reach from the best of those found."""
    by_name = variables(points.space.nodes)
    reached = []
    for metric in METRICS:
        for sign in (1, -1):

            def loss(network: Network, metric: str = metric, sign: int = sign) -> float:
                return sign * network.cost(metric, settings.dtype, settings.batch)

            start, _ = min(surveyed.valid, key=lambda pair: loss(pair[1]))
            end = descend(points, by_name, start, loss, policy)
            if end is not None:
                reached.append(end[0])
    return reached


def _timed(
    networks: list[Network],
    settings: Settings,
    policy: Policy,
    judged: int,
    deadline: float,
    say: Say,
    new_worker: Callable[[], WorkerProtocol],
) -> Timed:
    """Latencies of the networks, and the pace of training of those inside the budgets, else of any.

    `judged` are the images to validate and held out.
    """
    worker = new_worker()
    try:
        latencies = timed(worker, networks, settings, policy, deadline, say)
        say("timing some training steps")
        limits = settings.budgets.static
        fit = [
            network
            for network, ms in latencies.measured
            if settings.budgets.allows_ms(ms) and inside(network.costs(settings), limits)
        ]
        chosen = fit or [network for network, _ in latencies.measured]
        fidelity = fidelity_of(settings, settings.images)
        return latencies._replace(train_s=paces(worker, chosen, settings, policy.examination, fidelity, judged))
    finally:
        worker.stop()


def _remedies(rows: list[dict[str, float]], settings: Settings, latencies: Timed | None) -> list[Remedy]:
    """What would make the budgets feasible. No latency is believed to be below the least that was measured."""
    limits = settings.budgets.static
    if latencies is None or not latencies.measured or settings.budgets.latency_ms is None:
        return remedies_of(rows, limits)
    floor = min(ms for _, ms in latencies.measured)
    limits["latency"] = settings.budgets.latency_ms
    believed = [{**row, "latency": max(row["latency"], floor)} for row in rows]
    remedies = remedies_of([row for row in believed if row["latency"] < math.inf], limits)
    as_rate = settings.budgets.throughput is not None
    return [
        remedy._replace(batch=settings.batch) if as_rate and remedy.metric == "latency" else remedy
        for remedy in remedies
    ]


def _ranges(rows: list[dict[str, float]], sampled: int, metrics: list[str]) -> dict[str, Range]:
    """The ends over everything found, the median over what was sampled."""
    by_metric = {}
    for metric in metrics:
        values = [row[metric] for row in rows if row[metric] < math.inf]
        middle = [row[metric] for row in rows[:sampled] if row[metric] < math.inf]
        if middle:
            by_metric[metric] = Range(min(values), median(middle), max(values))
    return by_metric


def as_json(examination: Examination, dead: list[JsonObject]) -> JsonObject:
    """The facts for programs; `dead` are the dead values as their problems say them, with their places."""
    timed, settings = examination.timed, examination.settings
    return {
        "space": settings.space["name"],
        "feasible": examination.is_feasible,
        "size": examination.survey.size._asdict()
        | {"looked_at": examination.survey.looked_at, "whole": examination.survey.is_whole},
        "ranges": {metric: examination.ranges[metric]._asdict() for metric in examination.ranges},
        "sampled": len(examination.survey.valid),
        "data": examination.data._asdict(),
        "dead": [*dead],
        "shares": [share._asdict() for share in examination.shares],
        "latency_budgets": [kept._asdict() for kept in examination.kept_budgets],
        "remedies": [
            {"metric": remedy.metric, "budget": remedy.budget, "least": remedy.least, "told": str(remedy)}
            for remedy in examination.remedies
        ],
        "latency": None
        if timed is None
        else {
            "stat": settings.stat,
            "runtime": settings.runtime,
            "method": timed.method,
            "measured_ms": [*(ms for _, ms in timed.measured)],
            "unstable": timed.unstable,
            "failed": timed.failed,
            "median_error": median(timed.errors) if timed.errors else None,
            "largest_error": timed.errors[-1] if timed.errors else None,
            "measure_s": timed.measure_s,
            "train_s": [*timed.train_s],
            "provenance": timed.provenance.as_json(),
        },
        "trials": examination.trials,
        "training": str(examination.training),
        "workers": examination.workers,
        "search_s": None if examination.search_s is None else [*examination.search_s],
        "seconds": examination.seconds,
    }
