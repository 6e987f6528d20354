"""What is done to a batch: images mixed in pairs, boxes erased; all chance is torch's global random state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from archdsl.training.loop import Batch

if TYPE_CHECKING:
    from torch import Tensor


def mixed(batch: Batch, classes: int, mixup: float, cutmix: float) -> Batch:
    """Each image with one other of the batch, in the same shares: blended (mixup), or in a box of it (cutmix).

    Where both are on, each is used for half of the batches. Targets become shares of classes, (B, classes).
    """
    import torch
    from torch.nn.functional import one_hot

    if not mixup and not cutmix:
        return batch
    use_cutmix = bool(cutmix) and (not mixup or float(torch.rand(())) < 0.5)
    share = _beta(cutmix if use_cutmix else mixup)
    images, others = batch.images, batch.images.flip(0)
    if use_cutmix:
        top, bottom, left, right = _box(int(images.shape[2]), int(images.shape[3]), share)
        images = images.clone()
        images[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
        share = 1 - (bottom - top) * (right - left) / (images.shape[2] * images.shape[3])
    else:
        images = share * images + (1 - share) * others
    targets = one_hot(batch.targets, classes).float()
    return Batch(images, share * targets + (1 - share) * targets.flip(0))


def erased(images: Tensor, share: float) -> Tensor:
    """Of this share of the images a box of 2 to 33 % becomes noise: (B, C, H, W) -> (B, C, H, W), normalised."""
    import torch

    if not share:
        return images
    images = images.clone()
    C, H, W = images.shape[1:]
    for row in torch.nonzero(torch.rand(len(images)) < share).flatten().tolist():
        for _ in range(10):
            area = H * W * float(torch.empty(()).uniform_(0.02, 1 / 3))
            ratio = math.exp(float(torch.empty(()).uniform_(math.log(0.3), math.log(1 / 0.3))))
            h, w = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < h < H and 0 < w < W:
                top, left = (int(torch.randint(0, most + 1, ())) for most in (H - h, W - w))
                images[row, :, top : top + h, left : left + w] = torch.randn(C, h, w).to(images)
                break
    return images


def _beta(parameter: float) -> float:
    import torch

    return float(torch.distributions.Beta(torch.tensor(parameter), torch.tensor(parameter)).sample())


def _box(height: int, width: int, share: float) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of a box of 1 - `share` of the area around a random middle, cut at the border."""
    import torch

    root = math.sqrt(1 - share)
    y, x = int(torch.randint(0, height, ())), int(torch.randint(0, width, ()))
    h, w = int(height * root), int(width * root)
    top, bottom = max(0, y - h // 2), min(height, y + h // 2)
    return top, bottom, max(0, x - w // 2), min(width, x + w // 2)
