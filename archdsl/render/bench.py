"""The table of `archdsl bench`: latencies side by side, their ratios, and whether to believe them."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from archdsl.errors import all_of
from archdsl.latency import AGAIN, LEAST_ROUNDS, STATS, TOLERANCE, Comparison, Latency, Ratio
from archdsl.render.columns import CORE, Column, Sheet

_UNDISTURBED = "undisturbed"
_TOLD_SLOWED = 0.25
"""Share of the rounds, above which a slow processor is named as the cause."""


def bench_table(comparison: Comparison) -> RenderableType:
    """A row an item and one for the first item measured again (A/A); below it doubts and what was measured on what."""
    ratios = {name: ratio_text(ratio) for name, ratio in comparison.ratios.items()}
    ratios[comparison.first.name] = "1"
    rows = [_row(name, latency, ratios[name]) for name, latency in comparison.latencies.items()]
    rows.append(_row(AGAIN, comparison.again, ratio_text(comparison.noise)))
    spared = {"min": CORE, "p90": CORE, "spread": 3, "ms": 0, "ratio [95 %]": 0, comparison.stat: 0, _UNDISTURBED: 0}
    titles = ("ms", *STATS, "spread", "ratio [95 %]", _UNDISTURBED)
    if not any(item.disturbed for item in _every(comparison)):
        titles, rows = titles[:-1], [row[:-1] for row in rows]
    columns = [
        Column(title, cells, right=title != "ms", drop=spared.get(title, 4))
        for title, cells in zip(titles, zip(*rows, strict=True), strict=True)
    ]
    return Sheet(columns, [*doubts(comparison), *caption(comparison)], style="")


def _every(comparison: Comparison) -> tuple[Latency, ...]:
    return (*comparison.latencies.values(), comparison.again)


def _row(name: str, latency: Latency, ratio: str) -> list[Text]:
    """One item's cells, the last one how many of its rounds count."""
    numbers = [milliseconds(latency.stat(stat)) for stat in STATS]
    counted = f"{sum(latency.rounds.undisturbed)} of {len(latency.samples)}"
    return [Text(cell) for cell in (name, *numbers, f"{latency.spread:.1%}", ratio, counted)]


def ratio_text(ratio: Ratio | None) -> str:
    """`0.500 [0.498, 0.502]`; a dash where it is unknown."""
    return "-" if ratio is None else f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"


def milliseconds(value: float) -> str:
    """Four significant digits, three decimals at most: 0.117, 12.35, 1235."""
    digits = 3 if value < 10 else 2 if value < 100 else 1 if value < 1000 else 0
    return f"{value:.{digits}f}"


def doubts(comparison: Comparison) -> list[str]:
    """What the numbers do not show, said plainly; empty where there is nothing to say."""
    noise = comparison.noise
    unstable = [name for name, latency in comparison.latencies.items() if latency.unstable]
    unstable += [AGAIN] * comparison.again.unstable
    others = list(comparison.latencies)[1:]
    lines = [*_disturbed(comparison), *filter(None, (_no_difference(comparison, name) for name in others))]
    if unstable:
        lines.append(f"Unstable: {', '.join(unstable)}.")
    if noise is not None and (moved := abs(noise.value - 1)) > TOLERANCE:
        lines.append(f"Unstable: {comparison.first.name} measured twice differs by {moved:.1%}.")
    if comparison.unstable:
        lines.append("Measure again, on a quieter machine or with more rounds.")
    return lines


def _no_difference(comparison: Comparison, name: str) -> str:
    """That an item does not differ, with the interval of its ratio; where that excludes 1, with the noise that does not
    let it count. Empty where it differs, or where that is unknown.
    """
    ratio, noise = comparison.ratios[name], comparison.noise
    if ratio is None or noise is None or comparison.differs(name):
        return ""
    why = "" if ratio.low <= 1 <= ratio.high else f"; that of {AGAIN} is {noise.value:.3f}"
    interval = f"ratio {ratio.low:.3f} to {ratio.high:.3f}{why}"
    return f"{name} does not differ significantly from {comparison.first.name} ({interval})."


def _disturbed(comparison: Comparison) -> list[str]:
    """What disturbed rounds leave unknown."""
    items = {**comparison.latencies, AGAIN: comparison.again}
    first, lines = comparison.first, []
    rounds, slowed = len(first.samples) * len(items), sum(item.rounds.slowed for item in items.values())
    if slowed > _TOLD_SLOWED * rounds:
        lines.append(
            f"The processor ran slower than usual in {slowed} of {rounds} rounds, which do not count: something else "
            "uses its core, its clock is lower, or it is hot."
        )
    if none := [name for name, item in items.items() if not any(item.rounds.undisturbed)]:
        lines.append(
            f"No round of {', '.join(none)} was undisturbed: the numbers there are of all rounds, and too high."
        )
    counts = {name: len(comparison.compared(item)) for name, item in items.items() if item is not first}
    few = {name: count for name, count in counts.items() if count < LEAST_ROUNDS}
    for count in sorted(set(few.values())):
        names = [name for name, rounds in few.items() if rounds == count]
        rounds_text = f"only {count} undisturbed round{'s' * (count != 1)}" if count else "no undisturbed round"
        lines.append(
            f"{all_of(names)} {'has' if len(names) == 1 else 'have'} no ratio: {rounds_text} in common with "
            f"{first.name}, and {LEAST_ROUNDS} are needed."
        )
    if AGAIN in few and len(few) < len(counts):
        lines.append(f"Without a ratio of {AGAIN} it is unknown whether a difference is significant.")
    return lines


def _rounds(comparison: Comparison) -> str:
    """`40 rounds, at least 36 of them undisturbed`: of the item with the fewest that count."""
    items = _every(comparison)
    rounds, least = len(items[0].samples), min(sum(item.rounds.undisturbed) for item in items)
    return f"{rounds} rounds" + (f", at least {least} of them undisturbed" if least < rounds else "")


def caption(comparison: Comparison, unit: str = "ms per batch") -> list[str]:
    """What was measured, on what, how often."""
    facts = comparison.first.origin
    images = {"x".join(map(str, item.noted.image)): None for item in comparison.latencies.values()}
    form = ["optimized"] * comparison.first.noted.optimized
    how = [facts.dtype, facts.runtime, *form, _rounds(comparison)]
    setting = [f"batch {facts.batch}", ", ".join(images), *how]
    threads = [f"{facts.threads} thread{'s' * (facts.threads != 1)}"] if facts.threads else []
    versions = [f"torch {facts.torch}"] + [f"driver {facts.driver}"] * bool(facts.driver)
    policy = facts.omp_wait_policy
    waiting = [f"OMP_WAIT_POLICY={policy}"] if facts.threads and policy != "default" else []
    first = comparison.first.name
    ratio = f"Ratio: {comparison.stat} divided by that of {first}{_ratio_rounds(comparison)}; "
    ratio += f"{AGAIN} is {first} measured again."
    where = [f"on {facts.target}"] if facts.target else []
    machine = [facts.device_name, *where, *threads, *versions, *waiting]
    return [ratio, _interleaved(comparison), ", ".join([unit, *setting]), ", ".join(machine)]


def _ratio_rounds(comparison: Comparison) -> str:
    """Of which rounds the ratio is, where these are not all: then it is not the quotient of the table's numbers."""
    if not any(item.disturbed for item in _every(comparison)):
        return ""
    return ", both over the rounds in which neither was disturbed"


def _interleaved(comparison: Comparison) -> str:
    """What runs in turn, and what that does to the numbers: each finds the caches full of another's data."""
    count, first = len(comparison.latencies), comparison.first.name
    turns = f"all {count} in turn, {first} twice" if count > 1 else f"{first} twice"
    return f"Each round measures {turns}; a network measured alone, as for a search's verdict, is usually faster."
