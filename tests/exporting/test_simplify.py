"""A converted network keeps what it computes, and no more operators than torch's own, slower way leaves."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from archdsl.compile import build
from archdsl.load.specs import load_spec
from tests.support.commands import TINY

onnx = pytest.importorskip("onnx", reason="the extra archdsl[onnx] is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra archdsl[onnx] is not installed")
pytest.importorskip("onnxscript", reason="the extra archdsl[onnx] is not installed")

from archdsl.exporting.simplify import simplify  # noqa: E402
from archdsl.exporting.tracing import traced  # noqa: E402


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dynamic_batch", [False, True])
def test_it_leaves_what_torch_leaves_and_the_same_numbers(dynamic_batch: bool) -> None:
    torch.manual_seed(0)
    net = build(load_spec(TINY)).eval().requires_grad_(False)
    x = torch.randn(2, 3, *net.spec.image_size)
    programs = [
        torch.onnx.export(traced(net, x, dynamic_batch, for_onnx=True), (), dynamo=True, verbose=False, optimize=False)
        for _ in range(2)
    ]
    assert programs[0] is not None
    assert programs[1] is not None
    before = len(programs[0].model_proto.graph.node)
    programs[0].optimize()
    simplify(programs[1].model)
    theirs, ours = (program.model_proto for program in programs if program is not None)
    onnx.checker.check_model(ours)
    counts = Counter(node.op_type for node in ours.graph.node)
    assert counts.total() <= len(theirs.graph.node) < before
    assert not {"Constant", "Identity", "CastLike", "BatchNormalization"} & set(counts)
    images = {ours.graph.input[0].name: x.numpy()}
    got, wanted = (
        onnxruntime.InferenceSession(model.SerializeToString()).run(None, images)[0] for model in (ours, theirs)
    )
    assert np.abs(got - wanted).max() <= 1e-6 * np.abs(wanted).max()
