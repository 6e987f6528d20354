"""pt2 files: torch's graph of a network with its weights, which `torch.export.load` reads without archdsl."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from archdsl.errors import ExportError, one_line
from archdsl.exporting.tracing import traced


def write_pt2(
    net: nn.Module,
    images: Tensor,
    file: Path,
    *,
    dynamic_batch: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> int:
    """Write a network's graph, and give the number of its operators; the arguments are those of `write_onnx`.

    `metadata` are the archive's extra files: `torch.export.load(file, extra_files={"spec": ""})` reads one.

    Raises:
        ExportError: torch cannot trace the network.
    """
    try:
        graph = traced(net, images, dynamic_batch)
    except Exception as error:  # torch raises errors of many kinds
        raise ExportError(f"torch cannot trace the network: {one_line(error)}") from error
    written = io.BytesIO()  # torch's own writer ends the process where the disc is full
    torch.export.save(graph, written, extra_files=dict(metadata or {}))
    file.write_bytes(written.getbuffer())
    return sum(node.op == "call_function" for node in graph.graph.nodes)
