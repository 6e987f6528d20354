"""How well a score ranks accuracy: rank correlations with their intervals, and how many of the best it keeps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from archdsl.search.predict.fields import fields
from archdsl.search.predict.ranks import Floats, Interval, interval, kendall, recall, spearman
from archdsl.search.predict.surrogate import NetworkFeatures
from archdsl.search.proxy_check.networks import CheckedNetwork, EarlierNetwork
from archdsl.search.proxy_check.result import Correlations, ScoreQuality

Networks: TypeAlias = Sequence[CheckedNetwork]
Earlier: TypeAlias = Sequence[EarlierNetwork]
Correlation: TypeAlias = Callable[[Floats, Floats], Floats]


def both_correlations(interval_of: Callable[[Correlation], Interval]) -> Correlations:
    """Both rank correlations, each with its interval."""
    return Correlations(interval_of(spearman), interval_of(kendall))


def mean_of(figures: Sequence[Floats]) -> Floats:
    """Of rank correlations, one by one."""
    average: Floats = np.mean(figures, axis=0)
    return average


def network_features(networks: Sequence[CheckedNetwork | EarlierNetwork]) -> list[NetworkFeatures]:
    """What a surrogate reads of each network: its fields and its scores."""
    return [NetworkFeatures(fields(record.document), record.scores) for record in networks]


def judge(score: Floats, truth: Floats, best: int) -> ScoreQuality:
    """Both rank correlations with their intervals, and what the score's upper third holds of the best."""
    return ScoreQuality(both_correlations(lambda figure: interval(figure, score, truth)), _recall([score], truth, best))


def judge_mean(each: Sequence[Floats], truth: Floats, best: int) -> ScoreQuality:
    """As `_judge`, of the mean over several scores."""

    def over_scores(figure: Correlation) -> Interval:
        return interval(lambda mean, *scores: mean_of([figure(score, mean) for score in scores]), truth, *each)

    return ScoreQuality(both_correlations(over_scores), _recall(each, truth, best))


def _recall(each: Sequence[Floats], truth: Floats, best: int) -> float:
    """The share of the most accurate networks in a score's upper third, the mean over the scores."""
    kept = math.ceil(len(truth) / 3)
    return float(np.mean([recall(list(score), list(truth), best, kept) for score in each]))
