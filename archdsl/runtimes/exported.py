"""A network written to a file for another tool, and held against the network before the file gets its name."""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from archdsl.exporting.frozen import Float32Interface, frozen, perturbed, zero_parameters
from archdsl.exporting.int8 import quantize, quantize_calibrated
from archdsl.exporting.onnx_file import DEFAULT_OPSET as DEFAULT_OPSET
from archdsl.exporting.onnx_file import write_onnx
from archdsl.exporting.pt2_file import write_pt2
from archdsl.exporting.python_source import write_python
from archdsl.files import replace_together, replacing, sha256_of
from archdsl.runtimes.export_job import TORCH_DTYPES, Dtype, ExportJob, Format, checked_job, files_of
from archdsl.runtimes.export_job import Exported as Exported
from archdsl.runtimes.export_job import check_dtype as check_dtype
from archdsl.runtimes.export_job import check_target as check_target
from archdsl.runtimes.export_job import format_of as format_of
from archdsl.runtimes.inference_form import inference_form
from archdsl.runtimes.readers import READERS
from archdsl.runtimes.verify import Difference, difference, refuse
from archdsl.weights.facts import ModelFacts
from archdsl.weights.model_file import save_model

if TYPE_CHECKING:
    from torch import Tensor, nn

    from archdsl.compile import Backbone


@dataclass(frozen=True)
class _Written:
    """What a writer tells of its file."""

    opset: int | None = None
    operators: int | None = None


def export(
    model: Backbone,
    file: str | os.PathLike[str],
    format: Format | None = None,  # noqa: A002  # the flag's name
    *,
    image: int | tuple[int, int] | None = None,
    batch: int = 1,
    dynamic_batch: bool = False,
    dtype: Dtype = "float32",
    opset: int = DEFAULT_OPSET,
    facts: ModelFacts | None = None,
    calibration: Sequence[Tensor] | None = None,
    optimize: bool = False,
) -> Exported:
    """Write a network to a file for another tool, and check the very file against the network.

    The file is for one image size, and for one batch unless `dynamic_batch` is set; images go in and outputs come out
    as float32. The outputs are the logits (B, classes), or with `features_only` the maps (B, C, H, W). The model is
    left as it is. Where all of a parameter is zero or nearly, as offsets are before training, a second file with noise
    in its place is written and checked too, and removed.

    Args:
        model: what `build` or `load_model` gives.
        file: replaced in one step, after the check; nothing is left under this name by an export that fails.
        format: `onnx`, `pt2` (torch.export), `python` (source that needs torch alone, with its weights beside it) or
            `safetensors` (our own); by default what the file's ending says.
        image: height and width, or the side of a square; by default the spec's.
        batch: images per batch of a static file.
        dynamic_batch: whether the batch may change.
        dtype: what the network computes in: float32, float16, or int8 for ONNX (weights and products of matrices).
        opset: the version of ONNX's operators.
        calibration: batches of images as the network reads them, each (batch, C, H, W), for int8: activations are
            scaled by them once, as OpenVINO runs it fast (NNCF, the extra `int8`), instead of in every run.
        optimize: write the inference form (`archdsl.optimize`), for ONNX and pt2; it is checked against the network
            itself.
        facts: classes, preprocessing, accuracy and provenance, as `archdsl.weights.read_facts` gives them.

    Raises:
        WrongUse: an argument is out of its range, or does not go with the format.
        ExportError: a package is missing, the network cannot be converted, or the file differs from the network: by
            more than 1e-4 of the largest output in float32, or 1e-2 in float16.
        OSError: the file cannot be written.
    """
    job, path = checked_job(
        model, file, format, image, batch, dynamic_batch, dtype, opset, facts, calibration, optimize
    )
    if job.format == "safetensors" and job.model.spec != job.spec:  # the file is a network for its spec's size
        job = replace(job, model=_of_size(job.model, job.image[1:]), facts=job.stated)
    perturbed_error = None
    with _unnamed(job, path) as partial:
        if zero_parameters(job.model):
            other = perturbed(job.model)
            _write(job, other, partial)
            perturbed_error = _held_against(job, other, partial).largest
        written = _write(job, job.model, partial)
        worst = _held_against(job, job.model, partial)
        size = sum(each.stat().st_size for each in files_of(job.format, partial))
        digest = sha256_of(partial)
    return Exported(
        path,
        job.format,
        job.dtype,
        job.image,
        job.batch,
        job.outputs,
        worst.largest,
        perturbed_error,
        job.checked_batches,
        written.opset,
        written.operators,
        size,
        digest,
        files_of(job.format, path),
    )


def _of_size(model: Backbone, size: tuple[int, int]) -> Backbone:
    """A copy for images of another height and width, its tables resized."""
    other = copy.deepcopy(model)
    other.set_input_size(size)
    return other


@contextmanager
def _unnamed(job: ExportJob, file: Path) -> Iterator[Path]:
    """A path to write to; what stands there replaces `file` at the end, and is removed after an error.

    Source names itself and its weights, so it is written under its name in a folder of its own. Both get their names
    together: two exports to one name leave the files of one of them.
    """
    if job.format != "python":
        with replacing(file) as partial:
            yield partial
        return
    with tempfile.TemporaryDirectory(prefix=".archdsl-", dir=file.parent) as folder:
        yield Path(folder) / file.name
        replace_together((Path(folder) / path.name, path) for path in reversed(files_of(job.format, file)))


def _write(job: ExportJob, model: Backbone, file: Path) -> _Written:
    """Write a network in the job's format; in place."""
    network = frozen(model, TORCH_DTYPES[job.dtype])
    if job.optimize:
        network = inference_form(network)
        for parameter in network.parameters():
            parameter.data = parameter.contiguous()  # in which order they lie is the other tool's affair
    if job.format == "safetensors":
        save_model(network, file, facts=job.stated)
        return _Written()
    if job.format == "python":
        write_python(network, file, job.metadata, job.image[1:])
        return _Written()
    net = Float32Interface(network, TORCH_DTYPES[job.dtype]).eval()
    images = torch.zeros(job.batch or 1, *job.image)
    if job.format == "onnx":
        return _write_onnx(job, net, images, file)
    operators = write_pt2(net, images, file, dynamic_batch=job.batch is None, metadata=job.metadata)
    return _Written(operators=operators)


def _write_onnx(job: ExportJob, net: nn.Module, images: Tensor, file: Path) -> _Written:
    is_int8 = job.dtype == "int8"
    whole = file.with_name(f"{file.name}.float32.partial") if is_int8 else file
    try:
        facts = write_onnx(
            net,
            images,
            whole,
            job.outputs,
            dynamic_batch=job.batch is None,
            opset=job.opset,
            metadata=job.metadata,
        )
        if is_int8:
            _compare(job, net, whole, "float32")
            _quantize(job, whole, file)
    finally:
        if is_int8:
            whole.unlink(missing_ok=True)
    return _Written(facts.opset, facts.operators)


def _quantize(job: ExportJob, whole: Path, file: Path) -> None:
    if job.calibration is None:
        quantize(whole, file)
    else:
        quantize_calibrated(whole, file, [images.detach().float().cpu().numpy() for images in job.calibration])


def _held_against(job: ExportJob, model: Backbone, file: Path) -> Difference:
    """How far a file differs from a network, on the CPU in float32; refused where it is wrong."""
    return _compare(job, frozen(model), file, job.dtype)


def _compare(job: ExportJob, net: nn.Module, file: Path, dtype: Dtype) -> Difference:
    """As `_held_against`, of a frozen network and a file that computes in `dtype`."""
    with READERS[job.format](file) as reader:
        worst = difference(reader, net, job.image, job.checked_batches, job.outputs)
    refuse(worst, dtype)
    return worst
