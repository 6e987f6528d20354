"""Images that any network learns to tell apart: brightness tells the class."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_bright_images(file: Path, classes: int, count: int, size: int, channels: int = 3) -> None:
    """An .npz file of `count` noisy images (size, size, channels), grey ones (size, size), the classes in turn."""
    labels = np.arange(count) % classes
    shape = (count, size, size) if channels == 1 else (count, size, size, channels)
    noise = np.random.default_rng(0).integers(0, 60, shape, dtype=np.uint8)
    brightness = (labels * (180 // (classes - 1))).astype(np.uint8)
    np.savez(file, images=noise + brightness.reshape(-1, *[1] * (len(shape) - 1)), labels=labels)
