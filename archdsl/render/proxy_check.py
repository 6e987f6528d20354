"""What a proxy check found: what noise leaves to be ranked, how each score ranks it, and which targets are met."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from archdsl.numbers import macs_text, params_text
from archdsl.render.columns import Column, Sheet

Facts = Mapping[str, Any]

_TITLES = {"macs": "MACs", "az_nas": "AZ-NAS", "dss": "DSS", "synflow": "SynFlow", "snip": "SNIP", "naswot": "NASWOT"}
_BASELINES = ("params", "macs")
_NOTES = dict.fromkeys(_BASELINES, "baseline")
_BUDGETS = {"params": params_text, "MACs": macs_text}


def report(found: Facts) -> RenderableType:
    """Everything, or why nothing is ranked."""
    parts: list[RenderableType] = [_line(_heading(found))]
    if "accuracy" in found:
        parts += [_line(_accuracies(found)), _line(_noise(found), "dim")]
    if found["refused"]:
        return Group(*parts, _line(f"REFUSED  {found['refused']}", "bold red"))
    parts += [Text(), _table(found), Text(), *(_target(target) for target in found["targets"])]
    return Group(*parts)


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ignore")


def _heading(found: Facts) -> str:
    asked = found["asked"]
    limits = [f"{name} <= {_BUDGETS.get(name, str)(round(limit))}" for name, limit in asked["budgets"].items()]
    inside = f" inside {', '.join(limits)}" if limits else ""
    failed = f", {found['failed']} failed" if found["failed"] else ""
    machine = found["provenance"].get("device_name")
    device = f"{asked['device']} ({machine})" if machine else asked["device"]
    return f"space {asked['space']}: {found['trained']} networks drawn evenly{inside}{failed}; {device}"


def _accuracies(found: Facts) -> str:
    known = found["accuracy"]
    return (
        f"trained for {found['fidelity']} with {found['asked']['seeds']} seeds: accuracies {known['least']:.1%} to "
        f"{known['most']:.1%}, mean {known['mean']:.1%}, standard deviation {known['deviation']:.1%}"
    )


def _noise(found: Facts) -> str:
    error = found["error"]
    return (
        f"{found['data']}; a mean accuracy errs by {error['by_seed']:.1%} by its seeds and by {error['by_images']:.1%} "
        f"by its {found['validation'] + found['held_out']:,} images (standard errors)"
    )


def _table(found: Facts) -> RenderableType:
    """A row a score, the best first, under the ceiling; then the running losses."""
    scores = sorted(found["scores"].items(), key=lambda row: -row[1]["spearman"]["value"])
    rows = [("another seed (the ceiling)", found["ceiling"] | {"recall": None}, "")]
    for name, facts in scores:
        rows.append((_TITLES.get(name, name), facts, _note(name, found["before"])))
        if name == "fitted":
            rows += [(_fewer(int(count), found["before"]), told, "") for count, told in found["fitted_after"].items()]
    for facts in found["short"].values():
        other = facts["spearman_of_other_seed"]["value"]
        rows.append((f"loss after {facts['cost']:.0%} of training", facts, f"{other:.2f} of the other seed"))
        rows.append(("  beside the scores, fitted", facts["beside_scores"], "to accuracies of the same seed"))
    if (apart := found.get("short_of_its_own")) is not None:
        rows.append((f"accuracy after {apart['fidelity']}", apart, f"{apart['cost']:.0%} of the cost, another seed"))
        rows.append(("  beside the scores, fitted", apart["beside_scores"], ""))
    columns = [
        Column("ranks accuracy", [Text(name) for name, _, _ in rows]),
        Column("Spearman", [_interval(facts["spearman"]) for _, facts, _ in rows], right=True),
        Column("Kendall", [_interval(facts["kendall"]) for _, facts, _ in rows], right=True, drop=1),
        Column("top 5 kept", [_share(facts.get("recall")) for _, facts, _ in rows], right=True, drop=2),
        Column("", [Text(note) for _, _, note in rows], drop=3),
    ]
    notes = [
        "In brackets where nine in ten bootstrap samples of the networks lie, or choices of those that others are told "
        "by. Fitted: accuracies as those of other networks tell them, from what the networks are and their scores. Top "
        "5 kept: of the five most accurate, the share in a score's upper third. One seed's loss is judged by the mean "
        "accuracy of all seeds.",
        f"Medians: {_costs(found['seconds'])}. Known before: {found['cached']} trainings.",
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
    return f"all scores take {scores:.1f} s, a training {seconds['training']:.0f} s"


def _interval(found: Facts) -> Text:
    return Text(f"{found['value']:.2f} [{found['low']:.2f}, {found['high']:.2f}]")


def _share(value: float | None) -> Text:
    return Text("" if value is None else f"{value:.0%}")


def _target(target: Facts) -> Text:
    style, word = ("bold green", "MET   ") if target["met"] else ("bold red", "MISSED")
    return _line(f"{word}  {target['what']}: {target['found']:.2f}, aimed at {target['target']:.2f}", style)
