"""A network written to a file for another tool, and held against the network before the file gets its name."""

from __future__ import annotations

import os
import runpy
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal, get_args

import torch

from archdsl.errors import WrongUse, nearest, one_of, short
from archdsl.exporting.frozen import Float32Interface, frozen, perturbed, zero_parameters
from archdsl.exporting.int8 import quantize
from archdsl.exporting.metadata import metadata, output_names
from archdsl.exporting.onnx_file import DEFAULT_OPSET as DEFAULT_OPSET
from archdsl.exporting.onnx_file import write_onnx
from archdsl.exporting.pt2_file import write_pt2
from archdsl.exporting.python_source import write_python
from archdsl.files import replacing, sha256_of
from archdsl.json_types import JsonObject
from archdsl.language.arguments import wrong_file, wrong_model
from archdsl.runtimes.onnx_session import open_session, outputs_of
from archdsl.runtimes.verify import Difference, Reader, difference, refuse
from archdsl.weights.facts import ModelFacts
from archdsl.weights.model_file import load_model, save_model

if TYPE_CHECKING:
    from torch import Tensor, nn

    from archdsl.compile import Backbone

Format = Literal["onnx", "pt2", "python", "safetensors"]
ENDINGS: Mapping[Format, str] = {"onnx": ".onnx", "pt2": ".pt2", "python": ".py", "safetensors": ".safetensors"}
Dtype = Literal["float32", "float16", "int8"]
_TORCH = {"float32": torch.float32, "float16": torch.float16, "int8": torch.float32}
_FREE_BATCH = {"python", "safetensors"}
"""Formats whose files take any batch and any image size, since they are run by torch."""


@dataclass(frozen=True)
class Exported:
    """A file that was written and checked.

    image: (C, H, W) that it is for. batch: of a static file; None where it may change. largest_error: the largest
    difference from the network in the checks, as a share of the largest value of that output; `perturbed_error` is that
    of a second file, written from the same network with noise in the place of all-zero parameters, and None where there
    are none. opset and operators: of ONNX; operators of pt2 too. files: all that was written, of so many `bytes`.
    """

    file: Path
    format: Format
    dtype: Dtype
    image: tuple[int, int, int]
    batch: int | None
    outputs: tuple[str, ...]
    largest_error: float
    perturbed_error: float | None
    checked_batches: tuple[int, ...]
    opset: int | None
    operators: int | None
    bytes: int
    sha256: str
    files: tuple[Path, ...]

    def as_json(self) -> JsonObject:
        """The same facts for programs."""
        facts: JsonObject = asdict(self)
        return facts | {"file": str(self.file), "files": [str(each) for each in self.files]}


@dataclass(frozen=True)
class _Job:
    """What to write: the network and all that was asked for, checked."""

    model: Backbone
    format: Format
    dtype: Dtype
    image: tuple[int, int, int]
    batch: int | None
    opset: int
    facts: ModelFacts | None
    outputs: tuple[str, ...]

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the file says of itself."""
        return metadata(self.model, self.image[1:], self.facts)

    @property
    def checked_batches(self) -> tuple[int, ...]:
        """The file's own batch; where it may change, one image and three."""
        return (1, 3) if self.batch is None else (self.batch,)


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
    image: tuple[int, int] | None = None,
    batch: int = 1,
    dynamic_batch: bool = False,
    dtype: Dtype = "float32",
    opset: int = DEFAULT_OPSET,
    facts: ModelFacts | None = None,
) -> Exported:
    """Write a network to a file for another tool, and check the very file against the network.

    The file is for one image size, and for one batch unless `dynamic_batch` is set; images go in and outputs come out
    as float32. The outputs are the logits (B, classes), or with `features_only` the maps (B, C, H, W). The model is
    left as it is. Where parameters are all zero, as offsets are before training, a second file with noise in their
    place is written and checked too, and removed.

    Args:
        model: what `build` or `load_model` gives.
        file: replaced in one step, after the check; nothing is left under this name by an export that fails.
        format: `onnx`, `pt2` (torch.export), `python` (source that needs torch alone, with its weights beside it) or
            `safetensors` (our own); by default what the file's ending says.
        image: height and width; by default the spec's.
        batch: images per batch of a static file.
        dynamic_batch: whether the batch may change.
        dtype: what the network computes in: float32, float16, or int8 for ONNX (weights and products of matrices).
        opset: the version of ONNX's operators.
        facts: classes, preprocessing, accuracy and provenance, as `archdsl.weights.read_facts` gives them.

    Raises:
        WrongUse: an argument is out of its range, or does not go with the format.
        ExportError: a package is missing, the network cannot be converted, or the file differs from the network: by
            more than 1e-4 of the largest output in float32, or 1e-2 in float16.
        OSError: the file cannot be written.
    """
    job, path = _checked(model, file, format, image, batch, dynamic_batch, dtype, opset, facts)
    if job.format == "python":
        return _export_python(job, path)
    perturbed_error = None
    with replacing(path) as partial:
        if zero_parameters(job.model) and job.format in ("onnx", "pt2"):
            other = perturbed(job.model)
            _write(job, other, partial)
            perturbed_error = _held_against(job, other, partial).largest
        written = _write(job, job.model, partial)
        worst = _held_against(job, job.model, partial)
    return _exported(job, written, worst.largest, perturbed_error, (path,))


def _export_python(job: _Job, path: Path) -> Exported:
    """Source and weights, written to a folder beside `path` and moved from there once they are checked."""
    with TemporaryDirectory(prefix=f".{path.name}.", suffix=".partial", dir=path.parent) as folder:
        network = frozen(job.model, _TORCH[job.dtype])
        source, *others = write_python(network, Path(folder) / path.name, job.metadata)
        worst = _held_against(job, job.model, source)
        files = [file.replace(path.with_name(file.name)) for file in (*others, source)]
    return _exported(job, _Written(), worst.largest, None, tuple(reversed(files)))


def _exported(
    job: _Job, written: _Written, error: float, perturbed_error: float | None, files: tuple[Path, ...]
) -> Exported:
    """What is told of files that have their names."""
    path = files[0]
    return Exported(
        path,
        job.format,
        job.dtype,
        job.image,
        job.batch,
        job.outputs,
        error,
        perturbed_error,
        job.checked_batches,
        written.opset,
        written.operators,
        sum(file.stat().st_size for file in files),
        sha256_of(path),
        files,
    )


def _write(job: _Job, model: Backbone, file: Path) -> _Written:
    """Write a network in the job's format; in place."""
    network = frozen(model, _TORCH[job.dtype])
    if job.format == "safetensors":
        save_model(network, file, facts=job.facts)
        return _Written()
    net = Float32Interface(network, _TORCH[job.dtype]).eval()
    images = torch.zeros(job.batch or 1, *job.image)
    if job.format == "onnx":
        return _write_onnx(job, net, images, file)
    operators = write_pt2(net, images, file, dynamic_batch=job.batch is None, metadata=job.metadata)
    return _Written(operators=operators)


def _write_onnx(job: _Job, net: nn.Module, images: Tensor, file: Path) -> _Written:
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
            quantize(whole, file)
    finally:
        if is_int8:
            whole.unlink(missing_ok=True)
    return _Written(facts.opset, facts.operators)


def _held_against(job: _Job, model: Backbone, file: Path) -> Difference:
    """How far a file differs from a network, on the CPU in float32; refused where it is wrong."""
    worst = difference(_reader(job.format, file), frozen(model), job.image, job.checked_batches, job.outputs)
    refuse(worst, job.dtype)
    return worst


def _reader(format: Format, file: Path) -> Reader:  # noqa: A002
    """An opened file."""
    if format == "onnx":
        session = open_session(file)
        return lambda images: outputs_of(session, images)
    if format == "pt2":
        with file.open("rb") as opened:
            program = torch.export.load(opened).module()
        return lambda images: tuple(program(images))
    model = _built_by_source(file) if format == "python" else load_model(file)
    net = Float32Interface(frozen(model), torch.float32).eval()
    return lambda images: tuple(net(images))


def _built_by_source(file: Path) -> nn.Module:
    """The network that a file of source builds with the weights beside it."""
    names = runpy.run_path(str(file))
    model: nn.Module = names["build"](file.with_suffix(".pt"))
    return model


def _checked(
    model: Backbone,
    file: str | os.PathLike[str],
    format: Format | None,  # noqa: A002
    image: tuple[int, int] | None,
    batch: int,
    dynamic_batch: bool,
    dtype: Dtype,
    opset: int,
    facts: ModelFacts | None,
) -> tuple[_Job, Path]:
    """The arguments of `export`, held to their ranges and to each other."""
    from archdsl.compile import Backbone

    if not isinstance(model, Backbone):
        raise wrong_model("export", model)
    if not isinstance(file, str | os.PathLike):
        raise wrong_file("export", file)
    path = Path(file)
    wanted = format_of(path, format)
    if type(batch) is not int or batch < 1:
        raise WrongUse(f"batch must be at least 1; got {batch}")
    if dtype not in get_args(Dtype):
        raise WrongUse(f"dtype must be {one_of(get_args(Dtype))}; got '{dtype}'")
    if dtype == "int8" and wanted != "onnx":
        raise WrongUse(f"int8 is written to ONNX files alone; got format '{wanted}'")
    size = model.spec.image_size if image is None else tuple(image)
    if len(size) != 2 or not all(type(side) is int and side > 0 for side in size):
        raise WrongUse(f"image must be (height, width) in pixels; got {short(size)}")
    job = _Job(
        model,
        wanted,
        dtype,
        (model.spec.channels, size[0], size[1]),
        None if dynamic_batch or wanted in _FREE_BATCH else batch,
        opset,
        facts,
        tuple(output_names(model)),
    )
    return job, path


def format_of(file: Path, format: str | None = None) -> Format:  # noqa: A002
    """The format that is named, else the one that a file's ending says.

    Raises:
        WrongUse: there is no such format, or the file's ending is that of another one or of none.
    """
    if format is not None and format not in ENDINGS:
        raise WrongUse(f"unknown format '{format}'; {nearest(format, ENDINGS)}")
    by_ending = {ending: name for name, ending in ENDINGS.items()}
    if format is None:
        if file.suffix not in by_ending:
            raise WrongUse(f"{file} must end in {one_of(list(by_ending))}, or name a format")
        return by_ending[file.suffix]
    wanted: Format = format  # type: ignore[assignment]  # it is one of the keys
    if file.suffix != ENDINGS[wanted]:
        raise WrongUse(f"{file} must end in {ENDINGS[wanted]}: format {wanted}")
    return wanted
