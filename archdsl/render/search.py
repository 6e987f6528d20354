"""A search as it runs, and what it found: progress, best so far, the front as a small plot, where candidates ended."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.text import Text

from archdsl.render.budgets import budget_texts
from archdsl.render.candidates import baseline_lines, describe, fidelity_text, front_table, point, proxy_line
from archdsl.render.columns import Line
from archdsl.render.live import LiveDisplay
from archdsl.render.plot import Plot
from archdsl.render.progress import Progress
from archdsl.render.prose import Prose
from archdsl.render.texts import clock, counted
from archdsl.render.tried import few_trials_text
from archdsl.render.verdict import verdict_lines
from archdsl.search.report.commands import resume_command
from archdsl.search.store.clock import more_time_s
from archdsl.search.store.shortened import unequal_finalists_text
from archdsl.search.trial import RUNGS

if TYPE_CHECKING:
    from archdsl.latency.provenance import Provenance
    from archdsl.search.config import Settings
    from archdsl.search.store.progress import State
    from archdsl.search.store.result import Result


_LEAST_POINTS = 3
"""Of a front that is drawn: a table tells two."""


class Display(LiveDisplay):
    """A live display on a terminal; elsewhere a line a trial. Use as a watcher inside `with`."""

    def __init__(self, console: Console, quiet: bool = False) -> None:
        super().__init__(console, quiet)
        self._drawn, self._opened = 0.0, False

    def __call__(self, state: State, line: str | None) -> None:
        """Shows a change of the search; `line` is worth keeping."""
        if self._quiet:
            return
        if state.facts is not None and not self._opened:
            self._opened = True
            self._say(heading(state.settings, state.facts))
            self._say(f"results are written to {state.folder}")
        if line is not None:
            self._say(f"{clock(state.elapsed)} {line}")
        if self._live is not None and time.monotonic() - self._drawn > 0.2:
            self._drawn = time.monotonic()
            self._live.update(screen(state))

    def _say(self, line: str) -> None:
        """On a terminal a line keeps to its width; in a log it stays whole."""
        kept = Prose(line, hanging="  ") if self._console.is_terminal else Text(line)
        self._console.print(kept, soft_wrap=True)


def screen(state: State) -> RenderableType:
    """The live view: of each line the words that fit."""
    parts: list[RenderableType] = [Line(heading(state.settings, state.facts)), _progress(state)]
    parts.append(Line(f"{state.phase}: {state.doing}", "dim"))
    if state.busy:
        parts.append(Line(state.busy, "yellow"))
    if state.front:
        settings, best = state.settings, state.front[0]
        parts.append(Line(f"best so far  {describe(best)}", "bold"))
        parts.append(Line(f"proxy accuracy after {fidelity_text(best)}", "dim"))
        parts.append(Plot([point(trial) for trial in state.front], settings.budgets.latency_ms, stat=settings.stat))
    parts.append(Prose(funnel_text(state.funnel), hanging=" " * len("candidates  ")))
    return Group(*parts)


def heading(settings: Settings, machine: Provenance | None) -> str:
    """What is searched, for what, on what."""
    place = settings.measuring_place
    device = place if machine is None else f"{place} ({machine.device_name})"
    form = ["features only"] * settings.features_only + ["optimized"] * settings.optimize
    setting = [f"batch {settings.batch}", settings.dtype, settings.runtime, *form, device]
    return f"space {settings.space['name']}: {', '.join([*budget_texts(settings), *setting])}"


def _progress(state: State) -> RenderableType:
    settings = state.settings
    shares = [state.trials / settings.trials] if settings.trials else []
    shares += [state.elapsed / state.limit] if state.limit else []
    count = f"{state.trials}" + (f"/{settings.trials}" if settings.trials else "") + " trials"
    limit = f"/{clock(state.limit)}" if state.limit else ""
    training = "" if state.fraction is None else f"training {state.fraction:.0%}"
    return Progress(min(max(shares, default=0.0), 1.0), (count, clock(state.elapsed) + limit, training))


def funnel_text(funnel: Mapping[str, int]) -> str:
    """How many candidates ended at which rung, the cheapest first."""
    counts = [f"{name} {funnel[name]}" for name in RUNGS if funnel.get(name)]
    return "candidates  " + (" | ".join(counts) or "none yet")


def how_to_continue(result: Result) -> str:
    """The command that continues a search that was interrupted, or that had ended before it was resumed."""
    if result.interrupted:
        return f"interrupted; to continue: {resume_command(result.folder)}"
    settings, options = result.settings, list[str]()
    if settings.trials is not None:
        options += ["--trials", str(2 * settings.trials)]
    if settings.time_s is not None:
        options += ["--time", f"{more_time_s(settings.time_s, result.seconds)}s"]
    more = "with larger limits: " if options else "with a limit, e.g.: "
    command = resume_command(result.folder, *(options or ["--time", "20m"]))
    return f"this search had ended, so nothing was done now and its result stands; to continue it {more}{command}"


def summary(result: Result) -> RenderableType:
    """What a finished search found, and whether the promise holds."""
    settings, verdict = result.settings, result.verdict
    ended = " until it was interrupted" if result.interrupted else ""
    trials = counted(result.trials, "trial")
    parts: list[RenderableType] = [
        Prose(heading(settings, result.facts)),
        Prose(f"{trials}{ended}, kept in {result.folder}"),
    ]
    if result.front:
        longer = {trial.network_hash: trial for trial in result.records if trial.is_longer}
        parts.append(front_table(result.front, longer, settings.stat, verdict.attempts))
        parts.append(Prose(proxy_line(result.front[0], list(longer.values())), "dim"))
        if text := unequal_finalists_text(result.records):
            parts.append(Prose(text, "yellow"))
        if not longer and len(result.front) > 1:
            parts.append(Prose("no finalist was trained longer, so the order is that of short trainings"))
        if len(result.front) >= _LEAST_POINTS:
            points = {trial.network_hash: point(trial) for trial in result.front}
            winner = verdict.record if verdict.has_winner else None
            best = None if winner is None else points.get(winner.network_hash)
            parts.append(Plot(list(points.values()), settings.budgets.latency_ms, best, settings.stat))
    parts += [Prose(line, hanging="  ") for line in baseline_lines(result.records, result.front)]
    origins = (trial.origin for trial in result.records if not trial.is_longer)
    slow = sum(trial.is_over_gate for trial in result.records if not trial.is_longer)
    if verdict.has_winner and (few := few_trials_text(settings.space_document, result.trials, origins, slow)):
        parts.append(Prose(few))
    return Group(*parts, *verdict_lines(result))
