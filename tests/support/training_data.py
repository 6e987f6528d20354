"""A network that trains in milliseconds, and images to train it with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from archdsl.language.document import Spec
from archdsl.load.specs import override
from tests.support.narrow_networks import small


def spec(**changes: str) -> Spec:
    """A network that trains in milliseconds."""
    widths = ["stem.width=16", "merge1.width=16", "merge2.width=16", "merge3.width=16"]
    widths += [f"stage{number}.depth=1" for number in range(1, 5)]
    small_one = override(small("fcvit_tiny"), ["image=32", *widths, "drop_path=0.1"])
    return override(small_one, [f"{name}={value}" for name, value in changes.items()])


def pictures(path: Path, names: str = "ant bee cat", count: int = 90, channels: int = 3) -> str:
    """Images of classes that differ in brightness, as a `.npz`."""
    rng, classes = np.random.default_rng(0), names.split()
    labels = np.arange(count) % len(classes)
    images = (rng.random((count, channels, 32, 32)) * 0.5 + 0.2 * labels[:, None, None, None]) * 200
    np.savez(path, images=images.astype(np.uint8), labels=np.array(classes)[labels])
    return str(path)


def photos(root: Path, count: int, size: tuple[int, int] = (40, 60)) -> str:
    """A folder of images in two classes, one of them darker; one file of them is none."""
    rng = np.random.default_rng(0)
    for name, share in (("day", 1.0), ("night", 0.4)):
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = (rng.random((*size, 3)) * 255 * share).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:03}.bmp")
    (root / "day" / "000.bmp").write_bytes(b"no image")
    return str(root)
