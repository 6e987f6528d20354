"""The comparison from Python: any network under the conditions of a run."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from archdsl.data.agreement import square_side
from archdsl.errors import WrongUse
from archdsl.json_types import JsonObject
from archdsl.latency.provenance import Provenance
from archdsl.search.baselines import Source, baseline_documents, check_form, in_data, several, weights_notes
from archdsl.search.comparison.reference_run import ReferenceRun, reference_run
from archdsl.search.comparison.result import Scored, Scores
from archdsl.search.comparison.scoring import Scoring, other_conditions
from archdsl.search.config import Settings
from archdsl.search.evaluate.rungs import load_data
from archdsl.search.loaded_data import DataRequest
from archdsl.search.policy import SHIPPED, Policy
from archdsl.search.worker.machine_options import MachineOptions
from archdsl.search.worker.pool import greeted
from archdsl.search.worker.slot import WorkerProtocol


def score(
    networks: Source | Sequence[Source],
    *,
    like: str | os.PathLike[str],
    assignments: Sequence[str] = (),
    longer: bool = False,
    say: Callable[[str], None] = lambda text: None,
    policy: Policy = SHIPPED,
    new_worker: Callable[[], WorkerProtocol] | None = None,
) -> Scores:
    """Any network under the conditions of a run: its latency, its accuracy, and its place in the run's table.

    The latency is measured as the search measures a candidate at the gate, in the run's runtime and setting; the
    accuracy is that of the run's short training. What was trained before comes from the cache of results. Nothing in
    the run's folder is changed.

    Args:
        networks: one or more backbones, zoo names, paths of JSON files or of `.safetensors` of ours, dicts, or
            "timm:NAME" for models of timm, which are built for the data with random weights. The image size of the
            others must be that of the run; channels and classes that a document leaves out are those of the data.
        like: folder of the run.
        assignments: fields to set in each network but those of timm, as `["image=64"]`.
        longer: also train as long as finalists are trained, with as many seeds as the winner had; where these
            inherited, a network that inherits too is fitted and fine-tuned for as many epochs as they were.
        say: is called with the progress.
        policy: what the search went by.
        new_worker: makes what measures and trains; by default a process.

    Raises:
        SpecError, UnknownName: a network is refused.
        NoRun: `like` holds no run.
        WrongUse: there is no network.
        SearchError: the run's files or its data cannot be read, or a network has another image size, other channels or
            other classes than the data.
    """
    run = reference_run(Path(like))
    sources = several(networks)
    if not sources:
        raise WrongUse("give at least one network to compare with the run")
    for note in weights_notes(sources):
        say(note)
    documents = [document for source in sources for document in baseline_documents(source, assignments)]
    settings = run.settings
    side = square_side(settings.space_document)
    for document in documents:
        check_form(in_data(document, side, {}, settings.data), settings)  # refused before the data is loaded
    worker = (new_worker or MachineOptions().worker(settings.device, policy.worker, settings.runtime))()
    try:
        machine = greeted(worker, settings, policy.silence)
        request = DataRequest(settings.data, side, settings.seed, settings.images)
        data = load_data(worker, request, machine, policy.silence)
        say(f"data  {data.describe}")
        for warning in data.warnings:
            say(f"warning: {warning}")
        facts = {"channels": data.channels, "classes": data.classes}
        scoring = Scoring(run, worker, policy, data, say)
        matched = [in_data(document, side, facts, settings.data) for document in documents]
        scored = [scoring.scored(spec, label, longer) for spec, label in zip(matched, _labels(documents), strict=True)]
        scored = scoring.ranked(scored)
        notes = [
            note for note in (_other_device(run, machine), other_conditions(run, policy, data)) if note is not None
        ]
    finally:
        worker.stop()
    return Scores(run, scored, _conditions(scored, settings, machine), notes)


def _labels(documents: Sequence[JsonObject]) -> list[str]:
    """Their names, numbered where several have the same."""
    names, seen = [str(document["name"]) for document in documents], Counter[str]()
    labels = list[str]()
    for name in names:
        seen[name] += 1
        labels.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    return labels


def _other_device(run: ReferenceRun, machine: Provenance) -> str | None:
    before = run.device_name
    if before is None or before == machine.device_name:
        return None
    return f"the networks of the run were measured on {before}, these on {machine.device_name}: compare no latencies"


def _conditions(scored: Sequence[Scored], settings: Settings, machine: Provenance) -> JsonObject:
    """Of the first network that was measured; where none was, those that the others would have been measured under."""
    trials = (network.trial for network in scored if network.trial is not None)
    first = next((trial.measurement for trial in trials if trial.measurement is not None), None)
    if first is not None and first.provenance is not None:
        return {**first.provenance}
    threads = settings.threads or settings.chosen_threads
    forms = {"features_only": settings.features_only} | ({"optimized": True} if settings.optimize else {})
    return machine.as_json() | {"threads": threads, **forms}
