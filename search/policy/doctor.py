"""How closely a space is examined before it is searched."""

from __future__ import annotations

from dataclasses import dataclass, field

from archdsl.search.policy.pace import Pace


@dataclass(frozen=True)
class SurveyPolicy:
    """How many choices of a space are looked at."""

    most_choices: int = 10_000
    """Up to which a space is looked at as a whole."""
    samples: int = 2_000
    """Choices that are drawn of a larger one."""
    dead_draws: int = 200
    """Choices drawn with a value before it is called dead, where the space was not looked at as a whole."""


@dataclass(frozen=True)
class ProofPolicy:
    """How long a proof is sought that no network has a value, so that a check ends in seconds."""

    draws: int = 8
    """Choices drawn with each value before a proof is sought."""
    most_choices: int = 2_000
    """Of a set of variables that are looked at; where there are more, that set decides nothing."""
    most_in_all: int = 4_000
    """Choices looked at for all values."""
    most_explained: int = 200
    """Choices with an impossible value of which all problems are collected, to name those that fail every choice."""
    most_values: int = 100
    """Of one variable that are looked at; of a range in finer steps none is."""


@dataclass(frozen=True)
class DescentPolicy:
    """How the least of a cost is looked for."""

    draws: int = 100
    """Networks of which the best is where steps begin."""
    most_values: int = 12
    """Of one variable that a step tries."""
    most_rounds: int = 4
    """Over all variables."""


@dataclass(frozen=True)
class ExaminationPolicy:
    """What latencies and training are measured for an examination, and for how long."""

    time_s: float = 60.0
    """Where no time is asked for."""
    exported_time_s: float = 120.0
    """The same where each network is exported, which takes 2 to 7 seconds, before it is measured."""
    kept_shares: tuple[float, ...] = (0.2, 0.5, 0.8)
    """Of the networks, for which the latency budget is told that they keep."""
    trials: int = 100
    """Of the search that is to come, where no number is asked for."""
    training_share: float = 0.1
    """Of the time, kept for the pace of training."""
    measuring_share: float = 0.6
    """Of the time, left to measuring however long the counting took."""
    enough: int = 8
    """Measured networks from which the others are predicted."""
    most_measured: int = 60
    """Networks that are measured."""
    as_a_trial: int = 2
    """Networks measured as a trial does it, to tell how long that takes."""
    pace: Pace = field(default=Pace(rounds=20, warmup_s=0.1, settle_s=0.3, time_limit_s=1.0))
    """Of the others, so that there are more."""
    fastest: int = 3
    """Networks measured at the end, each predicted to be the fastest of those that were not."""
    paced: int = 3
    """Networks of which the pace of training is measured."""
    pace_s: float = 120.0
    """Without a word, after which a worker that measures the pace of training is taken to hang."""
    scored_images: int = 500
    """Whose validation takes about as long as the scores of a network."""
