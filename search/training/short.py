"""The rungs after the gate: scored at initialisation, then trained for as long as the running loss lets it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.schema.document import Spec
from archdsl.search.ladder.kept_files import weights_path
from archdsl.search.ladder.rungs import Halted, scored, train
from archdsl.search.results.front import Record
from archdsl.search.settings import Settings
from archdsl.search.training.fidelity import fidelity_of
from archdsl.search.training.halving import Limit, reason
from archdsl.search.workers.seat import Asked

if TYPE_CHECKING:
    from archdsl.search.runner import Search

HALVING = "halving"
"""The rung of a training that was broken off."""


def short_training(search: Search, worker: Asked, spec: Spec, settings: Settings, record: Record) -> None:
    """Score and train a measured candidate; its record says how far it came.

    Raises:
        OutOfTime, Failed, WorkerGone: as `train`.
    """
    record["provenance"]["scores"] = scored(worker, spec, settings, search.data, search.clock)["scores"]
    if (too_low := search.learned.screen.too_low(record)) is not None:
        record["rung"], record["outcome"], record["reason"] = "zero_cost", "fell", too_low
        return
    record["rung"] = "train"
    search.doing(f"trial {record['number']}: training {spec.name}")
    limits = search.learned.halving.limits(record)
    try:
        trained = train(
            worker,
            spec,
            settings,
            search.data,
            search.clock,
            progress=search.trained_so_far,
            limits={mark: limit.loss for mark, limit in limits.items()},
            keep=_place(search, settings, record),
        )
    except Halted as halted:
        _fall(search, record, halted, limits)
        return
    record["accuracy"] = trained.accuracy
    record["provenance"]["proxy"] = trained.facts
    record["outcome"] = "cached" if trained.cached else "trained"
    if trained.not_kept is not None:
        search.note(f"weights cannot be written to {search.folder.path}: {trained.not_kept}")


def _place(search: Search, settings: Settings, record: Record) -> Path | None:
    """Where the weights go; a machine that only trains hands none over."""
    if search.means.role == "train":
        return None
    epochs = fidelity_of(settings, search.data["images"]).epochs
    return weights_path(search, record["hash"], settings.seed, epochs)


def _fall(search: Search, record: Record, halted: Halted, limits: Mapping[int, Limit]) -> None:
    """The record becomes that of a network whose training was broken off."""
    mark = halted.facts["halted"]
    record["rung"], record["outcome"] = HALVING, "fell"
    record["provenance"]["proxy"] = halted.facts
    record["reason"] = reason(mark, halted.facts["running"][mark - 1], limits[mark])
