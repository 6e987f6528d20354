"""How the next network is proposed, and how machines share a study."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SamplerPolicy:
    """When a model of Optuna's proposes, and how large a generation is."""

    startup: int = 10
    """Trials drawn at random, seeds among them, before a model is fitted."""
    most_gp: int = 150
    """Completed trials after which the Gaussian process takes too long, seconds a proposal; TPE after that."""
    population: int = 20
    """Networks of a generation of NSGA-II: fewer than Optuna's 50, since a search has some tens of trials."""


@dataclass(frozen=True)
class EvolutionPolicy:
    """How many children are bred of what was measured, and what of them counts."""

    least: int = 10
    """Measured networks, beside the seeds, before anything is bred of them."""
    children: int = 100
    """Points that are bred and predicted for each that is proposed."""
    tries: int = 4
    """For each child that is asked for: a small space may hold no more of them."""
    random_share: float = 0.2
    """Of the children, drawn at random: what no parent has, no small change brings."""
    gain_share: float = 0.25
    """Of the choices, in which no cost counts: points of little cost push a front out with ease."""
    cost_limit: float = 1.1
    """Up to which cost an improvement counts, those of all points spanning 0 to 1."""
    most_kept: int = 5000
    """Networks that are remembered, so that they are not checked and counted again."""


@dataclass(frozen=True)
class ScalingPolicy:
    """How seeds and first draws are made smaller or wider."""

    room: float = 1.1
    """By how much faster than the gate a network is that is tried wider."""
    step: float = 7 / 8
    """Of a number, at most, that is lowered: a range may have thousands of values."""


@dataclass(frozen=True)
class DrawingPolicy:
    """How long networks are drawn at random, and when."""

    draws: int = 2000
    """For one network, before the space counts as exhausted."""
    few_draws: int = 20
    """For each of the networks of which the smallest is looked for."""
    smallest_of: int = 300
    """Networks of which the smallest is tried, where nothing else passes the gate."""
    most_raised: int = 20
    """First draws in which a block raised, all of them, after which it will not stop to raise."""
    most_known: int = 2000
    """Points of which is kept what they are, some 20 MB, so that those that are drawn again are not looked at again."""
    most_fruitless: int = 3
    """Proposals of the optimiser in a row that are of no use, after which one point is drawn at random."""


@dataclass(frozen=True)
class StudyPolicy:
    """How patient a search is with its study."""

    locked_s: float = 30.0
    """For how long another process may lock the database."""
    most_lost: int = 2
    """Times that a search may be killed while one point is tried, before that point is given up."""


@dataclass(frozen=True)
class SharingPolicy:
    """How machines wait for each other in a shared study."""

    beat_s: int = 15
    """Between two heartbeats of a trial."""
    grace_s: int = 90
    """Of silence, after which a trial counts as lost."""
    lock_s: float = 60.0
    """For the choice of another process: one that hangs is not waited for for ever."""
    connect_s: int = 10
    """To reach the database."""
    tries: int = 20
    """To open the database: where many processes make its tables at once, all but one fail."""
    retry_s: float = 0.2
    """Between two of these."""
    poll_s: float = 0.5
    """Between two looks at what other machines did."""
    most_ahead: int = 4
    """Measured trials that may wait to be trained, before a machine that only measures waits too."""
