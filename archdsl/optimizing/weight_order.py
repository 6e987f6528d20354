"""In which order weights lie in memory: as is fastest here, measured once for a shape and a device, and remembered.

A Linear's weights lie row after row or column after column; a convolution's channels first or channels last. The
arithmetic is the same.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from archdsl.families.common.fused import Size
from archdsl.files import cache_folder, installed_version, read_json, write_json
from archdsl.json_types import JsonObject
from archdsl.timing.host import cpu_name

_ROUNDS = 15
_GAIN = 0.98
"""Of the time in the usual order that the other may take at most to be chosen; repeats differ by less."""


class Question(NamedTuple):
    """What a choice holds for."""

    kind: str
    input: Size
    weight: Size
    details: Size
    dtype: str
    threads: int
    device: str


_chosen: dict[Question, bool] = {}


def put_fastest_orders(model: nn.Module, inputs: Mapping[nn.Module, Tensor]) -> int:
    """Lay out the weights of all Linears and convolutions that ran as is fastest; of how many the order changes."""
    count = 0
    for module in model.modules():
        if type(module) in (nn.Linear, nn.Conv2d) and module in inputs:
            assert isinstance(module, nn.Linear | nn.Conv2d)
            if _other_is_faster(module, inputs[module]):
                module.weight = nn.Parameter(_reordered(module.weight.detach()), requires_grad=False)
                count += 1
    return count


def _reordered(weight: Tensor) -> Tensor:
    """The same weight, in the order that is not the usual one."""
    if weight.dim() == 2:
        return weight.t().contiguous().t()
    return weight.contiguous(memory_format=torch.channels_last)


def _other_is_faster(module: nn.Linear | nn.Conv2d, read: Tensor) -> bool:
    details: tuple[int, ...] = read.stride()
    if isinstance(module, nn.Conv2d):
        details += (*module.stride, *(int(side) for side in module.padding), module.groups)
    weight = module.weight
    question = Question(
        type(module).__name__,
        tuple(read.shape),
        tuple(weight.shape),
        details,
        str(weight.dtype),
        torch.get_num_threads(),
        _device(),
    )
    if question not in _chosen:
        kept = _kept(question)
        _chosen[question] = _measured(module, read) if kept is None else kept
        if kept is None:
            _keep(question, _chosen[question])
    return _chosen[question]


def _measured(module: nn.Linear | nn.Conv2d, read: Tensor) -> bool:
    """Whether the other order takes less CPU time, each at its tenth percentile, in turns."""
    weight, bias = module.weight.detach(), module.bias
    x = torch.empty_strided(read.shape, read.stride(), dtype=weight.dtype).normal_(
        generator=torch.Generator().manual_seed(0)
    )
    other = _reordered(weight)

    def run(weight: Tensor) -> None:
        if isinstance(module, nn.Linear):
            nn.functional.linear(x, weight, bias)
        else:
            nn.functional.conv2d(x, weight, bias, module.stride, module.padding, module.dilation, module.groups)

    usual_ms, other_ms = _tenth_percentiles(lambda: run(weight), lambda: run(other))
    return other_ms < _GAIN * usual_ms


def _tenth_percentiles(*runs: Callable[[], None]) -> list[float]:
    taken: list[list[float]] = [[] for _ in runs]
    for run in runs:
        run()
    for _ in range(_ROUNDS):
        for run, times in zip(runs, taken, strict=True):
            begun = time.process_time()
            run()
            times.append(time.process_time() - begun)
    return [sorted(times)[_ROUNDS // 10] for times in taken]


@cache
def _device() -> str:
    return f"{cpu_name()}, torch {torch.__version__}, archdsl {installed_version()}"


def _kept(question: Question) -> bool | None:
    """What an earlier process chose."""
    with suppress(RuntimeError):  # there is no home folder
        chosen = (read_json(_file(question)) or {}).get("reordered")
        return chosen if isinstance(chosen, bool) else None
    return None


def _keep(question: Question, chosen: bool) -> None:
    with suppress(OSError, RuntimeError):  # a cache that cannot be written costs time alone
        facts: JsonObject = {"question": json.loads(json.dumps(question)), "reordered": chosen}
        write_json(_file(question), facts, indent=1)


def _file(question: Question) -> Path:
    name = hashlib.sha256(json.dumps(question).encode()).hexdigest()[:16]
    return cache_folder() / "orders" / f"{name}.json"
