"""ONNX files: one file with its weights, a static or a dynamic batch, and what it says of itself."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from archdsl.errors import ExportError, one_line
from archdsl.exporting.metadata import INPUT
from archdsl.exporting.simplify import simplify
from archdsl.exporting.tracing import traced
from archdsl.files import replacing

if TYPE_CHECKING:
    import onnx

DEFAULT_OPSET = 20
"""The first with GELU and with sampling of more than two dimensions as operators of their own."""
LEAST_OPSET = 18
"""The lowest that torch's exporter writes."""
_LARGEST = 2 * 1024**3
"""Bytes of one file in protobuf, the format of ONNX."""


class OnnxFacts(NamedTuple):
    """What was written: the operator set, the number of operators, and the versions that wrote it."""

    opset: int
    operators: int
    versions: dict[str, str]


def write_onnx(
    net: nn.Module,
    images: Tensor,
    file: Path,
    outputs: Sequence[str],
    *,
    dynamic_batch: bool = False,
    opset: int = DEFAULT_OPSET,
    metadata: Mapping[str, str] | None = None,
) -> OnnxFacts:
    """Write a network as one ONNX file; it is not run here.

    Args:
        net: in eval mode and without gradients, see `frozen`.
        images: (B, C, H, W) of the size that the file is for, and of its batch where that is static.
        file: written in place, not in one step.
        outputs: names of the network's outputs.
        dynamic_batch: whether the batch may change.
        opset: the version of ONNX's operators.
        metadata: the file's `metadata_props`.

    Raises:
        ExportError: a package is missing, the network cannot be converted, needs more than 2 GB, or comes out with
            another opset or batch than asked for.
    """
    check_packages()
    size = sum(values.numel() * values.element_size() for values in net.state_dict().values())
    if size >= _LARGEST:
        raise ExportError(f"the weights need {size / 1024**3:.1f} GB, and one ONNX file holds 2; use --format pt2")
    model = converted(net, images, outputs, dynamic_batch, opset)
    written = _opset(model)
    if written != opset:
        raise ExportError(f"torch wrote opset {written} where {opset} was asked for; use {DEFAULT_OPSET}")
    _check_batch(model, len(images), dynamic_batch)
    import onnx

    onnx.helper.set_model_props(model, dict(metadata or {}))
    try:
        onnx.checker.check_model(model)
        onnx.save_model(model, file)
    except OSError:
        raise
    except Exception as error:  # of the checker, or of protobuf where graph and weights together are too large
        raise ExportError(f"the network as torch converts it is no valid ONNX file: {one_line(error)}") from error
    return OnnxFacts(written, len(model.graph.node), versions())


def state(file: Path, facts: Mapping[str, str]) -> None:
    """Let a file say more of itself in its `metadata_props`, in one step; what it computes stays.

    A file that says the same already is left as it is.

    Raises:
        ExportError: onnx is not installed.
        OSError: the file cannot be read or written.
    """
    check_packages()
    import onnx

    model = onnx.load_model(file)
    stated = {each.key: each.value for each in model.metadata_props}
    if stated.items() >= facts.items():
        return
    onnx.helper.set_model_props(model, {**stated, **facts})
    with replacing(file) as partial:
        onnx.save_model(model, partial)


def input_shape(file: Path) -> tuple[int | None, int, int, int]:
    """(B, C, H, W) of a file's input; B is None where the batch may change.

    Raises:
        ExportError: there is no such file, it is no ONNX file of one tensor of images in float32, or their size is not
            fixed.
    """
    check_packages()
    import onnx

    try:
        graph = onnx.load_model(file, load_external_data=False).graph
        (value,) = [each for each in graph.input if each.name not in {weights.name for weights in graph.initializer}]
        batch, *image = [each.dim_value for each in value.type.tensor_type.shape.dim]
        channels, height, width = image
    except OSError as error:
        raise ExportError(f"{file}: cannot be read: {error.strerror}") from None
    except Exception as error:  # protobuf's errors, and what is no network of images
        raise ExportError(f"{file}: is no ONNX file of one tensor of images (B, C, H, W)") from error
    kind = value.type.tensor_type.elem_type
    if kind != onnx.TensorProto.FLOAT:
        rule = f"{file}: reads images of {onnx.TensorProto.DataType.Name(kind).lower()}"
        raise ExportError(f"{rule}; give a file that reads float, as archdsl export writes for every dtype")
    if min(image) < 1:
        sides = ", ".join(str(side) if side > 0 else "any" for side in image)
        rule = f"{file}: reads images of no fixed size, (C, H, W) of ({sides})"
        raise ExportError(f"{rule}; export it for one size")
    return (batch if batch > 0 else None), channels, height, width


def check_packages() -> None:
    """Raises `ExportError` where the packages that ONNX files need are absent."""
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401  # torch's converter is built on it
    except ImportError as error:
        raise ExportError(f"ONNX files need the package {error.name}; pip install 'archdsl[onnx]'") from None


def versions() -> dict[str, str]:
    """Of the packages that write an ONNX file."""
    import onnx
    import onnxscript

    return {"torch": str(torch.__version__), "onnx": onnx.__version__, "onnxscript": onnxscript.__version__}


def converted(
    net: nn.Module, images: Tensor, outputs: Sequence[str], dynamic_batch: bool, opset: int
) -> onnx.ModelProto:
    """The model as torch converts it, not checked yet; the arguments are those of `write_onnx`.

    Raises:
        ExportError: the network cannot be converted.
    """
    with _silent():
        try:
            graph = traced(net, images, dynamic_batch, for_onnx=True)
            program = torch.onnx.export(
                graph,
                (),
                input_names=[INPUT],
                output_names=list(outputs),
                opset_version=opset,
                dynamo=True,
                external_data=False,
                verbose=False,
                optimize=False,
            )
            assert program is not None  # torch gives a program unless it writes a file itself
            simplify(program.model)
        except Exception as error:  # torch's exporter raises errors of many kinds; a user's network is none of its bugs
            raise ExportError(f"torch cannot convert the network to ONNX: {_innermost(error)}") from error
    model: onnx.ModelProto = program.model_proto
    return model


def _innermost(error: BaseException) -> str:
    """The innermost cause, on one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return one_line(error)


@contextmanager
def _silent() -> Iterator[None]:
    """Without the exporter's remarks on its own progress; what it refuses is raised."""
    loggers = [logging.getLogger(name) for name in ("onnxscript", "torch.onnx")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _opset(model: onnx.ModelProto) -> int:
    return max(int(each.version) for each in model.opset_import if each.domain in ("", "ai.onnx"))


def _check_batch(model: onnx.ModelProto, batch: int, dynamic_batch: bool) -> None:
    """Raises `ExportError` where an input or output has another batch than asked for."""
    for value in [*model.graph.input, *model.graph.output]:
        first = value.type.tensor_type.shape.dim[0]
        is_dynamic = first.HasField("dim_param")
        if is_dynamic != dynamic_batch or (not is_dynamic and first.dim_value != batch):
            written = f"'{first.dim_param}'" if is_dynamic else str(first.dim_value)
            asked = "a dynamic batch" if dynamic_batch else f"a batch of {batch}"
            raise ExportError(f"{asked} was asked for, but that of '{value.name}' came out as {written}")
