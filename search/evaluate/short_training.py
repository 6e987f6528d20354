"""The rungs after the gate: scored at initialisation, then trained for as long as the running loss lets it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from archdsl.language.document import Spec
from archdsl.search.config import Settings
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.kept_files import weights_path
from archdsl.search.evaluate.rungs import Halted, scored, train
from archdsl.search.predict.early_stopping import Limit, reason
from archdsl.search.predict.predictors import Predictors
from archdsl.search.store.front import Record
from archdsl.search.worker.slot import WorkerProtocol
from archdsl.training.fidelity import fidelity_of

HALVING = "halving"
"""The rung of a training that was broken off."""


def short_training(
    context: Context, predictors: Predictors, worker: WorkerProtocol, spec: Spec, settings: Settings, record: Record
) -> None:
    """Score and train a measured candidate; its record says how far it came.

    Raises:
        OutOfTime, Failed, WorkerGone: as `train`.
    """
    record["provenance"]["scores"] = scored(worker, spec, settings, context.data, context.clock)["scores"]
    if (too_low := predictors.screen.too_low(record)) is not None:
        record["rung"], record["outcome"], record["reason"] = "zero_cost", "fell", too_low
        return
    record["rung"] = "train"
    context.doing(f"trial {record['number']}: training {spec.name}")
    limits = predictors.halving.limits(record)
    try:
        trained = train(
            worker,
            spec,
            settings,
            context.data,
            context.clock,
            progress=context.trained_so_far,
            limits={mark: limit.loss for mark, limit in limits.items()},
            keep=_place(context, settings, record),
        )
    except Halted as halted:
        _fall(context, record, halted, limits)
        return
    record["accuracy"] = trained.accuracy
    record["provenance"]["proxy"] = trained.facts
    record["outcome"] = "cached" if trained.cached else "trained"
    if trained.not_kept is not None:
        context.note(f"weights cannot be written to {context.folder.path}: {trained.not_kept}")


def _place(context: Context, settings: Settings, record: Record) -> Path | None:
    """Where the weights go; a machine that only trains hands none over."""
    if context.options.role == "train":
        return None
    epochs = fidelity_of(settings, context.data["images"]).epochs
    return weights_path(context, record["hash"], settings.seed, epochs)


def _fall(context: Context, record: Record, halted: Halted, limits: Mapping[int, Limit]) -> None:
    """The record becomes that of a network whose training was broken off."""
    mark = halted.facts["halted"]
    record["rung"], record["outcome"] = HALVING, "fell"
    record["provenance"]["proxy"] = halted.facts
    record["reason"] = reason(mark, halted.facts["running"][mark - 1], limits[mark])
