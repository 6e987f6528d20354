"""The sentences of a report, the same in the terminal and on the page: each number with its unit and how sure it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from archdsl.numbers import accuracy_text, standard_error
from archdsl.render.search import clock
from archdsl.render.verdict import held_out_text, reading_lines
from archdsl.search.store.winner import HeldOutAccuracy

if TYPE_CHECKING:
    from archdsl.search.report.facts import Agreement, Finals, Prediction, Report, Trial

IMPORTANCE_CAVEAT = (
    "Shares by PED-ANOVA (arXiv:2304.10255), Optuna's default: how unevenly the best tenth of the networks lies over a "
    "parameter's values. The search drew its networks to be good, not to be even; a share tells of this run's "
    "networks, neither of cause nor of direction, and nothing where it is near what chance gives."
)
_SETS = (("held_out", "held-out"), ("validation", "validation"))
FEW = 10
"""Networks below which a rank correlation is called weak evidence."""


def heading(report: Report) -> str:
    """What was searched, for what, on what."""
    settings, facts = report.settings, report.facts
    budget = "" if report.budget_ms is None else f"{report.stat} <= {report.budget_ms:g} ms, "
    name, device = facts.get("device_name"), settings.get("device") or facts.get("device") or "device not known"
    how = [f"batch {settings['batch']}"] if "batch" in settings else []
    how += [str(settings[name]) for name in ("dtype", "runtime") if name in settings]
    return f"space {report.space}: {budget}{', '.join([*how, f'{device} ({name})' if name else str(device)])}"


def state_text(report: Report) -> str:
    """How far it came."""
    trials = len({trial.number for trial in report.trials})
    took = f" in {clock(report.seconds)}" if report.seconds is not None else ""
    ends = {"finished": "", "interrupted": ", until it was interrupted"}
    ended = ends.get(report.state, "; it has not ended: it runs still, or was killed; --resume goes on")
    return f"{trials} trial{'s' * (trials != 1)}{took}{ended}; {report.folder}"


def verdict_line(report: Report) -> str:
    """PASS, FAIL or UNSURE, with the numbers."""
    verdict, budget = report.verdict, report.budget_ms
    reason = f": {verdict.reason}" if verdict.reason else ""
    if verdict.passed is None:
        return verdict.reason or "no verdict: the winner was not measured again"
    if verdict.reading is not None:
        nearest = "nearest miss " if verdict.word == "FAIL" else ""
        return f"{verdict.word}  {nearest}{verdict.name}{reason}"
    if verdict.latency is None:
        what = f"{verdict.name} could not be measured again" if verdict.name else "nothing was measured"
        return f"FAIL  {what}{reason}"
    where = f"{verdict.name}: {report.stat} {verdict.latency:.2f} ms"
    again = " measured again in a fresh process" if verdict.attempts else ""
    if verdict.passed:
        return f"PASS  {where}{again}, {'no latency budget' if budget is None else f'inside {budget:g} ms'}"
    if budget is not None and verdict.latency > budget:
        return f"FAIL  nearest miss {where}{again}, over {budget:g} ms"
    return f"{verdict.word}  nearest miss {where}{reason}"


def condition_lines(report: Report) -> list[str]:
    """The statistics and the conditions that the verdict holds under; none in a run of an earlier version."""
    verdict = report.verdict
    lines = [] if verdict.reading is None else list(reading_lines(verdict.reading))
    return [*lines, *([f"the machine was busy: {verdict.disturbed}"] if verdict.disturbed else [])]


def held_out_line(report: Report) -> str:
    """The winner's accuracy on images that no choice has seen; empty where there is no winner, or an older run's."""
    verdict = report.verdict
    is_known = verdict.word in ("PASS", "UNSURE") and verdict.held_out
    return held_out_text(HeldOutAccuracy(**verdict.held_out)) if is_known else ""


def balanced_line(report: Report) -> str:
    """`balanced accuracy, the mean over 20 classes: 61.8 % on held-out images, 63.1 % on validation images`."""
    balanced = report.verdict.balanced
    texts = [f"{accuracy_text(balanced[of])} on {what} images" for of, what in _SETS if of in balanced]
    return (
        f"balanced accuracy, the mean over {len(report.verdict.per_class)} classes: {', '.join(texts)}" if texts else ""
    )


def class_rows(report: Report, most: int | None = None) -> tuple[list[str], list[list[str]]]:
    """Headings, and a row a class: its name, and of each set of images how many the winner names rightly, of how many,
    with the standard error. Where there are more than `most` classes, the least accurate ones.
    """
    sets, classes = [(of, what) for of, what in _SETS if of in report.verdict.balanced], report.verdict.per_class
    if most is not None and len(classes) > most:
        classes = sorted(classes, key=lambda row: _recall(getattr(row, sets[0][0])))[:most]
    rows = [[row.name, *(_class_text(getattr(row, of)) for of, _ in sets)] for row in classes]
    return ["class", *(what for _, what in sets)], rows


def _recall(count: tuple[int, int] | None) -> float:
    return 1.0 if count is None else count[0] / count[1]


def _class_text(count: tuple[int, int] | None) -> str:
    if count is None:
        return "-"
    right, of = count
    return f"{accuracy_text(right / of, standard_error(right / of, of))} ({right:,} of {of:,})"


def ms_text(value: float | None) -> str:
    """Milliseconds; a dash for none."""
    return "-" if value is None else f"{value:.2f}"


def percent_text(value: float | None, error: float | None = None) -> str:
    """`39.1 ± 1.5 %`; a dash for none."""
    return accuracy_text(value, error)


def measured_text(trial: Trial) -> str:
    """A latency with its spread, (p50 - p10) / p10; a `~` says that the reading called itself unstable."""
    if trial.latency is None:
        return "-"
    spread = trial.timing.get("spread")
    mark = "~" if trial.timing.get("unstable") is True else ""
    return f"{mark}{trial.latency:.2f}" + (f" +{spread:.0%}" if isinstance(spread, int | float) else "")


def proxy_text(report: Report) -> str:
    """The budget that the accuracies are named by, and what stands beside a latency."""
    proxies = {trial.fidelity: trial.proxy for trial in report.front if trial.fidelity}
    lengths = " or ".join(proxies) or "a training of unknown length"
    data = next((str(proxy["data"]) for proxy in proxies.values() if proxy.get("data")), "data not known")
    return (
        f"Proxy accuracy after {lengths}; {data}; ± is one standard error, from the number of validation images alone. "
        f"Beside a latency its spread, (p50 - p10) / p10; ~ is a reading that was unstable."
    )


def agreement_text(found: Agreement) -> str:
    """A rank correlation, its n, and how easily chance gives as much."""
    if found.rho is None or found.chance is None:
        return f"{found.name}: {found.n} networks, too few for a rank correlation"
    chance = f"chance alone gives as much in {_share(found.chance)} of orders"
    weak = "; weak evidence" if found.n < FEW else ""
    return f"{found.name}: Spearman {found.rho:.2f}, n {found.n}; {chance}{weak}"


def _share(value: float) -> str:
    return f"{value:.0%}" if value >= 0.005 else "under 1%"


def finals_text(finals: Finals) -> str:
    """How the search's ranking held after longer training."""
    if not finals.pairs:
        return "No finalist was trained longer."
    range_text = "These are the best of the search: a narrow range, in which ranks swap easily"
    return f"{agreement_text(finals.agreement)}. {range_text}."


def prediction_text(found: Prediction) -> str:
    """How far predictions lay off."""
    if not found.points or found.agreement is None:
        return f"No prediction: {found.reason}."
    return (
        f"Each of {len(found.points)} networks predicted from all the others: off by {found.median_error or 0:.0%} "
        f"in the median, {found.largest_error or 0:.0%} at most. {agreement_text(found.agreement)}."
    )


def provenance_lines(report: Report) -> Iterator[str]:
    """What the latencies and accuracies were taken on and with, each setting once, with how often."""
    timings = [trial.timing for trial in report.trials if trial.timing] + [a.timing for a in report.verdict.attempts]
    unstable = sum(timing.get("unstable") is True for timing in timings)
    for line, times in Counter(_machine(timing) for timing in timings if timing).most_common():
        yield f"{times} latenc{'y' if times == 1 else 'ies'}: {line}"
    if unstable:
        yield f"{unstable} of {len(timings)} latencies are unstable: drift, or too few undisturbed rounds."
    if report.gate_ms is not None:
        noise = "" if report.noise is None else f", the budget less this machine's noise of {report.noise:.0%}"
        yield f"Gate: {report.stat} {report.gate_ms:.2f} ms{noise}."
    trained = [trial.proxy for trial in [*report.trials, *report.longer] if trial.proxy]
    for line, times in Counter(_training(proxy) for proxy in trained).most_common():
        yield f"{times} training{'s' * (times != 1)}: {line}"
    if not timings:
        yield "Nothing was measured."


def _machine(timing: dict[str, Any]) -> str:
    facts = timing.get("provenance")
    facts = facts if isinstance(facts, dict) else {}
    named = [str(facts[name]) for name in ("device_name", "dtype", "runtime", "os") if facts.get(name)]
    named += [f"{name} {facts[name]}" for name in ("batch", "threads", "driver", "torch", "cuda") if facts.get(name)]
    return ", ".join(named) or "not recorded"


def _training(proxy: dict[str, Any]) -> str:
    named = [str(proxy[name]) for name in ("fidelity", "data", "device") if proxy.get(name)]
    named += [f"{name} {proxy[name]}" for name in ("seed", "threads", "torch") if proxy.get(name) is not None]
    return ", ".join(named) or "not recorded"
