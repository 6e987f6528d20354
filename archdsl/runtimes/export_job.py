"""What an export is asked for, checked, and what comes of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import torch

from archdsl.errors import WrongUse, nearest, one_of, short
from archdsl.exporting.metadata import metadata, output_names, sized, stated_facts
from archdsl.exporting.onnx_file import LEAST_OPSET
from archdsl.files import why_unwritable
from archdsl.json_types import JsonObject
from archdsl.language.arguments import wrong_file, wrong_model
from archdsl.weights.facts import ModelFacts

if TYPE_CHECKING:
    from torch import Tensor

    from archdsl.compile import Backbone
    from archdsl.language.document import Spec

Format = Literal["onnx", "pt2", "python", "safetensors"]
ENDINGS: Mapping[Format, str] = {"onnx": ".onnx", "pt2": ".pt2", "python": ".py", "safetensors": ".safetensors"}
Dtype = Literal["float32", "float16", "int8"]
TORCH_DTYPES = {"float32": torch.float32, "float16": torch.float16, "int8": torch.float32}
_FREE_BATCH = {"python", "safetensors"}
"""Formats whose files take any batch and any image size, since they are run by torch."""


@dataclass(frozen=True)
class Exported:
    """A file that was written and checked.

    image: (C, H, W) that it is for. batch: of a static file; None where it may change. largest_error: the largest
    difference from the network in the checks, as a share of the largest value of that output; `perturbed_error` is that
    of a second file, written from the same network with noise in the place of `zero_parameters`, and None where there
    are none. opset and operators: of ONNX; operators of pt2 too. files: all that was written.
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
class ExportJob:
    """What to write: the network and all that was asked for, checked."""

    model: Backbone
    spec: Spec
    """That of the model, for the size of the images."""
    format: Format
    dtype: Dtype
    image: tuple[int, int, int]
    batch: int | None
    opset: int
    facts: ModelFacts | None
    outputs: tuple[str, ...]
    calibration: tuple[Tensor, ...] | None = None
    """Batches of images by which an int8 file's activations are scaled."""
    optimize: bool = False
    """Whether the inference form is written."""

    @property
    def stated(self) -> ModelFacts:
        """What is known of the network and holds for the file."""
        return stated_facts(self.model, self.spec, self.dtype, self.facts)

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the file says of itself."""
        return metadata(self.model, self.spec, self.dtype, self.facts)

    @property
    def checked_batches(self) -> tuple[int, ...]:
        """The file's own batch; where it may change, one image and three."""
        return (1, 3) if self.batch is None else (self.batch,)


def checked_job(
    model: Backbone,
    file: str | os.PathLike[str],
    format: Format | None,  # noqa: A002
    image: int | tuple[int, int] | None,
    batch: int,
    dynamic_batch: bool,
    dtype: Dtype,
    opset: int,
    facts: ModelFacts | None,
    calibration: Sequence[Tensor] | None = None,
    optimize: bool = False,
) -> tuple[ExportJob, Path]:
    """The arguments of `export`, held to their ranges and to each other."""
    from archdsl.compile import Backbone, declared

    if not isinstance(model, Backbone):
        raise wrong_model("export", model)
    if not isinstance(file, str | os.PathLike):
        raise wrong_file("export", file)
    path = Path(file)
    wanted = format_of(path, format)
    check_dtype(wanted, dtype)
    check_target(path, wanted)
    check_optimize(wanted, optimize)
    model = declared(model) if wanted in ("python", "safetensors") else model
    if type(batch) is not int or batch < 1:
        raise WrongUse(f"batch must be a whole number, at least 1; got {short(batch)}")
    if type(dynamic_batch) is not bool:
        raise WrongUse(f"dynamic_batch must be True or False; got {short(dynamic_batch)}")
    check_opset(opset)
    _check_facts(model, facts)
    size = _size(model.spec.image_size if image is None else image)
    job = ExportJob(
        model,
        sized(model.spec, size),
        wanted,
        dtype,
        (model.spec.channels, size[0], size[1]),
        None if dynamic_batch or wanted in _FREE_BATCH else batch,
        opset,
        facts,
        tuple(output_names(model)),
        _calibration(calibration, dtype, model.spec.channels, size, batch),
        optimize,
    )
    return job, path


def _calibration(
    batches: Sequence[Tensor] | None, dtype: str, channels: int, size: tuple[int, int], batch: int
) -> tuple[Tensor, ...] | None:
    """Batches of images that the file can read."""
    if batches is None:
        return None
    if dtype != "int8":
        raise WrongUse(f"calibration is for dtype int8; got dtype {dtype}")
    wanted = (batch, channels, *size)
    listed = list(batches) if isinstance(batches, Iterable) else [batches]
    shapes = [tuple(each.shape) if isinstance(each, torch.Tensor) else type(each).__name__ for each in listed]
    wrong = [shape for shape in shapes if shape != wanted]
    if wrong or not shapes:
        raise WrongUse(f"calibration must be tensors of images {wanted}; got {short(wrong[0]) if wrong else 'none'}")
    if not all(bool(each.isfinite().all()) for each in listed):
        raise WrongUse("calibration must be images of finite numbers; it has NaN or infinities")
    return tuple(listed)


def _size(image: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width) of images; one side is that of a square."""
    sides = (image, image) if type(image) is int else image
    if isinstance(sides, tuple | list) and len(sides) == 2 and all(type(side) is int and side > 0 for side in sides):
        return sides[0], sides[1]
    raise WrongUse(f"image must be (height, width) in pixels, or one side; got {short(image)}")


def _check_facts(model: Backbone, facts: ModelFacts | None) -> None:
    if facts is not None and not isinstance(facts, ModelFacts):
        raise TypeError(f"export takes facts as archdsl.weights.read_facts gives them; got a {type(facts).__name__}")
    named = None if facts is None else facts.classes
    if named is not None and model.num_classes > 0 and len(named) != model.num_classes:
        raise WrongUse(f"facts name {len(named)} classes, and the network has {model.num_classes}")


def check_target(file: Path, format: Format) -> None:  # noqa: A002
    """Raises `WrongUse` for what cannot be written, or source whose name hides a module that it imports."""
    for path in files_of(format, file):
        if (reason := why_unwritable(path)) is not None:
            raise WrongUse(f"{path} cannot be written: {reason}")
    if format == "python" and (file.stem == "torch" or file.stem in sys.stdlib_module_names):
        raise WrongUse(f"{file.name} would hide the module '{file.stem}' from what it imports; use another name")


def files_of(format: Format, file: Path) -> tuple[Path, ...]:  # noqa: A002
    """All that is written: source has its weights beside it."""
    return (file, file.with_suffix(".pt")) if format == "python" else (file,)


def check_dtype(format: Format, dtype: str) -> None:  # noqa: A002
    """Raises `WrongUse` for an unknown dtype, or one that a format does not hold."""
    if dtype not in get_args(Dtype):
        raise WrongUse(f"dtype must be {one_of(get_args(Dtype))}; got '{dtype}'")
    if dtype == "int8" and format != "onnx":
        raise WrongUse(f"dtype int8 needs a file that ends in .onnx; got format '{format}'")


def check_opset(opset: object) -> None:
    """Raises `WrongUse` where no ONNX file can have this operator set."""
    if type(opset) is not int or opset < LEAST_OPSET:
        raise WrongUse(f"opset must be a whole number, at least {LEAST_OPSET}; got {short(opset)}")
    with suppress(ImportError):
        import onnx

        if opset > (most := onnx.defs.onnx_opset_version()):
            raise WrongUse(f"opset must be at most {most}, the latest of onnx {onnx.__version__}; got {opset}")


def check_optimize(format: Format, optimize: bool) -> None:  # noqa: A002
    """Raises `WrongUse` for a format that holds the network as it is declared."""
    if type(optimize) is not bool:
        raise WrongUse(f"optimize must be True or False; got {short(optimize)}")
    if optimize and format not in ("onnx", "pt2"):
        why = {"python": "the source of the network's own classes", "safetensors": "the weights of the spec"}[format]
        raise WrongUse(f"format {format} is {why}, and has no inference form; leave out --optimize, or use onnx or pt2")


def format_of(file: Path, format: str | None = None) -> Format:  # noqa: A002
    """The format that is named, else the one that a file's ending says.

    Raises:
        WrongUse: there is no such format, or the file's ending is that of another one or of none.
    """
    if format is not None and format not in ENDINGS:
        raise WrongUse(f"unknown format '{format}'; {nearest(str(format), ENDINGS)}")
    by_ending = {ending: name for name, ending in ENDINGS.items()}
    if format is None:
        if file.suffix not in by_ending:
            rule = f"the format of {file} is not known: end its name in {one_of(list(by_ending))}, or give"
            raise WrongUse(f"{rule} format", command_text=f"{rule} --format")
        return by_ending[file.suffix]
    wanted: Format = format  # type: ignore[assignment]  # it is one of the keys
    if file.suffix != ENDINGS[wanted]:
        raise WrongUse(f"the name of a file of format {wanted} must end in {ENDINGS[wanted]}; got {file}")
    return wanted
