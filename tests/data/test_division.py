"""Data that is divided as it was for an earlier training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from archdsl.data.labelled import Division
from archdsl.data.loading import load


def test_a_division_keeps_the_images_that_were_set_apart_and_trains_with_the_others(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "data.npz"
    np.savez(path, images=rng.integers(0, 256, (90, 8, 8, 3), dtype=np.uint8), labels=np.arange(90) % 3)
    for asked in (20, 2000, None):
        first = load(str(path), 8, 1, train=asked)
        for train, expected in ((None, 90), (6, 6)):
            again = load(str(path), 8, 1, train=train, division=Division(asked))
            assert torch.equal(again.held_images, first.held_images)
            assert torch.equal(again.val_images, first.val_images)
            rest = 90 - len(first.val_labels) - len(first.held_labels)
            assert len(again.train_labels) == min(expected, rest)
            assert torch.equal(again.train_images[:6], first.train_images[:6])
