"""What a proxy check tells, as values: how well each score ranks accuracy, and what that is judged by.

`as_json` of each gives what `proxy_check.json` and `--json` hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archdsl.json_types import JsonObject
from archdsl.search.predict.ranks import Interval
from archdsl.search.proxy_check.networks import CheckFacts


@dataclass(frozen=True)
class Correlations:
    """Both rank correlations of one order with another."""

    spearman: Interval
    kendall: Interval

    def as_json(self) -> JsonObject:
        """Each with its interval."""
        return {"spearman": self.spearman._asdict(), "kendall": self.kendall._asdict()}


@dataclass(frozen=True)
class ScoreQuality:
    """How well a score ranks accuracy."""

    correlations: Correlations
    recall: float
    """The share of the most accurate networks that is in the score's upper third."""

    def as_json(self) -> JsonObject:
        """The correlations and the recall side by side."""
        return self.correlations.as_json() | {"recall": self.recall}


@dataclass(frozen=True)
class RunningLossQuality:
    """How well the running loss of one training ranks accuracy."""

    quality: ScoreQuality
    """By the mean accuracy of all seeds."""
    other_seed: Correlations
    """With the accuracy of another seed alone."""
    beside_scores: ScoreQuality
    """Of the accuracy that is fitted to the loss and the scores."""
    cost: float
    """Share of a full training."""

    def as_json(self) -> JsonObject:
        """What is of the other seed stands before the recall."""
        other = {f"{name}_of_other_seed": value for name, value in self.other_seed.as_json().items()}
        ends: JsonObject = {"beside_scores": self.beside_scores.as_json(), "cost": self.cost}
        return self.quality.correlations.as_json() | other | {"recall": self.quality.recall} | ends


@dataclass(frozen=True)
class ShortTrainingQuality:
    """How well the accuracy of a short training, with a schedule and a seed of its own, ranks that of full ones."""

    quality: ScoreQuality
    beside_scores: ScoreQuality
    """Of the accuracy that is fitted to this one and the scores."""
    cost: float
    """Share of the seconds of a full training."""
    fidelity: str | None

    def as_json(self) -> JsonObject:
        """The quality, and what it took."""
        ends: JsonObject = {"beside_scores": self.beside_scores.as_json(), "cost": self.cost, "fidelity": self.fidelity}
        return self.quality.as_json() | ends


@dataclass(frozen=True)
class Accuracies:
    """How far the networks' mean accuracies lie apart, and what of that is noise."""

    fidelity: str | None
    """How long each was trained."""
    least: float
    mean: float
    most: float
    deviation: float
    """Standard deviation over the networks."""
    error_by_seed: float
    """Standard error of a network's mean accuracy, as its seeds differ."""
    error_by_images: float
    """The same, as so many images leave it."""
    ceiling: Correlations
    """Of one seed with another, the mean over pairs of seeds."""

    def as_json(self) -> JsonObject:
        """In groups: the spread, the errors, the ceiling."""
        return {
            "fidelity": self.fidelity,
            "accuracy": {"least": self.least, "mean": self.mean, "most": self.most, "deviation": self.deviation},
            "error": {"by_seed": self.error_by_seed, "by_images": self.error_by_images},
            "ceiling": self.ceiling.as_json(),
        }


@dataclass(frozen=True)
class Target:
    """A figure that is aimed at, and what was found."""

    what: str
    target: float
    value: float

    @property
    def is_met(self) -> bool:
        """Whether that is enough."""
        return self.value >= self.target

    def as_json(self) -> JsonObject:
        """The same, with whether it is met."""
        return {"what": self.what, "target": self.target, "found": self.value, "met": self.is_met}


@dataclass(frozen=True)
class RankedNetwork:
    """A network with all that is needed to work out every figure again, rounded."""

    network_hash: str
    document: JsonObject
    """The network's spec as JSON."""
    accuracies: tuple[float, ...]
    """One a seed, on all images that were not trained on."""
    scores: Mapping[str, float]
    running: tuple[tuple[float, ...], ...]
    """Of each training the running losses at the marks of `short_quality.SHORT`."""
    short: float | None
    """The accuracy after short training; None where there was none."""

    def as_json(self) -> JsonObject:
        """As a row of `proxy_check.json`, which a later check reads."""
        return {
            "hash": self.network_hash,
            "spec": self.document,
            "accuracies": list(self.accuracies),
            "scores": dict(self.scores),
            "running": [list(losses) for losses in self.running],
            "short": self.short,
        }


@dataclass(frozen=True)
class Ranking:
    """How well each score ranks the networks."""

    before: int
    """Networks of earlier checks that models are fitted to as well."""
    scores: Mapping[str, ScoreQuality]
    fitted_after: Mapping[int, Correlations]
    """Of the accuracy that is fitted to so many trained networks alone, and to those of earlier checks."""
    running_loss: Mapping[int, RunningLossQuality]
    """By the twentieth of the training after which it is read."""
    short_training: ShortTrainingQuality | None
    """None where a network has no short training."""
    seconds: Mapping[str, float]
    """Medians: of what each score takes, and of a `training`."""
    cached: int
    """Trainings that were taken from the cache of results."""
    rung: str
    """The zero-cost score that ranks best of those that a search uses."""
    above_params: Interval
    """Its Spearman correlation less that of params."""
    targets: tuple[Target, ...]
    networks: tuple[RankedNetwork, ...]

    def as_json(self) -> JsonObject:
        """Every figure; a short training only where there is one."""
        facts: JsonObject = {
            "before": self.before,
            "scores": {name: quality.as_json() for name, quality in self.scores.items()},
            "fitted_after": {str(count): fitted.as_json() for count, fitted in self.fitted_after.items()},
            "short": {str(mark): quality.as_json() for mark, quality in self.running_loss.items()},
        }
        if self.short_training is not None:
            facts["short_of_its_own"] = self.short_training.as_json()
        return facts | {
            "seconds": dict(self.seconds),
            "cached": self.cached,
            "rung": self.rung,
            "above_params": self.above_params._asdict(),
            "targets": [target.as_json() for target in self.targets],
            "networks": [network.as_json() for network in self.networks],
        }


@dataclass(frozen=True)
class Judgement:
    """What the networks of a check tell, as far as they tell anything."""

    trained: int
    failed: int
    refused: str | None = None
    """Why nothing is ranked; None where it is."""
    accuracies: Accuracies | None = None
    """None where too few networks were trained."""
    ranking: Ranking | None = None
    """None where it is refused."""

    def as_json(self) -> JsonObject:
        """All in one object; what is not known is left out."""
        facts: JsonObject = {"trained": self.trained, "failed": self.failed, "refused": self.refused}
        for part in (self.accuracies, self.ranking):
            facts |= {} if part is None else part.as_json()
        return facts


@dataclass(frozen=True)
class EarlierSource:
    """An earlier check that models are fitted to as well; what it does not say of itself is None."""

    networks: int
    space: str | None
    budgets: Mapping[str, float] | None
    seed: int | None

    def as_json(self) -> JsonObject:
        """As the result lists it."""
        facts: JsonObject = {"networks": self.networks, "space": self.space, "budgets": None, "seed": self.seed}
        return facts if self.budgets is None else facts | {"budgets": dict(self.budgets)}


@dataclass(frozen=True)
class CheckRequest:
    """What a check was asked for, as its result repeats it."""

    space: str
    space_sha256: str
    networks: int
    seeds: int
    """Trainings of each network."""
    budgets: Mapping[str, float]
    """On params, MACs and memory, those that there are."""
    device: str
    threads: int | None
    epochs: float
    """Of a full training, to which small data may have raised them."""
    images: int
    seed: int
    earlier: tuple[EarlierSource, ...]

    def as_json(self) -> JsonObject:
        """As the result holds it under `asked`."""
        return {
            "space": self.space,
            "space_sha256": self.space_sha256,
            "networks": self.networks,
            "seeds": self.seeds,
            "budgets": dict(self.budgets),
            "device": self.device,
            "threads": self.threads,
            "epochs": self.epochs,
            "images": self.images,
            "seed": self.seed,
            "earlier": [check.as_json() for check in self.earlier],
        }


@dataclass(frozen=True)
class CheckResult:
    """A proxy check: what was asked, where it ran, and what it tells."""

    asked: CheckRequest
    complete: bool
    """Whether every network that was asked for was trained, or failed."""
    interrupted: bool
    facts: CheckFacts
    judgement: Judgement

    def as_json(self) -> JsonObject:
        """The content of `proxy_check.json`, and of `--json`."""
        return {
            "asked": self.asked.as_json(),
            "complete": self.complete,
            "interrupted": self.interrupted,
            **self.facts.model_dump(),
            **self.judgement.as_json(),
        }
