"""When what a search learned of its own measurements is trusted, and how far."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class LatencyModelPolicy:
    """When latencies are predicted."""

    enough: int = 16
    """Measured networks before the first prediction by regression."""
    enough_to_scale: int = 5
    """Measured networks before a table is scaled to them: a network alone runs in warmer caches than a table's do."""
    ridge: float = 1e-3
    """By which weights are held to zero, in units of each feature's size."""
    least_share: float = 0.5
    """Of the lowest latency measured, below which no prediction is believed."""


@dataclass(frozen=True)
class ProcessPolicy:
    """What a Gaussian process is fitted to."""

    noise: float = 0.1
    """Variance of the noise of a value, as of a training's seed, as a share of the variance over points."""
    most: int = 1000
    """Values that are worth to be looked at, the last ones: time grows with their cube."""


@dataclass(frozen=True)
class SurrogatePolicy:
    """How accuracies are predicted."""

    least: int = 3
    """Trained networks, before there is anything to fit."""
    training_weight: float = 2.0
    """Of a column of what was seen of a training, beside those of fields and scores."""
    process: ProcessPolicy = field(default_factory=ProcessPolicy)


@dataclass(frozen=True)
class ScreenPolicy:
    """When a network scores too low to be trained."""

    enough: int = 10
    """Trained networks before an order is trusted or not, and networks among which one is the lowest."""
    least_correlation: float = 0.5
    """Spearman's, of an order with the accuracies here, from which it is trusted."""
    lowest_share: float = 0.2
    """Of the networks, that score too low while the order is trusted."""


@dataclass(frozen=True)
class EarlyStoppingPolicy:
    """When the training of a network is stopped."""

    looks: tuple[float, ...] = (0.2, 0.5)
    """Shares of the steps after which a training is judged."""
    enough: int = 8
    """Networks trained to the end before the loss is trusted or not, and rivals before a training is stopped."""
    least_correlation: float = 0.5
    """Spearman's, of a forecast with the accuracies here, from which it is trusted."""
    kept: float = 0.5
    """Share of the rivals' forecasts that a network's must be among: by a half the limit is the median."""
    levels: int = 33
    """Losses from the least to the most that was seen, between which a forecast is taken to be straight."""


@dataclass(frozen=True)
class FormulaPolicy:
    """When a candidate is left out by a formula of MACs and operators, before it is exported."""

    enough: int = 6
    """Measured networks before the formula is fitted: three for each of its two coefficients."""
    far: float = 2.0
    """Times the gate, above which a prediction by the parent's latency alone leaves a network out: of narrow copies it
    was off by up to a factor of two.
    """
    margin_share: float = 0.9
    """Of the errors on networks left out, below which the margin lies: one reading that went wrong must not make the
    formula useless.
    """
    least_margin: float = 0.25
    """By which a prediction must exceed the gate at least. In a study of 24 networks the formula was off by 9 to 12 %
    at the median and by about 25 % at most; the few networks that it is fitted to at first do not show that.
    """


@dataclass(frozen=True)
class PreselectionPolicy:
    """Which candidates are accurate enough, by prediction, to be exported."""

    enough: int = 10
    """Trained networks before their predicted accuracies are trusted or not, and rivals that cost no more."""
    least_correlation: float = 0.5
    """Spearman's, of predicted and trained accuracy here, from which the prediction is trusted."""
    kept_share: float = 0.5
    """Of equal-or-cheaper networks, among whose predicted accuracies a candidate's must be to be exported: an export
    costs a fifth to a half of a trial, which is better spent on the upper half.
    """
