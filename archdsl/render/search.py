"""A search as it runs, and what it found: progress, best so far, the front as a small plot, the ladder."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from archdsl.numbers import accuracy_text
from archdsl.render.columns import Column, Line, Sheet
from archdsl.render.plot import Plot
from archdsl.render.progress import Progress
from archdsl.render.verdict import second_reading, verdict_lines
from archdsl.search.trial import RUNGS, Trial

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from archdsl.search.store.winner import AttemptSummary


class State(Protocol):
    """What a display reads of a search; `archdsl.search.store.progress.State` is one."""

    phase: str
    doing: str
    fraction: float | None
    trials: int
    gate_ms: float | None
    folder: str
    busy: str

    @property
    def settings(self) -> Any:
        """What was asked for."""
        ...

    @property
    def funnel(self) -> Mapping[str, int]:
        """How many candidates ended at each rung."""
        ...

    @property
    def front(self) -> Sequence[Trial]:
        """The best so far, the most accurate first."""
        ...

    @property
    def elapsed(self) -> float:
        """Seconds so far."""
        ...

    @property
    def limit(self) -> float | None:
        """Seconds that it may take; None without a limit."""
        ...

    @property
    def facts(self) -> Mapping[str, Any]:
        """The device; empty until it is known."""
        ...


class Display:
    """A live display on a terminal; elsewhere a line a trial. Use as a watcher inside `with`."""

    def __init__(self, console: Console, quiet: bool = False) -> None:
        self._console, self._quiet = console, quiet
        self._live: Live | None = None
        self._drawn, self._opened = 0.0, False

    def __enter__(self) -> Display:
        if self._console.is_terminal and not self._quiet:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, state: State, line: str | None) -> None:
        """The search told of a change."""
        if self._quiet:
            return
        if state.facts and not self._opened:
            self._opened = True
            self._say(heading(state.settings, state.facts))
            self._say(f"what is found goes to {state.folder}")
        if line is not None:
            self._say(f"{clock(state.elapsed)} {line}")
        if self._live is not None and time.monotonic() - self._drawn > 0.2:
            self._drawn = time.monotonic()
            self._live.update(screen(state))

    def _say(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


def screen(state: State) -> RenderableType:
    """The live view."""
    doing = _cut(f"{state.phase}: {state.doing}", style="dim")
    parts: list[RenderableType] = [_cut(heading(state.settings, state.facts)), _bar(state), doing]
    if state.busy:
        parts.append(_cut(state.busy, style="yellow"))
    if state.front:
        best = state.front[0]
        parts.append(_cut(f"best so far  {describe(best)}", style="bold"))
        parts.append(_cut(f"proxy accuracy after {fidelity_text(best)}", style="dim"))
        parts.append(Plot(_points(state.front), state.settings.latency_budget_ms))
    parts.append(ladder(state.funnel))
    return Group(*parts)


def heading(settings: Any, facts: Mapping[str, Any]) -> str:
    """What is searched, for what, on what."""
    budget = "" if settings.latency_budget_ms is None else f"{settings.stat} <= {budget_text(settings)}, "
    name = facts.get("device_name")
    device = f"{settings.device} ({name})" if name else settings.device
    how = f"batch {settings.batch}, {settings.dtype}, {settings.runtime}"
    return f"space {settings.space['name']}: {budget}{how}, {device}"


def budget_text(settings: Any) -> str:
    """`5 ms`; of a throughput budget `40 ms (200 images/s)`."""
    rate = "" if settings.throughput_budget is None else f" ({settings.throughput_budget:g} images/s)"
    return f"{settings.latency_budget_ms:g} ms{rate}"


def _cut(text: str, style: str = "") -> RenderableType:
    """A line of the live view: words that do not fit are not shown."""
    return Line(text, style)


def _whole(text: str, style: str = "") -> Text:
    """A line of the result, never broken: it may hold a path."""
    return Text(text, style=style, no_wrap=True, overflow="ignore")


def _bar(state: State) -> RenderableType:
    settings = state.settings
    shares = [state.trials / settings.trials] if settings.trials else []
    shares += [state.elapsed / state.limit] if state.limit else []
    count = f"{state.trials}" + (f"/{settings.trials}" if settings.trials else "") + " trials"
    limit = f"/{clock(state.limit)}" if state.limit else ""
    training = "" if state.fraction is None else f"training {state.fraction:.0%}"
    return Progress(min(max(shares, default=0.0), 1.0), (count, clock(state.elapsed) + limit, training))


def ladder(funnel: Mapping[str, int]) -> Text:
    """How many candidates ended at which rung, the cheapest first."""
    known = [f"{name} {funnel[name]}" for name in RUNGS if funnel.get(name)]
    return Text("ladder  " + (" | ".join(known) or "no candidate yet"))


def describe(trial: Trial) -> str:
    """A candidate in one line."""
    return (
        f"{_accuracy(trial)} at {trial.latency_ms:.2f} ms, {trial.params / 1e6:.2f} M params, "
        f"{trial.macs / 1e6:.0f} M MACs"
    )


def front_table(
    front: Sequence[Trial], longer: Mapping[str, Trial], stat: str, attempts: Sequence[AttemptSummary] = ()
) -> RenderableType:
    """The front, the best first; `longer` are finalists trained longer, by hash, `attempts` who was measured again."""
    again = [second_reading(attempts, trial.network_hash) for trial in front]
    further = [_longer_text(longer.get(trial.network_hash)) for trial in front]
    columns = [
        Column("candidate", _cells(trial.name for trial in front)),
        Column("proxy acc.", _cells(_accuracy(trial) for trial in front), right=True),
        Column("longer", _cells(further), right=True, drop=1),
        Column(f"{stat} ms", _cells(f"{trial.latency_ms:.2f}" for trial in front), right=True),
        *([Column("again", _cells(again), right=True)] if any(again) else []),
        Column("params M", _cells(f"{trial.params / 1e6:.2f}" for trial in front), right=True, drop=2),
        Column("MACs M", _cells(f"{trial.macs / 1e6:.0f}" for trial in front), right=True, drop=3),
    ]
    return Sheet(columns)


def _cells(texts: Iterable[str]) -> list[Text]:
    return [Text(text) for text in texts]


def _longer_text(trial: Trial | None) -> str:
    """`61.2 ± 1.6 %`: the mean over seeds, and its standard error from the number of validation images."""
    return "" if trial is None else _accuracy(trial)


def _accuracy(trial: Trial) -> str:
    return accuracy_text(trial.accuracy, trial.error)


def fidelity_text(trial: Trial) -> str:
    """The length of training that names the accuracy."""
    return (trial.training and trial.training.fidelity) or "a training of unknown length"


def _points(front: Sequence[Trial]) -> list[tuple[float, float]]:
    return [(trial.latency_ms or 0.0, 100 * (trial.accuracy or 0.0)) for trial in front]


def clock(seconds: float) -> str:
    """Seconds as m:ss, or h:mm:ss."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def summary(result: Any) -> RenderableType:
    """What a finished search found, and whether the promise holds."""
    settings, verdict = result.settings, result.verdict
    ended = " until it was interrupted" if result.interrupted else ""
    told = f"{result.trials} trial{'s' * (result.trials != 1)}{ended}, kept in {result.folder}"
    parts: list[RenderableType] = [_whole(heading(settings, result.facts)), _whole(told)]
    if result.front:
        longer = {record.network_hash: record for record in result.records if record.is_longer}
        parts += [
            front_table(result.front, longer, settings.stat, verdict.attempts),
            _proxy_line(result.front[0], longer),
        ]
        if len(result.front) > 1:
            parts.append(Plot(_points(result.front), settings.latency_budget_ms))
    return Group(*parts, *verdict_lines(result))


def _proxy_line(trial: Trial, longer: Mapping[str, Trial]) -> Text:
    """The budgets that the accuracies are named by."""
    trainings = [further.training for further in longer.values() if further.training is not None]
    seeds = max((len(training.per_seed) for training in trainings), default=0)
    several = f", the mean of up to {seeds} seeds" if seeds > 1 else ""
    further = f", longer: {trainings[0].fidelity}{several}" if trainings else ""
    error = "± is one standard error, from the number of validation images alone"
    data = "" if trial.training is None else f"{trial.training.data}; "
    return _whole(f"proxy accuracy after {fidelity_text(trial)}{further}; {data}{error}", style="dim")
