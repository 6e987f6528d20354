"""Triton's kernels against their references in float64: interpreted on a CPU, and on a GPU where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")

CODE = """
import torch
from archdsl.kernels import references, row_tables
from archdsl.kernels import block_attention_kernel, depthwise_kernel, sampling_kernel, token_attention_kernel

torch.manual_seed(0)
half, device = torch.float16, DEVICE


def hold(name, found, wanted, most):
    error = ((found.double() - wanted.double()).abs().max() / wanted.double().abs().max()).item()
    assert error < most, (name, error)


for kernel, activation, dtype in ((3, "gelu", torch.float32), (3, "none", half), (5, "gelu", half)):
    x = torch.randn(2, 4, 5, 16, device=device).to(dtype)
    taps, bias = torch.randn(kernel, kernel, 16, device=device), torch.randn(16, device=device)
    wanted = references.depthwise_reference(x.double(), taps.double(), bias.double(), activation)
    launch = depthwise_kernel.Launch(4, 2, 2, 16, 1)
    found = depthwise_kernel.run(x, taps, bias, activation, launch)
    hold("depthwise", found, wanted, 1e-5 if dtype == torch.float32 else 1e-3)

x, places = torch.randn(2, 3, 4, 24, device=device), torch.randn(2, 3, 5, 2, device=device)
places[0, 0, 0] = torch.tensor([40.0, -9.0])
wanted = references.sample_keys_reference(x.double(), places.double())
hold("sample_keys", sampling_kernel.run(x.to(half), places, sampling_kernel.Launch(16, 16, 1)), wanted, 1e-3)

for heads, blocks, count in (
    (2, row_tables.windows(8, 8, 4, 2), 64),
    (1, row_tables.small_windows(4, 6, 2), 24),
    (1, row_tables.whole(150), 150),
):
    blocks = blocks.to(torch.device(device))
    q, k, v = torch.randn(2, count, 3 * heads * 16, device=device).to(half).chunk(3, dim=-1)
    bias = torch.randn(heads, *blocks.apart.shape)
    packed = row_tables.packed_bias(bias, blocks, heads, 0.25).to(device)
    tables = (blocks.query_rows, blocks.key_rows, blocks.kinds, packed, heads, 0.25)
    exact = row_tables.BlockArguments(*(part.double() for part in (q, k, v)), *tables)
    wanted = references.block_attention_reference(exact)
    arguments = row_tables.BlockArguments(q, k, v, *tables)
    found = block_attention_kernel.run(arguments, block_attention_kernel.Launch(2, 1, 4))
    hold("block_attention", found, wanted, 2e-3)

for queries, keys in ((70, 5), (9, 130)):
    q, k = torch.randn(2, queries, 32, device=device).to(half), torch.randn(2, keys, 64, device=device).to(half)
    k, v = k.chunk(2, dim=-1)
    wanted = references.token_attention_reference(q.double(), k.double(), v.double(), 2, 0.25)
    found = token_attention_kernel.run(q, k, v, 2, 0.25, token_attention_kernel.Launch(64, 1, 1, 4))
    hold("token_attention", found, wanted, 2e-3)
print("right")
"""


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_kernels_compute_what_their_references_do(device: str) -> None:
    """Ragged tiles, channels that fill no program, places far outside, rows of a wider projection."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no GPU; the interpreter runs the same kernels")
    environment = os.environ | ({"TRITON_INTERPRET": "1"} if device == "cpu" else {})
    code = CODE.replace("DEVICE", repr(device))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.stdout == "right\n", done.stderr
