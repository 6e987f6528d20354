"""int8 in an ONNX file: weights of matrices are stored as integers, and products of matrices are computed with them."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.errors import ExportError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_OPERATORS = ["MatMul", "Gemm"]
"""Convolutions stay float32: ONNX Runtime has no fast integer form of them that needs no calibration."""


def quantize(file: Path, quantized: Path) -> None:
    """Write a float32 ONNX file again with int8 weights, one scale per output channel.

    Activations are scaled by their own range in every run, so no image is needed here. Outputs differ by percents of
    the largest one: measure the accuracy of the file.

    Raises:
        ExportError: onnxruntime is not installed.
    """
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError:
        raise ExportError("int8 needs onnxruntime; pip install 'archdsl[onnx]'") from None
    import onnx

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # its advice to run a pass first is for models whose shapes are not known
    try:
        quantize_dynamic(
            file, quantized, op_types_to_quantize=_OPERATORS, per_channel=True, weight_type=QuantType.QInt8
        )
    finally:
        root.setLevel(level)
    kept = {each.key: each.value for each in onnx.load_model(file, load_external_data=False).metadata_props}
    model = onnx.load_model(quantized)
    onnx.helper.set_model_props(model, kept)
    onnx.save_model(model, quantized)


NNCF_REMEDY = "pip install 'archdsl[int8]'"
_NO_TELEMETRY = "NNCF_CI"
"""A variable in whose presence NNCF reports no use of it to its makers."""


def is_calibration_possible() -> bool:
    """Whether NNCF is installed, which `quantize_calibrated` needs; it is not imported, which takes seconds."""
    return importlib.util.find_spec("nncf") is not None


def quantize_calibrated(file: Path, quantized: Path, batches: Sequence[NDArray[np.float32]]) -> None:
    """Write a float32 ONNX file again with int8 weights and activations, by NNCF's post-training quantisation.

    Activations are scaled by their range over `batches` of images, each (B, C, H, W) as the file reads them; products
    of matrices and convolutions are computed in int8. Outputs differ by percents of the largest one: measure the
    accuracy of the file.

    Raises:
        ExportError: nncf is not installed, or cannot quantise the file.
    """
    import onnx

    model = onnx.load_model(file)
    kept, name = {each.key: each.value for each in model.metadata_props}, model.graph.input[0].name
    with _silent():
        nncf = _nncf()
        try:
            data = nncf.Dataset(list(batches), lambda images: {name: images})
            model = nncf.quantize(model, data, subset_size=len(batches), model_type=nncf.ModelType.TRANSFORMER)
        except Exception as error:  # it raises errors of many kinds for operators that it does not know
            raise ExportError(f"NNCF cannot quantise the file: {' '.join(str(error).split())[:300]}") from error
    onnx.helper.set_model_props(model, kept)
    onnx.save_model(model, quantized)


def _nncf() -> Any:
    before = os.environ.get(_NO_TELEMETRY)
    os.environ[_NO_TELEMETRY] = "1"
    try:
        import nncf
    except ImportError:
        raise ExportError(f"int8 with calibration needs the package nncf; {NNCF_REMEDY}") from None
    finally:
        if before is None:
            del os.environ[_NO_TELEMETRY]
        else:
            os.environ[_NO_TELEMETRY] = before
    nncf.set_log_level(logging.ERROR)
    return nncf


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Without NNCF's progress bars and its remarks on the versions of others."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
