"""The table of `archdsl bench`: latencies side by side, their ratios, and whether to believe them."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from archdsl.latency import AGAIN, STATS, TOLERANCE, Comparison, Latency, Ratio
from archdsl.render.columns import CORE, Column, Sheet


def bench_table(comparison: Comparison) -> RenderableType:
    """A row an item and one for the first item measured again (A/A); below it doubts and what was measured on what."""
    ratios = comparison.ratios
    rows = [
        _row(name, latency, None if latency is comparison.first else ratios[name])
        for name, latency in comparison.latencies.items()
    ]
    rows.append(_row(AGAIN, comparison.again, comparison.noise))
    spared = {"min": CORE, "p90": CORE, "spread": 3, "ms": 0, "ratio [95 %]": 0, comparison.stat: 0}
    titles = ("ms", *STATS, "spread", "ratio [95 %]")
    columns = [
        Column(title, cells, right=title != "ms", drop=spared.get(title, 4))
        for title, cells in zip(titles, zip(*rows, strict=True), strict=True)
    ]
    return Sheet(columns, [*doubts(comparison), *caption(comparison)], style="")


def _row(name: str, latency: Latency, ratio: Ratio | None) -> list[Text]:
    """One item's cells; without a ratio it is the item that the others are compared with."""
    numbers = [milliseconds(latency.stat(stat)) for stat in STATS]
    compared = f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]" if ratio else "1"
    return [Text(cell) for cell in (name, *numbers, f"{latency.spread:.1%}", compared)]


def milliseconds(value: float) -> str:
    """Four significant digits, three decimals at most: 0.117, 12.35, 1235."""
    digits = 3 if value < 10 else 2 if value < 100 else 1 if value < 1000 else 0
    return f"{value:.{digits}f}"


def doubts(comparison: Comparison) -> list[str]:
    """What the numbers do not show, said plainly; empty where there is nothing to say."""
    noise = abs(comparison.noise.value - 1)
    unstable = [name for name, latency in comparison.latencies.items() if latency.unstable]
    unstable += [AGAIN] * comparison.again.unstable
    others = list(comparison.latencies)[1:]
    same = [name for name in others if not comparison.differs(name)]
    lines = []
    if same:
        lines.append(f"No significant difference from {comparison.first.name}: {', '.join(same)}.")
    if unstable:
        lines.append(f"Unstable: {', '.join(unstable)}.")
    if noise > TOLERANCE:
        lines.append(f"Unstable: {comparison.first.name} measured twice differs by {noise:.1%}.")
    if comparison.unstable:
        lines.append("Measure again, on a quieter machine or with more rounds.")
    return lines


def _rounds(comparison: Comparison) -> str:
    """`40 rounds, at least 36 of them undisturbed`: of the item with the fewest that count."""
    items = (*comparison.latencies.values(), comparison.again)
    rounds, least = len(items[0].samples), min(sum(item.rounds.undisturbed) for item in items)
    return f"{rounds} rounds" + (f", at least {least} of them undisturbed" if least < rounds else "")


def caption(comparison: Comparison, unit: str = "ms per batch") -> list[str]:
    """What was measured, on what, how often."""
    facts = comparison.first.origin
    images = {"x".join(map(str, item.noted.image)): None for item in comparison.latencies.values()}
    how = [facts.dtype, facts.runtime, _rounds(comparison)]
    setting = [f"batch {facts.batch}", ", ".join(images), *how]
    threads = [f"{facts.threads} thread{'s' * (facts.threads != 1)}"] if facts.threads else []
    versions = [f"torch {facts.torch}"] + [f"driver {facts.driver}"] * bool(facts.driver)
    policy = facts.omp_wait_policy
    waiting = [f"OMP_WAIT_POLICY={policy}"] if facts.threads and policy != "default" else []
    ratio = f"Ratio of {comparison.stat} to {comparison.first.name}; A/A is {comparison.first.name} measured again."
    where = [f"on {facts.target}"] if facts.target else []
    machine = [facts.device_name, *where, *threads, *versions, *waiting]
    return [ratio, _interleaved(comparison), ", ".join([unit, *setting]), ", ".join(machine)]


def _interleaved(comparison: Comparison) -> str:
    """What runs in turn, and what that does to the numbers: each finds the caches full of another's data."""
    count, first = len(comparison.latencies), comparison.first.name
    turns = f"all {count} in turn, {first} twice" if count > 1 else f"{first} twice"
    return f"Each round measures {turns}; a network measured alone, as for a search's verdict, is usually faster."
