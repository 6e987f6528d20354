"""The operators for inference: what they compute on a CPU, what they refuse, and that torch can trace them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.errors import WrongUse
from archdsl.kernels.block_attention import block_attention
from archdsl.kernels.depthwise import depthwise, taps_of
from archdsl.kernels.row_tables import Blocks, packed_bias, small_windows, tiles, whole, windows
from archdsl.kernels.sampling import sample_keys
from archdsl.kernels.token_attention import token_attention

HEADS, WIDTH = 2, 16


def rows(count: int, batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """q, k and v as they lie in a projection's output."""
    q, k, v = torch.randn(batch, count, 3 * HEADS * WIDTH).chunk(3, dim=-1)
    return q, k, v


def attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """Plain attention of all tokens of a sample."""
    q, k, v = (x.unflatten(-1, (HEADS, WIDTH)).transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias).transpose(1, 2).flatten(2)


def by_blocks(q: Tensor, k: Tensor, v: Tensor, blocks: Blocks, bias: Tensor | None = None) -> Tensor:
    packed = packed_bias(bias, blocks, HEADS, WIDTH**-0.5)
    scale = WIDTH**-0.5
    found: Tensor = block_attention(q, k, v, blocks.query_rows, blocks.key_rows, blocks.kinds, packed, HEADS, scale)
    return found


@pytest.mark.parametrize("kernel", [3, 5, 11])
def test_a_depthwise_convolution_with_its_residual_and_gelu(kernel: int) -> None:
    convolution = nn.Conv2d(6, 6, kernel, padding=kernel // 2, groups=6)
    x = torch.randn(2, 5, 4, 6)
    maps = x.permute(0, 3, 1, 2)
    wanted = F.gelu(maps + convolution(maps)).permute(0, 2, 3, 1)
    found = depthwise(x, *taps_of(convolution, is_residual=True), "gelu")
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(depthwise(x, *taps_of(convolution), "none"), convolution(maps).permute(0, 2, 3, 1))


def test_windows_are_attention_of_each_window_alone() -> None:
    q, k, v = rows(8 * 12)
    bias = torch.randn(HEADS, 16, 16)

    def cut(x: Tensor) -> Tensor:
        return x.view(2, 2, 4, 3, 4, -1).transpose(2, 3).reshape(-1, 16, HEADS * WIDTH)

    wanted = attention(cut(q), cut(k), cut(v), bias)
    found = by_blocks(q, k, v, windows(8, 12, 4), bias)
    torch.testing.assert_close(cut(found), wanted, atol=2e-3, rtol=2e-3)  # the bias is packed in float16


def test_small_windows_do_not_see_one_another() -> None:
    q, k, v = rows(6 * 10)

    def cut(x: Tensor) -> Tensor:
        return x.view(2, 3, 2, 5, 2, -1).transpose(2, 3).reshape(-1, 4, HEADS * WIDTH)

    found = by_blocks(q, k, v, small_windows(6, 10, 2))
    torch.testing.assert_close(cut(found), attention(cut(q), cut(k), cut(v)))


@pytest.mark.parametrize("tokens", [49, 70, 196])
def test_a_whole_map_is_attention_of_all_tokens(tokens: int) -> None:
    q, k, v = rows(tokens)
    torch.testing.assert_close(by_blocks(q, k, v, whole(tokens)), attention(q, k, v))


def test_token_attention_is_attention_to_the_same_keys() -> None:
    q, k, v = torch.randn(2, 30, 32), torch.randn(2, 7, 32), torch.randn(2, 7, 32)
    torch.testing.assert_close(token_attention(q, k, v, HEADS, WIDTH**-0.5), attention(q, k, v))


def test_sampled_keys_at_whole_positions_are_those_positions_and_0_outside() -> None:
    x = torch.randn(1, 3, 5, 4)
    places = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [0.0, 0.0], [3.0, 0.0]])[None, None].expand(1, 2, 4, 2)
    found = sample_keys(x, places)
    torch.testing.assert_close(found[0], torch.stack([x[0, 0, 0], x[0, 2, 4], x[0, 1, 2], torch.zeros(4)]))


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [(1, (16, 0, 0)), (49, (64, 0, 0)), (196, (128, 64, 16)), (113, (128, 0, 0)), (384, (128, 128, 128))],
)
def test_keys_come_in_tiles_with_the_least_waste(keys: int, wanted: tuple[int, ...]) -> None:
    assert sorted(tiles(keys)) == sorted(wanted)


def test_more_keys_than_three_tiles_are_refused() -> None:
    with pytest.raises(WrongUse, match="up to 384 keys; got 385"):
        whole(385)


BAD: dict[str, tuple[Any, str]] = {
    "an even kernel": (
        lambda: depthwise(torch.ones(1, 2, 2, 3), torch.ones(2, 2, 3), torch.ones(3), "none"),
        "an odd K",
    ),
    "an activation": (
        lambda: depthwise(torch.ones(1, 2, 2, 3), torch.ones(3, 3, 3), torch.ones(3), "relu"),
        "must be one of none, gelu; got 'relu'",
    ),
    "groups": (lambda: sample_keys(torch.ones(1, 2, 2, 3), torch.ones(1, 2, 4, 2)), "places"),
    "heads": (lambda: token_attention(*rows(4), 3, 1.0), "3 heads"),
    "no key": (lambda: token_attention(rows(4)[0], *(x[:, :0] for x in rows(4)[1:]), HEADS, 1.0), "one key or more"),
}


@pytest.mark.parametrize("case", BAD)
def test_arguments_that_do_not_belong_together_are_refused(case: str) -> None:
    call, rule = BAD[case]
    with pytest.raises(WrongUse, match=rule):
        call()


def test_training_through_an_operator_is_refused() -> None:
    x = torch.randn(1, 3, 3, 2, requires_grad=True)
    y = depthwise(x, torch.ones(3, 3, 2), torch.zeros(2), "none")
    with pytest.raises(WrongUse, match="depthwise is for inference and has no gradient"):
        y.sum().backward()


CALLS: dict[str, Any] = {
    "depthwise": (depthwise, lambda: (torch.randn(2, 4, 5, 6), torch.randn(3, 3, 6), torch.randn(6), "gelu")),
    "sample_keys": (sample_keys, lambda: (torch.randn(2, 4, 5, 6), torch.rand(2, 3, 7, 2))),
    "token_attention": (token_attention, lambda: (*rows(9), HEADS, 0.25)),
}


@pytest.mark.parametrize("name", CALLS)
def test_torch_can_trace_an_operator(name: str) -> None:
    """Its schema, its shapes without data, and that nothing is changed in place."""
    operator, arguments = CALLS[name]
    torch.library.opcheck(operator, arguments(), test_utils=("test_schema", "test_faketensor"))


def test_no_kernel_is_imported_before_one_runs() -> None:
    code = "import sys, archdsl.kernels.depthwise, archdsl.kernels.block_attention, archdsl.optimizing; "
    code += "print([name for name in sys.modules if name.startswith('archdsl.kernels') and name.endswith('_kernel')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
