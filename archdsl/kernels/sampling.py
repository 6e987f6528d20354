"""Deformed keys: each group's channels of a channels-last map read bilinearly at places of its own, in one pass.

Plain PyTorch samples in float32 and NCHW memory, with a copy on either side; here rows of the map are gathered as they
lie, in the map's dtype, weighed in float32.
"""

from __future__ import annotations

import torch
from torch import Tensor

from archdsl.errors import WrongUse
from archdsl.kernels.references import sample_keys_reference
from archdsl.kernels.support import for_inference_only, runs_kernels


@torch.library.custom_op("archdsl::sample_keys", mutates_args=())
def sample_keys(x: Tensor, places: Tensor) -> Tensor:
    """(B, H, W, C), places float32 (B, groups, points, xy) -> (B, points, C).

    -1 and 1 are the centres of a map's first and last position (DAT, arXiv:2201.00520, section 3.2); what lies outside
    counts 0, and so does a place that is no number.

    Raises:
        WrongUse: shapes that do not belong together.
    """
    check(x, places)
    if runs_kernels(x) and 0 < x.numel() < 2**31 and places.numel() > 0:
        from archdsl.kernels.sampling_kernel import launched

        return launched(x.contiguous(), places.contiguous())
    return sample_keys_reference(x, places)


@sample_keys.register_fake
def _(x: Tensor, places: Tensor) -> Tensor:
    return x.new_empty(x.shape[0], places.shape[2], x.shape[3])


for_inference_only(sample_keys, "sample_keys")


def check(x: Tensor, places: Tensor) -> None:
    """Raises `WrongUse` for tensors that do not belong together."""
    fits = x.dim() == 4 and places.dim() == 4 and places.shape[0] == x.shape[0] and places.shape[3] == 2
    if not fits or x.shape[3] % places.shape[1] or places.dtype not in (torch.float32, torch.float64):
        shapes = f"{tuple(x.shape)} and {tuple(places.shape)} of {places.dtype}"
        raise WrongUse(f"sample_keys takes (B, H, W, C) and float32 places (B, groups, points, 2); got {shapes}")
