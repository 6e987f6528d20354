"""What a reader of a run can do next: sentences with the run's figures, each with the command line that does it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from archdsl.json_types import JsonObject
from archdsl.numbers import accuracy_text
from archdsl.search.policy.report import ReportPolicy
from archdsl.search.report.commands import (
    baselines_arguments,
    bench_command,
    digits,
    doctor_command,
    resume_command,
    search_command,
    space_argument,
    train_command,
)
from archdsl.search.report.facts import NextStep, Verdict
from archdsl.search.report.reading import RunFiles, items, mapping, number, text
from archdsl.search.report.trials import TrialLine
from archdsl.search.store.clock import more_time_s

_FASTER_RUNTIME = {"cpu": "onnxruntime", "cuda": "graph"}
_ABOVE_LEAST = 1.05
"""Times the least predicted latency of a library's networks, from which on a budget leaves it a choice."""
_LATENCY_BUDGETS = {"latency_budget_ms", "latency_share", "throughput_budget"}
_CLEARLY_LESS = 0.9
"""Share of a latency, above which a budget makes no faster network."""


@dataclass(frozen=True)
class _Run:
    """What the steps are computed from."""

    files: RunFiles
    verdict: Verdict
    trials: Sequence[TrialLine]
    front: Sequence[TrialLine]
    noise: float
    seconds: float
    """What the search has used of its time."""
    far: float
    """Times the budget, from which on no longer search is proposed."""

    @property
    def settings(self) -> JsonObject:
        return self.files.settings

    @property
    def folder(self) -> Path:
        return self.files.folder

    @property
    def budget_ms(self) -> float | None:
        return number(self.settings.get("latency_budget_ms"))

    @property
    def stat(self) -> str:
        return text(self.settings.get("stat"), "latency")

    @property
    def least_of_library_ms(self) -> float | None:
        """The lowest latency that the run predicts of a network of its library; None where it predicts none."""
        front = mapping(mapping(self.files.library.get("facts")).get("front"))
        costs = [number(mapping(point).get("cost")) for point in items(front.get("points"))]
        known = [cost for cost in costs if cost is not None]
        return min(known, default=None) if front.get("metric") == "latency" else None

    def has(self, name: str) -> bool:
        return (self.folder / name).is_file()

    def search(self, **changes: str | float) -> str:
        """A new search of the space with some settings changed; another latency budget takes the place of the run's,
        in whatever unit that was.
        """
        if _LATENCY_BUDGETS & changes.keys():
            changes = {**dict.fromkeys(_LATENCY_BUDGETS, ""), **changes}
        also = baselines_arguments(self.files)
        return search_command({**self.settings, **changes}, space_argument(self.files), also=also)

    def longer(self) -> list[str]:
        """The options of a resume with larger limits than the run had; empty where it had none."""
        trials, time_s = number(self.settings.get("trials")), number(self.settings.get("time_s"))
        options = [] if trials is None else ["--trials", f"{2 * trials:.0f}"]
        return options + ([] if time_s is None else ["--time", f"{more_time_s(time_s, self.seconds)}s"])


def next_steps(
    files: RunFiles,
    state: str,
    verdict: Verdict,
    trials: Sequence[TrialLine],
    front: Sequence[TrialLine],
    noise: float | None,
    seconds: float | None,
    policy: ReportPolicy,
) -> list[NextStep]:
    """The steps, the most useful first; none where the run does not say what was searched."""
    if not mapping(files.settings.get("space")):
        return []
    run = _Run(files, verdict, trials, front, policy.noise if noise is None else noise, seconds or 0.0, policy.far)
    steps = list[NextStep]()
    has_ended = state == "finished"
    if not has_ended:
        steps.append(NextStep("The search has not ended: continue it where it stopped.", resume_command(files.folder)))
    follow = _FOLLOW.get(verdict.word)
    resumes = resume_command(files.folder)
    for step in follow(run) if follow is not None else ():
        if has_ended or not step.command.startswith(resumes):  # which the first step says already
            steps.append(step)
    return steps


def _after_pass(run: _Run) -> Iterator[NextStep]:
    if run.has("winner.safetensors"):
        sentence = "Train the winner for longer, from the weights that it has."
        files = run.folder / "winner.safetensors", run.folder / "trained.safetensors"
        yield NextStep(sentence, train_command(run.settings, *files))
        words = ["archdsl", "export", str(run.folder / "winner.safetensors"), "-o", str(run.folder / "winner.py")]
        sentence = "Write the winner with its trained weights as a PyTorch module that needs no archdsl."
        yield NextStep(sentence, shlex.join(words))
    if run.has("run_winner.py"):
        sentence = "Measure the winner again in three fresh processes, under the conditions of the verdict."
        yield NextStep(sentence, shlex.join(["python", str(run.folder / "run_winner.py")]))
    if run.has("winner.json"):
        sentence = "Measure the winner's latency with random weights; name a second network to compare the two."
        yield NextStep(sentence, bench_command(run.settings, run.folder / "winner.json"))
    if isinstance(run.settings.get("parent"), str) and run.has("winner.safetensors"):
        if (budget := run.budget_ms) is not None:
            yield _derive_faster(run, min(budget, run.verdict.latency or budget))
    else:
        yield from _train_more(run)
    yield from _search_longer(run, "a more accurate network")


def _derive_faster(run: _Run, slower_ms: float) -> NextStep:
    """A search for half of a latency; of the library for what it can give, or without it where that is no less."""
    target = _two_digits(slower_ms / 2, math.ceil)
    changes: dict[str, str | float] = {}
    source, least = "parent", run.least_of_library_ms
    is_own = run.has("library/index.json")  # of what the run made of its parent
    if least is not None and (is_own or run.settings.get("library")):
        reachable = max(target, _two_digits(_ABOVE_LEAST * least, math.ceil))
        if reachable > _CLEARLY_LESS * slower_ms:
            changes["library"] = ""
        else:
            target = reachable
            source = "parent and replacement blocks, which need no training again"
            if is_own:
                changes |= {"parent": str(run.folder / "parent.safetensors"), "library": str(run.folder / "library")}
    sentence = f"Derive a faster network from the same {source}, with a budget of {digits(target)} ms."
    return NextStep(sentence, run.search(**changes, latency_budget_ms=target))


def _after_unsure(run: _Run) -> Iterator[NextStep]:
    if run.verdict.reading is None:
        yield from _after_no_reading(run)
        return
    if run.has("run_winner.py"):
        sentence = "Measure the winner again on a quieter machine: stop other programs, then run its script."
        yield NextStep(sentence, shlex.join(["python", str(run.folder / "run_winner.py")]))
    yield from _bench_elsewhere(run)
    interval, budget = run.verdict.reading.interval_ms, run.budget_ms
    if interval is not None and budget is not None and interval[1] > budget:
        yield _with_budget(run, interval[1], f"The interval of its latency ends at {interval[1]:.2f} ms")


def _after_no_reading(run: _Run) -> Iterator[NextStep]:
    """No network was measured again: one inside the budget waits for it, or none is known to be inside."""
    budget, latency, options = run.budget_ms, run.verdict.latency, run.longer()
    sentence = "Continue the search with more time, in which a network can be trained and measured."
    if budget is not None and latency is not None and latency > budget:
        sentence = "Continue the search on a quieter machine: stop other programs first."
    elif run.verdict.name:
        sentence = "Continue the search with more time, in which the network can be trained again and measured."
    if options:
        yield NextStep(sentence, resume_command(run.folder, *options))
    yield from _larger_budget(run)
    if latency is not None and (budget is None or latency <= budget):
        yield from _bench_elsewhere(run)


def _bench_elsewhere(run: _Run) -> Iterator[NextStep]:
    """The network's latency in a faster runtime."""
    document = next((run.folder / name for name in ("winner.json", "nearest.json") if run.has(name)), None)
    if document is not None and (runtime := _faster_runtime(run.settings)) is not None:
        sentence = f"Measure its latency in the runtime {runtime}, which may be faster."
        yield NextStep(sentence, bench_command({**run.settings, "runtime": runtime}, document))


def _after_fail(run: _Run) -> Iterator[NextStep]:
    yield from _larger_budget(run)
    if not _is_far(run):
        yield from _search_longer(run, "a network inside the budgets")
    if (runtime := _faster_runtime(run.settings)) is not None:
        sentence = f"Search with the runtime {runtime}, in which the same networks may be faster."
        yield NextStep(sentence, run.search(runtime=runtime))
    sentence = "Examine how much of the space lies inside the budgets, without training anything."
    yield NextStep(sentence, doctor_command(run.settings, space_argument(run.files)))
    yield NextStep("Choose another space: the last line names those that archdsl ships.", "archdsl zoo")


_FOLLOW: dict[str, Callable[[_Run], Iterator[NextStep]]] = {
    "PASS": _after_pass,
    "UNSURE": _after_unsure,
    "FAIL": _after_fail,
}


def _is_far(run: _Run) -> bool:
    """Whether the fastest network that was measured takes so long that a longer search will not help."""
    nearest, budget = _nearest_latency(run), run.budget_ms
    return nearest is not None and budget is not None and nearest > run.far * budget


def _larger_budget(run: _Run) -> Iterator[NextStep]:
    """The budget that the fastest network meets, where that exceeds the run's."""
    if (nearest := _nearest_latency(run)) is not None and (budget := run.budget_ms) is not None and nearest > budget:
        reason = f"The lowest latency that was measured is {run.stat} {nearest:.2f} ms"
        yield _with_budget(run, nearest / (1 - min(run.noise, 0.5)), reason)


def _search_longer(run: _Run, aim: str) -> Iterator[NextStep]:
    """With larger limits than the run had."""
    if options := run.longer():
        count = len({trial.hash for trial in run.trials})
        tried = f"it has tried {count} network{'' if count == 1 else 's'} so far"
        sentence = f"Continue the search for {aim}, with larger limits; {tried}."
        yield NextStep(sentence, resume_command(run.folder, *options))


def _train_more(run: _Run) -> Iterator[NextStep]:
    """Where the errors of the first two accuracies of the front leave open which network is better."""
    if len(run.front) < 2:
        return
    first, second = run.front[:2]
    epochs = number(first.proxy.document.get("epochs")) or number(run.settings.get("epochs"))
    if epochs is None:
        return
    if None in (first.accuracy, second.accuracy, first.proxy.error, second.proxy.error):
        return
    apart = abs((first.accuracy or 0) - (second.accuracy or 0))
    error = math.hypot(first.proxy.error or 0, second.proxy.error or 0)
    if apart < 2 * error:
        sentence = (
            f"Search again with twice the epochs: the first two networks of the front differ by "
            f"{accuracy_text(apart, error)} in proxy accuracy, less than two standard errors."
        )
        yield NextStep(sentence, run.search(epochs=round(2 * epochs, 1), least_steps=0))


def _nearest_latency(run: _Run) -> float | None:
    """The lowest latency in ms; of a network that was measured again, that reading counts."""
    again = {attempt.hash: attempt.latency for attempt in run.verdict.attempts if attempt.latency is not None}
    if run.verdict.latency is not None:
        again[run.verdict.hash] = run.verdict.latency
    first = {trial.hash: trial.latency for trial in run.trials if trial.latency is not None}
    return min((first | again).values(), default=None)


def _with_budget(run: _Run, latency_ms: float, reason: str) -> NextStep:
    """A search under the lowest round budget that this latency meets; a throughput budget stays one."""
    if number(run.settings.get("throughput_budget")) is not None:
        batch = number(run.settings.get("batch")) or 1.0
        rate = _two_digits(1000 * batch / latency_ms, math.floor)
        highest = "the highest of two digits that it meets"
        sentence = f"{reason}: search with a budget of {digits(rate)} images/s, {highest}."
        return NextStep(sentence, run.search(throughput_budget=rate))
    budget = _two_digits(latency_ms, math.ceil)
    lowest = "the lowest of two digits that this network meets"
    sentence = f"{reason}: search with a budget of {digits(budget)} ms, {lowest}."
    return NextStep(sentence, run.search(latency_budget_ms=budget))


def _two_digits(value: float, rounded: Callable[[float], int]) -> float:
    """Rounded up or down to two significant digits."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1) if value > 0 else 1.0
    return float(f"{rounded(round(value / unit, 6)) * unit:.6g}")


def _faster_runtime(settings: JsonObject) -> str | None:
    """A runtime that runs a network's operations with less overhead than this one; None where it is used already."""
    runtime = _FASTER_RUNTIME.get(text(settings.get("device")).split(":")[0])
    if runtime == "onnxruntime" and settings.get("dtype") == "bfloat16":
        runtime = "compile"  # which takes it
    return runtime if text(settings.get("runtime")) == "eager" else None
