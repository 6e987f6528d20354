"""The winner's accuracy: of the weights that are handed over, and on images that nothing was chosen by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from archdsl.search.evaluate.kept_weights import KeptWeights
from archdsl.search.store.winner import Float32Beside, HeldOutAccuracy, ValidationAccuracy, WinnerAccuracy
from archdsl.search.training_record import SeedAccuracy
from archdsl.search.trial import Trial


def winner_accuracy(records: Sequence[Trial], network_hash: str, kept: KeptWeights, chance: float) -> WinnerAccuracy:
    """The accuracy of these very weights, and of the other seeds of their network.

    `chance` is the share of the largest class, which an accuracy must exceed by two standard errors.
    """
    over_seeds = held_out(records, network_hash)
    on_held_out = None
    if kept.held_out_accuracy is not None:
        accuracy, error, images = kept.held_out_accuracy, kept.held_out_error, kept.held_out_images
        on_held_out = HeldOutAccuracy(accuracy, error, images, kept.fidelity, mean=accuracy)
        if over_seeds is not None and kept.float32 is None:  # the other seeds were not quantised
            seeds, least, most = over_seeds.seeds, over_seeds.least, over_seeds.most
            on_held_out = replace(on_held_out, seeds=seeds, least=least, most=most, mean=over_seeds.accuracy)
    validation = ValidationAccuracy(
        kept.validation_accuracy, kept.validation_error, kept.validation_images, kept.fidelity, *kept.trained_seeds
    )
    before = None if kept.float32 is None else Float32Beside(*kept.float32)
    return WinnerAccuracy(on_held_out, validation, chance, kept.per_class, kept.balanced_accuracy, before)


def held_out(records: Sequence[Trial], network_hash: str | None) -> HeldOutAccuracy | None:
    """Of a network as trained the longest; None where it was not trained, or nothing is held out.

    The accuracy is the mean over the seeds, `least` and `most` the ends, `fidelity` the length of each.
    """
    trained = [record for record in records if record.network_hash == network_hash and record.accuracy is not None]
    longer = [record for record in trained if record.is_longer]
    for record in [*reversed(longer), *trained]:
        training = record.training
        if training is None:
            continue
        per_seed = training.per_seed or (SeedAccuracy(0, record.accuracy or 0.0, training.held_out),)
        accuracies = [each.held_out for each in per_seed if each.held_out is not None]
        if len(accuracies) == len(per_seed):
            least, most = min(accuracies), max(accuracies)
            return HeldOutAccuracy(
                sum(accuracies) / len(accuracies),
                fidelity=training.fidelity or "a training of unknown length",
                seeds=len(accuracies),
                least=least,
                most=most,
            )
    return None
