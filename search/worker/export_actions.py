"""What a worker does about exported files: it writes them, and tells how accurate one is."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.search.worker import export_messages as messages
from archdsl.search.worker.training_actions import Say, loaded

if TYPE_CHECKING:
    from torch import Tensor

    from archdsl.compile import Backbone
    from archdsl.data.dataset import Data
    from archdsl.runtimes.export_job import Dtype
    from archdsl.training.accuracy import Evaluation
    from archdsl.weights.facts import ModelFacts


def export_candidate(request: messages.CandidateRequest, say: Say) -> messages.CandidateReply:
    """The exported file of a network that was not trained: of a latency its weights decide nothing."""
    from archdsl.latency import Setting
    from archdsl.latency.measuring import export_network
    from archdsl.search.worker.networks import image_of, seeded_network

    setting, file = request.setting, Path(request.file)
    if not file.is_file():
        checked = Setting.checked(setting.device, setting.batch, setting.dtype, setting.runtime)
        module = seeded_network(request.spec, checked.device, setting.features_only)
        export_network(module, image_of(request.spec), file, checked, setting.optimize)
    return messages.CandidateReply(file.stat().st_size)


def trained(file: Path, features_only: bool) -> Backbone:
    """The network in a file of ours; for dense prediction without its head."""
    from archdsl.weights import load_model

    with warnings.catch_warnings():
        if features_only:  # the winner's README says that norms of the maps are new
            warnings.simplefilter("ignore", UserWarning)
        return load_model(file, features_only=features_only or None)


def export_trained(request: messages.ExportRequest, say: Say) -> messages.ExportReply:
    """An ONNX file of a trained network, which says what the weights' file says of itself."""
    from archdsl.runtimes.by_name import runtime_named
    from archdsl.runtimes.exported import export
    from archdsl.weights import read_facts

    setting, facts = request.setting, read_facts(request.weights)
    dtypes: dict[str, Dtype] = {"float16": "float16", "int8": "int8"}
    dtype, images = dtypes.get(setting.dtype, "float32"), None
    if dtype == "int8" and request.calibration is not None and runtime_named(setting.runtime).calibrates:
        images = list(_batches(loaded(*request.calibration.data), request.calibration.images, setting.batch))
    model = trained(Path(request.weights), setting.features_only)
    done = export(
        model,
        request.file,
        "onnx",
        batch=setting.batch,
        dtype=dtype,
        facts=facts,
        calibration=images,
        optimize=setting.optimize,
    )
    return messages.ExportReply(done.sha256, done.largest_error)


def _batches(data: Data, images: int, batch: int) -> Iterator[Tensor]:
    """Whole batches of the first training images, normalised; of less than one batch its images again."""
    import torch

    count = min(images, len(data.train_images))
    rows = torch.arange(max(count // batch, 1) * batch) % count
    for chunk in rows.split(batch):
        yield data.normalise(data.train_images[chunk])


def accuracy_of(request: messages.AccuracyRequest, say: Say) -> messages.AccuracyReply:
    """What the file itself names rightly, in the runtime that it is for; the file states it from then on."""
    from archdsl.exporting.onnx_file import state
    from archdsl.latency import Setting
    from archdsl.runtimes.file_runtime import FileRuntime, session_as_module
    from archdsl.training.accuracy import evaluate

    asked, data = request.setting, loaded(*request.data)
    runtime = Setting.checked(asked.device, asked.batch, asked.dtype, asked.runtime).executor
    assert isinstance(runtime, FileRuntime)
    net = session_as_module(runtime.open(Path(request.file), asked.threads or 1), asked.batch)
    sets = [(data.val_images, data.val_labels), (data.held_images, data.held_labels)]
    validation, held = (
        evaluate(net, data.normalise, images, labels, data.class_names, asked.batch) if len(labels) else None
        for images, labels in sets
    )
    if validation is None:
        raise ValueError(f"{request.file}: gives logits that are no numbers")
    state(Path(request.file), _stated(data, validation, held).header())
    return messages.AccuracyReply(_named(validation), None if held is None else _named(held))


def _stated(data: Data, validation: Evaluation, held: Evaluation | None) -> ModelFacts:
    """The accuracy as a file says it of itself."""
    from archdsl.training.saving import measured
    from archdsl.weights.facts import Accuracy, DataFacts, ModelFacts

    accuracy = Accuracy(
        validation=measured(validation),
        held_out=None if held is None else measured(held),
        data=DataFacts(name=data.name, fingerprint=data.fingerprint()),
    )
    return ModelFacts(accuracy=accuracy)


def _named(evaluation: Evaluation) -> messages.NamedImages:
    return messages.NamedImages(evaluation.answers, evaluation.images, evaluation.right, evaluation.per_class)
