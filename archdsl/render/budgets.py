"""The budgets of a search in a few words, each with where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.numbers import plain_text
from archdsl.search.config import COST_TEXTS, METRICS

if TYPE_CHECKING:
    from archdsl.search.config import Settings

ASKED, OF_THE_SPACE = "given", "from the space"


def budget_texts(settings: Settings) -> list[str]:
    """`p50 <= 5 ms (given)`, `params <= 8.000 M (from the space)`: every budget in force.

    A throughput budget is a latency: `p50 <= 40 ms (200 images/s, given)`; so is a share of a parent's, whose
    milliseconds are known once the parent was measured: `p50 <= 1.8 ms (60 % of the parent's, given)`.
    """
    texts = []
    latency_ms, share = settings.budgets.latency_ms, settings.latency_share
    if latency_ms is not None:
        rate = "" if (asked := settings.budgets.throughput) is None else f"{plain_text(asked)} images/s, "
        rate = rate if share is None else f"{plain_text(100 * share)} % of the parent's, "
        texts.append(f"{settings.stat} <= {plain_text(latency_ms)} ms ({rate}{origin(settings, 'latency')})")
    elif share is not None:
        texts.append(f"{settings.stat} <= {plain_text(100 * share)} % of the parent's (given)")
    for metric, limit in settings.budgets.static.items():
        texts.append(f"{METRICS[metric]} <= {COST_TEXTS[metric](round(limit))} ({origin(settings, metric)})")
    return texts


def origin(settings: Settings, metric: str) -> str:
    """Whether a budget is one of the space's own, or was asked for: on the command line, or from Python."""
    if settings.asked_budgets is not None:
        return ASKED if metric in settings.asked_budgets else OF_THE_SPACE
    budgets = settings.budgets  # of an older run, which tells no more than the values
    limits = {"latency": budgets.latency_ms, "throughput": budgets.throughput, **budgets.static}
    metric = "throughput" if metric == "latency" and budgets.throughput is not None else metric
    own = settings.space_document.budget(metric)
    return OF_THE_SPACE if own is not None and own.limit == limits.get(metric) else ASKED


def rate_text(settings: Settings) -> str:
    """The budget as it was asked for, where that was images per second: ` (200 images/s)`."""
    return "" if settings.budgets.throughput is None else f" ({plain_text(settings.budgets.throughput)} images/s)"
