"""The result of a proxy check: how much of accuracy is noise, how well each score ranks it, which targets are met."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from archdsl.numbers import bytes_text, macs_text, params_text
from archdsl.render.columns import Column, Sheet
from archdsl.render.prose import Prose

Facts = Mapping[str, Any]

_TITLES = {"macs": "MACs", "az_nas": "AZ-NAS", "dss": "DSS", "synflow": "SynFlow", "snip": "SNIP", "naswot": "NASWOT"}
_BASELINES = ("params", "macs")
_NOTES = dict.fromkeys(_BASELINES, "baseline")
_BUDGETS = {"params": params_text, "MACs": macs_text, "memory": bytes_text}


def report(result: Facts) -> RenderableType:
    """The whole result, or why nothing is ranked."""
    parts: list[RenderableType] = [Prose(_heading(result), hanging="  ")]
    if "accuracy" in result:
        parts += [Prose(_accuracies(result)), Prose(_noise(result), "dim")]
    if result["refused"]:
        return Group(*parts, Prose(f"REFUSED  {result['refused']}", "bold red", hanging="  "))
    parts += [Text(), _table(result), Text(), *(_target(target) for target in result["targets"])]
    return Group(*parts)


def _heading(result: Facts) -> str:
    asked = result["asked"]
    limits = [f"{name} <= {_BUDGETS[name](round(limit))}" for name, limit in asked["budgets"].items()]
    inside = f" inside {', '.join(limits)}" if limits else ""
    failed = f", {result['failed']} failed" if result["failed"] else ""
    machine = result["provenance"].get("device_name")
    device = f"{asked['device']} ({machine})" if machine else asked["device"]
    return f"space {asked['space']}: {result['trained']} networks sampled uniformly{inside}{failed}; {device}"


def _accuracies(result: Facts) -> str:
    accuracy = result["accuracy"]
    return (
        f"trained for {result['fidelity']} with {result['asked']['seeds']} seeds: accuracies {accuracy['least']:.1%} "
        f"to {accuracy['most']:.1%}, mean {accuracy['mean']:.1%}, standard deviation {accuracy['deviation']:.1%}"
    )


def _noise(result: Facts) -> str:
    error = result["error"]
    return (
        f"{result['data']}; standard error of a mean accuracy: {error['by_seed']:.1%} from its seeds, "
        f"{error['by_images']:.1%} from its {result['validation'] + result['held_out']:,} images"
    )


def _table(result: Facts) -> RenderableType:
    """A row a score, the best first, under the ceiling; then the running losses."""
    scores = sorted(result["scores"].items(), key=lambda row: -row[1]["spearman"]["value"])
    rows = [("another seed (the ceiling)", result["ceiling"] | {"recall": None}, "")]
    for name, facts in scores:
        rows.append((_TITLES.get(name, name), facts, _note(name, result["before"])))
        if name == "fitted":
            fits = result["fitted_after"].items()
            rows += [(_fewer(int(count), result["before"]), interval, "") for count, interval in fits]
    for facts in result["short"].values():
        other = facts["spearman_of_other_seed"]["value"]
        rows.append((f"loss after {facts['cost']:.0%} of training", facts, f"{other:.2f} with the other seed"))
        rows.append(("  beside the scores, fitted", facts["beside_scores"], "to accuracies of the same seed"))
    if (separate := result.get("short_of_its_own")) is not None:
        cost = f"{separate['cost']:.0%} of a training's time, another seed"
        rows.append((f"accuracy after {separate['fidelity']}", separate, cost))
        rows.append(("  beside the scores, fitted", separate["beside_scores"], ""))
    columns = [
        Column("ranks accuracy", [Text(name) for name, _, _ in rows]),
        Column("Spearman", [_interval(facts["spearman"]) for _, facts, _ in rows], right=True),
        Column("Kendall", [_interval(facts["kendall"]) for _, facts, _ in rows], right=True, drop=1),
        Column("top 5 kept", [_share(facts.get("recall")) for _, facts, _ in rows], right=True, drop=2),
        Column("", [Text(note) for _, _, note in rows], drop=3),
    ]
    notes = [
        "In brackets: the 90 % interval over bootstrap samples of the networks or, for a model that is fitted to some "
        "of them, over the choice of these. Fitted: the accuracy that a model predicts from the structures and scores "
        "of other networks. Top 5 kept: the share of the five most accurate networks that are in the best third by a "
        "score. The loss of one seed is compared with the mean accuracy of all seeds.",
        f"Medians: {_costs(result['seconds'])}. Trainings taken from the cache: {result['cached']}.",
    ]
    return Sheet(columns, notes)


def _note(name: str, before: int) -> str:
    if name == "fitted":
        return f"to all others and {before} of earlier checks" if before else "to all other networks"
    return _NOTES.get(name, "")


def _fewer(count: int, before: int) -> str:
    """What a fit is to, where not to all other networks."""
    earlier = f"{before} of earlier checks" if before else ""
    return f"  to {' and '.join(filter(None, (f'{count} of these' if count else '', earlier)))}"


def _costs(seconds: Facts) -> str:
    scores = sum(value for name, value in seconds.items() if name != "training")
    return f"all scores of a network take {scores:.1f} s, a training {seconds['training']:.0f} s"


def _interval(interval: Facts) -> Text:
    return Text(f"{interval['value']:.2f} [{interval['low']:.2f}, {interval['high']:.2f}]")


def _share(value: float | None) -> Text:
    return Text("" if value is None else f"{value:.0%}")


def _target(target: Facts) -> RenderableType:
    style, word = ("bold green", "MET   ") if target["met"] else ("bold red", "MISSED")
    figures = f"{target['found']:.2f} (target: {target['target']:.2f})"
    return Prose(f"{word}  {target['what']}: {figures}", style, hanging="  ")
