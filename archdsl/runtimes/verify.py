"""A written file against the network that it comes from: how far their outputs for the same images differ."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

from archdsl.errors import ExportError
from archdsl.exporting.frozen import Float32Interface
from archdsl.numbers import plain_text

if TYPE_CHECKING:
    from torch import Tensor, nn

    from archdsl.exporting.frozen import Outputs

Reader = Callable[["Tensor"], "Outputs"]
"""The network in an opened file: images (B, C, H, W) of float32 -> its outputs, float32 on the CPU."""

TOLERANCE = {"float32": 1e-4, "float16": 1e-2}
"""Of the largest value of an output. Right files differ by 1e-5 at most in float32, wrong ones by 2e-3 at least."""

_ROUNDING = 1e-5
_NOISE_SEEDS = (0, 1)


class Difference(NamedTuple):
    """The largest difference of a file from its network: a share of the largest value of that output."""

    largest: float
    output: str
    batch: int


def difference(
    reader: Reader,
    model: nn.Module,
    image: tuple[int, int, int],
    batches: Sequence[int],
    outputs: Sequence[str],
    inputs: Sequence[Tensor] | None = None,
) -> Difference:
    """How far a file differs from its network, for each batch on two inputs of noise and one of zeros.

    Where rounding alone makes more than a part in 100,000, the file is held against the network in float64 as well, and
    the smaller difference counts: deformable sampling near the border of a map enlarges rounding, in the network's own
    float32 as in the file's.

    Args:
        reader: the opened file.
        model: the network, in eval mode, in float32 on the CPU.
        image: (C, H, W).
        batches: the sizes that are tried.
        outputs: names of the outputs, in their order.
        inputs: other images than those three, for a single batch.

    Raises:
        ExportError: an output of the file is missing, has another shape, or is not finite.
    """
    worst = Difference(0.0, outputs[0], batches[0])
    for batch in batches:
        for images in _inputs((batch, *image)) if inputs is None else inputs:
            wanted, written = _outputs(model, images), reader(images)
            _check(written, wanted, outputs)
            largest, name = _largest(written, wanted, outputs)
            if largest > _ROUNDING:
                exact = _outputs(_in_float64(model), images.double())
                largest, name = min((largest, name), _largest(written, exact, outputs))
            worst = max(worst, Difference(largest, name, batch), key=lambda each: each.largest)
    return worst


def _in_float64(model: nn.Module) -> nn.Module:
    exact = copy.deepcopy(model).double()
    if isinstance(exact, Float32Interface):
        exact.dtype = torch.float64
    return exact


def _outputs(model: nn.Module, images: Tensor) -> Outputs:
    with torch.inference_mode():
        returned = model(images)
    return tuple(returned) if isinstance(returned, list | tuple) else (returned,)


def _largest(written: Outputs, wanted: Outputs, outputs: Sequence[str]) -> tuple[float, str]:
    """The largest difference of all outputs, each as a share of its largest value, and which output it is in."""
    shares = [
        float((theirs - ours).abs().max() / ours.abs().max().clamp(min=1e-12))
        for ours, theirs in zip(wanted, written, strict=True)
    ]
    return max(zip(shares, outputs, strict=True))


def refuse(worst: Difference, dtype: str) -> None:
    """Raises `ExportError` where a file differs by more than rounding in its dtype explains."""
    if dtype in TOLERANCE and not worst.largest <= TOLERANCE[dtype]:
        largest, allowed = plain_text(worst.largest, 2), plain_text(TOLERANCE[dtype], 2)
        raise ExportError(
            f"the file is wrong: '{worst.output}' differs by {largest} of its largest value at batch {worst.batch}, "
            f"and {dtype} allows {allowed}; nothing was written"
        )


def _inputs(shape: tuple[int, ...]) -> list[Tensor]:
    noise = [torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in _NOISE_SEEDS]
    return [*noise, torch.zeros(shape)]


def _check(written: Outputs, wanted: Outputs, outputs: Sequence[str]) -> None:
    """Raises `ExportError` where outputs are missing, have other shapes, or are not finite."""
    if len(written) != len(wanted):
        raise ExportError(f"the file is wrong: it gives {len(written)} outputs, the network {len(wanted)}")
    for name, ours, theirs in zip(outputs, wanted, written, strict=True):
        if ours.shape != theirs.shape:
            shapes = f"{tuple(theirs.shape)}, not {tuple(ours.shape)}"
            raise ExportError(f"the file is wrong: the shape of '{name}' is {shapes}; nothing was written")
        for whose, values in (("the network", ours), ("the file", theirs)):
            if not bool(torch.isfinite(values).all()):
                raise ExportError(f"{whose} gives NaN or infinities in '{name}'; nothing was written")
