"""Which launch of a kernel is fastest here: each is held to the reference, then timed, once for a shape and a card.

What was found is kept in memory and, on a GPU, in the user's cache folder. A launch that does not compile or differs
from the reference is left out with a warning; where none is left, the reference is what runs.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from archdsl.files import cache_folder, installed_version, read_json, write_json
from archdsl.json_types import JsonObject
from archdsl.kernels.support import is_interpreted
from archdsl.numbers import plain_text

Launch = TypeVar("Launch", bound=tuple[int, ...])
Key = tuple[str | int, ...]

TOLERANCE = {torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
"""Of the largest value: what a launch may differ by from the reference."""
_ROUNDS = 5
_REFERENCE = -1


class Choice(NamedTuple):
    """What a choice of a launch holds for: it is an index among these launches."""

    key: Key
    dtype: str
    card: str
    launches: tuple[tuple[int, ...], ...]


_chosen: dict[Choice, int] = {}


def fastest(
    key: Key,
    launches: Sequence[Launch],
    run: Callable[[Launch], Tensor],
    reference: Callable[[], Tensor],
    like: Tensor,
) -> Tensor:
    """The result by the launch that is fastest for `key` on the device of `like`; measured at the first call.

    While a CUDA graph is captured nothing can be timed: a shape that is new then takes the first launch.

    Warns:
        RuntimeWarning: a launch fails or differs from the reference.
    """
    if is_interpreted():
        return run(launches[0])
    choice = Choice(key, str(like.dtype), _card(like.device.index or 0), tuple(map(tuple, launches)))
    if choice not in _chosen:
        if torch.cuda.is_current_stream_capturing():
            return run(launches[0])
        kept = _kept(choice, len(launches))
        _chosen[choice] = _measured(choice, launches, run, reference, like.dtype) if kept is None else kept
    index = _chosen[choice]
    return reference() if index == _REFERENCE else run(launches[index])


def _measured(
    choice: Choice,
    launches: Sequence[Launch],
    run: Callable[[Launch], Tensor],
    reference: Callable[[], Tensor],
    dtype: torch.dtype,
) -> int:
    """The index of the fastest launch that is right; `_REFERENCE` where none is."""
    wanted = reference().float()
    scale = wanted.abs().max().clamp(min=1e-12)
    times: dict[int, float] = {}
    for index, launch in enumerate(launches):
        try:
            error = float(((run(launch).float() - wanted).abs().max() / scale).item())
        except Exception as failure:  # whatever a compiler or a driver says
            _warn(choice.key, launch, f"it fails: {' '.join(str(failure).split())[:120]}")
            continue
        if not error <= TOLERANCE.get(dtype, 1e-5):
            _warn(choice.key, launch, f"it differs from the reference by {plain_text(error, 2)} of the largest value")
            continue
        times[index] = _milliseconds(partial(run, launch))
    best = min(times, key=lambda index: times[index], default=_REFERENCE)
    _keep(choice, best)
    return best


def _warn(key: Key, launch: tuple[int, ...], why: str) -> None:
    name = " ".join(map(str, key))
    warnings.warn(f"a kernel configuration is left out: {name}, {tuple(launch)}: {why}", RuntimeWarning, stacklevel=4)


def _milliseconds(run: Callable[[], Tensor]) -> float:
    """The median of a few calls, by events."""
    run()
    taken = []
    for _ in range(_ROUNDS):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(3):
            run()
        end.record()
        end.synchronize()
        taken.append(begin.elapsed_time(end) / 3)
    return sorted(taken)[_ROUNDS // 2]


@cache
def _card(index: int) -> str:
    import triton

    name = torch.cuda.get_device_name(index) if torch.cuda.is_available() else "cpu"
    return f"{name}, torch {torch.__version__}, triton {triton.__version__}, archdsl {installed_version()}"


def _kept(choice: Choice, count: int) -> int | None:
    """The launch that an earlier process chose, if its file says one of these."""
    with suppress(RuntimeError):  # there is no home folder
        index = (read_json(_file(choice)) or {}).get("launch")
        return index if isinstance(index, int) and _REFERENCE <= index < count else None
    return None


def _keep(choice: Choice, index: int) -> None:
    with suppress(OSError, RuntimeError):  # a cache that cannot be written costs time alone
        facts: JsonObject = {"key": list(choice.key), "dtype": choice.dtype, "card": choice.card, "launch": index}
        write_json(_file(choice), facts, indent=1)


def _file(choice: Choice) -> Path:
    name = hashlib.sha256(json.dumps(choice).encode()).hexdigest()[:16]
    return cache_folder() / "kernels" / f"{name}.json"
