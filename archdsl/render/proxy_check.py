"""The result of a proxy check: how much of accuracy is noise, how well each score ranks it, which targets are met."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.text import Text

from archdsl.numbers import bytes_text, macs_text, params_text
from archdsl.render.columns import Column, Sheet
from archdsl.render.prose import Prose
from archdsl.search.predict.ranks import Interval
from archdsl.search.proxy_check.result import Accuracies, CheckResult, Correlations, Ranking, ScoreQuality, Target

_TITLES = {"macs": "MACs", "az_nas": "AZ-NAS", "dss": "DSS", "synflow": "SynFlow", "snip": "SNIP", "naswot": "NASWOT"}
_BASELINES = ("params", "macs")
_NOTES = dict.fromkeys(_BASELINES, "baseline")
_BUDGETS = {"params": params_text, "MACs": macs_text, "memory": bytes_text}


class _Row(NamedTuple):
    title: str
    correlations: Correlations
    recall: float | None
    note: str


def report(result: CheckResult) -> RenderableType:
    """The whole result, or why nothing is ranked."""
    judgement = result.judgement
    parts: list[RenderableType] = [Prose(_heading(result), hanging="  ")]
    if judgement.accuracies is not None:
        parts.append(Prose(_accuracies(judgement.accuracies, result.asked.seeds)))
        parts.append(Prose(_noise(judgement.accuracies, result), "dim"))
    if judgement.refused:
        parts.append(Prose(f"REFUSED  {judgement.refused}", "bold red", hanging="  "))
    if judgement.accuracies is not None and judgement.ranking is not None:
        parts += [Text(), _table(judgement.accuracies.ceiling, judgement.ranking), Text()]
        parts += [_target(target) for target in judgement.ranking.targets]
    return Group(*parts)


def _heading(result: CheckResult) -> str:
    asked, judgement = result.asked, result.judgement
    limits = [f"{name} <= {_BUDGETS[name](round(limit))}" for name, limit in asked.budgets.items()]
    inside = f" inside {', '.join(limits)}" if limits else ""
    failed = f", {judgement.failed} failed" if judgement.failed else ""
    machine = result.facts.provenance
    device = asked.device if machine is None else f"{asked.device} ({machine.device_name})"
    return f"space {asked.space}: {judgement.trained} networks sampled uniformly{inside}{failed}; {device}"


def _accuracies(accuracies: Accuracies, seeds: int) -> str:
    return (
        f"trained for {accuracies.fidelity} with {seeds} seeds: accuracies {accuracies.least:.1%} "
        f"to {accuracies.most:.1%}, mean {accuracies.mean:.1%}, standard deviation {accuracies.deviation:.1%}"
    )


def _noise(accuracies: Accuracies, result: CheckResult) -> str:
    facts = result.facts
    return (
        f"{facts.data}; standard error of a mean accuracy: {accuracies.error_by_seed:.1%} from its seeds, "
        f"{accuracies.error_by_images:.1%} from its {facts.validation + facts.held_out:,} images"
    )


def _table(ceiling: Correlations, ranking: Ranking) -> RenderableType:
    """A row a score, the best first, under the ceiling; then the running losses."""
    rows = [_Row("another seed (the ceiling)", ceiling, None, ""), *_score_rows(ranking), *_short_rows(ranking)]
    columns = [
        Column("ranks accuracy", [Text(row.title) for row in rows]),
        Column("Spearman", [_interval(row.correlations.spearman) for row in rows], right=True),
        Column("Kendall", [_interval(row.correlations.kendall) for row in rows], right=True, drop=1),
        Column("top 5 kept", [_share(row.recall) for row in rows], right=True, drop=2),
        Column("", [Text(row.note) for row in rows], drop=3),
    ]
    notes = [
        "In brackets: the 90 % interval over bootstrap samples of the networks or, for a model that is fitted to some "
        "of them, over the choice of these. Fitted: the accuracy that a model predicts from the structures and scores "
        "of other networks. Top 5 kept: the share of the five most accurate networks that are in the best third by a "
        "score. The loss of one seed is compared with the mean accuracy of all seeds.",
        f"Medians: {_costs(ranking.seconds)}. Trainings taken from the cache: {ranking.cached}.",
    ]
    return Sheet(columns, notes)


def _score_rows(ranking: Ranking) -> list[_Row]:
    """The scores, the best first; under the fitted one those of fewer networks."""
    rows: list[_Row] = []
    for name, score in sorted(ranking.scores.items(), key=lambda row: -row[1].correlations.spearman.value):
        rows.append(_quality_row(_TITLES.get(name, name), score, _note(name, ranking.before)))
        if name == "fitted":
            fits = ranking.fitted_after.items()
            rows += [_Row(_fewer(count, ranking.before), fitted, None, "") for count, fitted in fits]
    return rows


def _short_rows(ranking: Ranking) -> list[_Row]:
    """The running losses, and the short training where there is one."""
    rows: list[_Row] = []
    for loss in ranking.running_loss.values():
        other = f"{loss.other_seed.spearman.value:.2f} with the other seed"
        rows.append(_quality_row(f"loss after {loss.cost:.0%} of training", loss.quality, other))
        rows.append(_quality_row("  beside the scores, fitted", loss.beside_scores, "to accuracies of the same seed"))
    if (training := ranking.short_training) is not None:
        cost = f"{training.cost:.0%} of a training's time, another seed"
        rows.append(_quality_row(f"accuracy after {training.fidelity}", training.quality, cost))
        rows.append(_quality_row("  beside the scores, fitted", training.beside_scores, ""))
    return rows


def _quality_row(title: str, quality: ScoreQuality, note: str) -> _Row:
    return _Row(title, quality.correlations, quality.recall, note)


def _note(name: str, before: int) -> str:
    if name == "fitted":
        return f"to all others and {before} of earlier checks" if before else "to all other networks"
    return _NOTES.get(name, "")


def _fewer(count: int, before: int) -> str:
    """What a fit is to, where not to all other networks."""
    earlier = f"{before} of earlier checks" if before else ""
    return f"  to {' and '.join(filter(None, (f'{count} of these' if count else '', earlier)))}"


def _costs(seconds: Mapping[str, float]) -> str:
    scores = sum(value for name, value in seconds.items() if name != "training")
    return f"all scores of a network take {scores:.1f} s, a training {seconds['training']:.0f} s"


def _interval(interval: Interval) -> Text:
    return Text(f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]")


def _share(value: float | None) -> Text:
    return Text("" if value is None else f"{value:.0%}")


def _target(target: Target) -> RenderableType:
    style, word = ("bold green", "MET   ") if target.is_met else ("bold red", "MISSED")
    return Prose(f"{word}  {target.what}: {target.value:.2f} (target: {target.target:.2f})", style, hanging="  ")
