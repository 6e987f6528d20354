"""How networks begin in a search that has a trained parent."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class FineTuningPolicy:
    """How a network is fine-tuned that inherited."""

    scored_images: int = 256
    """Training images on which a network is judged right after inheriting."""
    most_widened: float = 0.1
    """Share of the parameters in tensors that are wider than the parent's, up to which a network inherits."""
    broken_nats: float = 0.5
    """More loss on these than the parent has, from which on a network counts as broken."""
    whole_lr: float = 3e-4
    """Peak rate of a short fine-tuning of what is nearly the parent, at any batch."""
    broken_lr: float = 1e-3
    """The same of what is broken."""
    refitted_lr: float = 1e-4
    """The same of what is nearly the parent after a refit."""
    long_epochs: float = 3.0
    """From which on a fine-tuning is long."""
    long_lr: float = 1e-3
    """Peak rate of a long one, which first loses some accuracy and then passes the parent."""


@dataclass(frozen=True)
class AdaptingPolicy:
    """How a parent is brought to data that has other classes."""

    time_share: float = 0.25
    """Of the search's time, at most."""
    epochs: float = 8.0
    """At most."""
    least_steps: int = 50
    """However little time there is."""
    lr: float = 1e-3
    """Peak rate."""
    head_steps: int = 60
    """Of a new head alone, before everything is trained."""
    head_lr: float = 3e-3
    """Peak rate of these."""
    paced_steps: int = 10
    """At a tenth of the rate, by which it is told what a step takes."""
    planned_share: float = 0.95
    """Of the time that is left then: where the machine becomes slower, the fine-tuning is shortened."""


@dataclass(frozen=True)
class OwnParentPolicy:
    """When a seed of a space is trained as a parent, and which."""

    from_s: float = 900.0
    """Of a search's time: in less, what a share of it teaches a parent is worth little."""
    time_share: float = 0.4
    """Of the time."""
    least: float = 1.5
    """Times the latency budget that a parent takes at least, if the space has such a network."""
    aim: float = 2.0
    """Times the latency budget, to which a seed is scaled that is too slow."""
    most: float = 2.5
    """Times the latency budget, above which a seed is scaled."""
    seeds: int = 3
    """That are measured."""
    least_epochs: float = 4.0
    """With fewer none is trained."""
    most_epochs: float = 60.0
    """However much time there is."""


@dataclass(frozen=True)
class FittingPolicy:
    """How alternatives to the parent's blocks are fitted in a search; `archdsl library build` takes more images."""

    images: int = 256
    """Training images that blocks are fitted on, at most: they gave what 896 did."""
    scored: int = 256
    """Others that they are scored on, at most."""
    steps: int = 40
    """Of a fit."""
    most_processes: int = 8
    """On a CPU, however many cores it has."""


@dataclass(frozen=True)
class OwnLibraryPolicy:
    """When a search fits alternatives to its parent's blocks, and which."""

    from_s: float = 300.0
    """Of a search's time: in less, too few would be fitted."""
    time_share: float = 0.3
    """Of the time that is left, at most."""
    least_share: float = 0.25
    """Of these alternatives, about which the time must do for; else none is fitted. With fewer than half as many after
    all, the library is not used."""
    speed_of_files: float = 1.2
    """MACs a second of a process that fits, in units of those of the parent as it is measured, where a file is: of
    lit-dat-64's parent in ONNX Runtime it was 1.4."""
    speed_of_modules: float = 3.0
    """The same where modules are measured: of small networks these take two to five times as long as files."""
    look_s: float = 0.5
    """For which it is looked at how many cores other processes keep busy."""
    least_cores: float = 0.25
    """That are left however busy the machine is."""
    least_saving: float = 0.01
    """Share of the parent's latency that an alternative is predicted to save at least."""
    search_share: float = 0.2
    """Of the time that is left then, for candidates: the first ones are the library's."""
    fitting: FittingPolicy = field(default_factory=FittingPolicy)


@dataclass(frozen=True)
class LibraryPolicy:
    """Which networks of a library are tried first."""

    others: int = 1
    """Beside the best one, that differ from it and from each other in two positions or more."""
    most: int = 20
    """Networks in all: after these first ones, one more for every trial of a point of the space."""
    tries: int = 3
    """Of a network whose latency is far from the gate, each with the limit scaled by gate / measured."""
    calibrations: int = 2
    """Networks that are measured before others are solved for, so that latencies are predicted well at the budget."""
    margin: float = 0.97
    """By which the limit after a network that is too slow is lower still: with none, every second one is again."""
    used: float = 0.85
    """Share of the gate; where the best network takes less, another one is solved for that takes more."""
    far: float = 0.5
    """Times its predicted latency, below which a network makes the parent's latency doubtful."""
    doubted: float = 0.8
    """Times its predicted latency, below which the parent is measured again where the budget does not rest on it."""
    near: float = 0.05
    """Share of the budget, up to which one of these is near enough."""
    static_tries: int = 8
    """Solutions that are passed over since they exceed a budget that is no sum."""
    ms_per_mmac: float = 0.03
    """Of a million MACs, where too few networks were measured to tell. Of lit-dat-64 in ONNX Runtime on one core, two
    searches of 9 and 6 networks gave 0.031 and 0.026; only the ratio to the next number matters."""
    ms_per_100_operators: float = 0.3
    """Of 100 operators of the exported graph; the same searches gave 0.27 and 0.35."""
    trust: float = 0.1
    """Weight of these two coefficients beside a network that was measured, when they are corrected by few of them."""


@dataclass(frozen=True)
class ReachPolicy:
    """How fast networks are looked for, where those of the parent's width are too slow for the budget."""

    refused_over: float = 1.1
    """Times the budget that the fastest network found takes at most, or else the budget is refused."""
    refused_disturbed: float = 2.0
    """The same where its reading was disturbed, so that the network may be faster than it says."""
    near: float = 0.3
    """Share of the gate: the smallest network of the space is measured where it is predicted to lie as near to it."""
    kept_blocks: float = 0.5
    """Share of the parent's blocks: where it is too slow even with as many, narrower copies are tried first."""
    depths: tuple[float, ...] = (1.0, 0.75, 0.5, 0.25, 0.0)
    """Shares of the parent's blocks that narrower copies have; of each stage at least one block is kept."""
    copies: int = 3
    """That are tried."""


@dataclass(frozen=True)
class InheritancePolicy:
    """What candidates take over from a parent, and for how long they are trained then."""

    steps: int = 63
    """Of the fine-tuning by which networks are ranked that inherited."""
    enough_scored: int = 2
    """Losses after inheriting, of networks with no more MACs, before one decides whether a network goes on."""
    kept_share: float = 0.25
    """Of the networks, by that loss, that go on: measuring or fine-tuning one takes as long as several losses."""
    refit_steps: int = 120
    """Of each kept block of a finalist."""
    refit_images: int = 1000
    """Training images that a refit sees; no label of them."""
    tries: int = 6
    """Networks that were trained, of which none could inherit, before inheriting is given up."""
    parent_readings: int = 5
    """Of the parent's latency, at most: on a busy machine one is followed by another, and all are pooled."""
    near_budget: float = 1.25
    """Times the budget, up to which a parent is tried as a candidate that is no point of the space."""
    one_in: int = 8
    """Of the networks that cannot inherit, one in so many is tried all the same."""
    others_from_s: float = 1200.0
    """Of a search's time, from which on networks are trained from initial weights beside those that inherit: one takes
    as long as several of these, and in minutes it does not come as far. While nothing has inherited they are in any
    case."""
    search_share: float = 0.35
    """Of the time, for candidates; the rest is for finishing the best and measuring the winner. Among networks of about
    the same latency a long fine-tuning matters more than which of them it is."""
    finalists: int = 3
    """That are finished, at most, where the space lets candidates inherit."""
    finish_share: float = 0.95
    """Of the time that is left for training, which the finalists share: one that takes longer than the short one lets
    expect, as on a machine that becomes busy, is shortened."""
    least_epochs: float = 0.5
    """Of a finalist's fine-tuning; with less time there is none."""
    enough_epochs: float = 12.0
    """Of a finalist's fine-tuning: where not all finalists can have them, there are fewer finalists."""
    most_epochs: float = 30.0
    """Of a finalist's fine-tuning, however much time there is."""
    refit_cost: float = 3.5
    """Training steps that a step of the refit takes as long as, all blocks together; it reads larger batches."""
    validation_cost: float = 1 / 3
    """Training steps that validating as many images takes as long as."""
    others: int = 1
    """Finalists among those that were trained from initial weights."""
    fine_tuning: FineTuningPolicy = field(default_factory=FineTuningPolicy)
    adapting: AdaptingPolicy = field(default_factory=AdaptingPolicy)
    library: LibraryPolicy = field(default_factory=LibraryPolicy)
