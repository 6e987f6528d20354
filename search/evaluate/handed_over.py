"""The accuracy of what is handed over: of the trained weights, or in int8 of the quantised file that is exported.

Quantisation moves answers by percents, so that the accuracy of the weights says little of the file's. Each finalist's
file is written and names the validation images itself; that accuracy decides which finalist is tried first.
"""

from __future__ import annotations

import time
from dataclasses import replace

from archdsl.load.specs import spec_of
from archdsl.numbers import standard_error
from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.final_reading import export_weights
from archdsl.search.evaluate.kept_files import onnx_beside
from archdsl.search.evaluate.kept_weights import (
    KeptWeights,
    Seeds,
    recorded_training,
    retraining_s,
    weights_of,
)
from archdsl.search.evaluate.rungs import ask_in_time
from archdsl.search.evaluate.trainings import SeedTraining
from archdsl.search.trial import Trial
from archdsl.search.worker.export_messages import AccuracyReply, AccuracyRequest, NamedImages
from archdsl.search.worker.messages import MeasuringSetting
from archdsl.search.worker.process import Failed, OutOfTime, WorkerGone
from archdsl.training.accuracy import unpacked


class HandedOver:
    """What is handed over for each network of one search, judged once a network."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._quantised: dict[str, KeptWeights] = {}

    @property
    def _is_int8(self) -> bool:
        return self._context.settings.dtype == "int8"

    def of(self, trial: Trial) -> KeptWeights:
        """The weights of a network with the accuracy of what is handed over.

        Raises:
            OutOfTime, Failed, WorkerGone: as `weights_of`, or the quantised file could not be written or run.
        """
        if not self._is_int8:
            return weights_of(self._context, trial)
        if trial.network_hash not in self._quantised:
            self._quantised[trial.network_hash] = self._judged(trial, weights_of(self._context, trial))
        return self._quantised[trial.network_hash]

    def compared(self, trial: Trial) -> KeptWeights | SeedTraining | None:
        """What a network's answers are compared by with the winner's; None where they are not known in this dtype."""
        if self._is_int8:
            return self._quantised.get(trial.network_hash)
        return recorded_training(self._context, trial)

    def ranked(self, trials: list[Trial]) -> list[Trial]:
        """Possible winners in the order in which they are tried: in int8 by the accuracy of their files.

        These are written for as many as the finalists' policy counts and time allows, training again for weights that
        are not here; what is not judged so comes after, in its order.
        """
        context = self._context
        if not self._is_int8 or context.data is None or context.options.role == "train":
            return trials
        longest_s = 0.0
        for trial in trials[: context.policy.finalists.count]:
            left, again_s = context.clock.left, retraining_s(context, trial)
            if left is not None and left < longest_s + again_s + 2 * context.clock.process_s:
                continue
            started = time.monotonic()
            try:
                self._tell(trial, self.of(trial))
            except (Failed, WorkerGone, OutOfTime) as error:
                context.note(f"{trial.name}: its int8 file was not judged: {error or 'no time was left'}")
            except KeyboardInterrupt:
                if context.is_interrupted:  # once more stops at once
                    raise
                context.is_interrupted = True
                break
            longest_s = max(longest_s, time.monotonic() - started - again_s)
        judged = [trial for trial in trials if trial.network_hash in self._quantised]
        judged.sort(key=lambda trial: -self._quantised[trial.network_hash].validation_accuracy)
        return judged + [trial for trial in trials if trial.network_hash not in self._quantised]

    def _tell(self, trial: Trial, kept: KeptWeights) -> None:
        before = kept.float32 or (kept.validation_accuracy, None)
        accuracies = f"{100 * kept.validation_accuracy:.1f} % in int8, {100 * before[0]:.1f} % in float32"
        self._context.watcher(self._context.state, f"{trial.name}: validation accuracy {accuracies}")

    def _judged(self, trial: Trial, kept: KeptWeights) -> KeptWeights:
        """The same weights with the accuracy of their int8 file; of the classifier, also where maps are measured."""
        context, spec = self._context, spec_of(trial.document)
        is_dense = context.settings.features_only
        file = onnx_beside(kept.path)
        if is_dense:
            file = file.with_name(f"{file.stem}.classifier.onnx")
        export_weights(context, spec, kept.path, file, features_only=False)
        context.doing(f"naming the validation images with the int8 file of {spec.name}", context.state.phase)
        setting = replace(MeasuringSetting(**context.settings.measuring()), features_only=False)
        fresh = context.new_worker()
        try:
            request = AccuracyRequest(str(file), context.loaded.request, setting)
            reply = ask_in_time(fresh, request, context.policy.silence.accuracy_s, context.clock)
        finally:
            fresh.stop()
            if is_dense:
                file.unlink(missing_ok=True)
        return _with_answers(kept, reply)


def _with_answers(kept: KeptWeights, reply: AccuracyReply) -> KeptWeights:
    validation, held = reply.validation, reply.held_out
    accuracy = _accuracy(validation)
    return kept._replace(
        validation_accuracy=accuracy,
        validation_images=validation.images,
        validation_error=standard_error(accuracy, validation.images),
        held_out_accuracy=None if held is None else _accuracy(held),
        held_out_images=0 if held is None else held.images,
        held_out_error=None if held is None else standard_error(_accuracy(held), held.images),
        answers=unpacked(validation.answers, validation.images),
        per_class={
            "validation": dict(validation.per_class),
            "held_out": None if held is None else dict(held.per_class),
        },
        trained_seeds=Seeds(1, accuracy, accuracy, accuracy),
        float32=(kept.validation_accuracy, kept.held_out_accuracy),
    )


def _accuracy(named: NamedImages) -> float:
    return named.right / named.images
