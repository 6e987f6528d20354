"""int8 in an ONNX file: weights of matrices are stored as integers, and products of matrices are computed with them."""

from __future__ import annotations

import logging
from pathlib import Path

from archdsl.errors import ExportError

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
