"""shapetex: a procedural data set that ships as code, for ranking small backbones on a CPU.

The label is a shape (global: seen only by a net that reads the whole figure) and a texture (local: seen through a
small window), 5 x 4 = 20 classes, each equally often. What must not help varies freely: place, scale, rotation,
colours, a wobble of the outline, noise, and a background that wears a texture of the same family.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

SHAPES = ("disc", "square", "triangle", "cross", "ring")
TEXTURES = ("stripes", "checks", "dots", "blobs")
CLASSES = tuple(f"{shape} of {texture}" for shape in SHAPES for texture in TEXTURES)

CHUNK = 2 * len(CLASSES)
"""Images drawn together, every class twice; each chunk has its own seed, so a longer set begins with the shorter."""

VERSION = 1
"""Counts the changes that gave other images for the same arguments."""

TAU = 2 * np.pi


class Nuisance(NamedTuple):
    """How hard the images are; the image spans -1 to 1 both ways. Held to a band by tests/training/test_proxy.py."""

    noise: float = 0.04
    """Standard deviation of pixel noise; colours span 0 to 1."""
    clutter: float = 0.2
    """Contrast of the background's texture, as a share of the figure's."""
    jitter: float = 0.1
    """The figure's centre is up to this far from the image's."""
    scale: tuple[float, float] = (0.7, 0.95)
    wobble: float = 0.05
    """Depth of the waves along the outline, as a share of the radius."""


def images(count: int, size: int, seed: int, nuisance: Nuisance | None = None) -> tuple[Floats, Labels]:
    """`count` images (N, 3, size, size) in 0 to 1 and their labels (N,), an index of `CLASSES` each.

    Chunks are drawn on all cores. The result depends on the arguments alone, up to the rounding of a processor's sines.
    """

    def chunk(number: int) -> tuple[Floats, Labels]:
        return _chunk(np.random.default_rng((seed, number)), size, nuisance or Nuisance())

    pictures = np.empty((count, 3, size, size), np.float32)
    labels = np.empty(count, np.int64)
    with ThreadPoolExecutor() as pool:
        for number, (some, some_labels) in enumerate(pool.map(chunk, range(-(-count // CHUNK)))):
            place = slice(number * CHUNK, (number + 1) * CHUNK)
            kept = len(labels[place])
            pictures[place], labels[place] = some[:kept], some_labels[:kept]
    return pictures, labels


def _chunk(rng: np.random.Generator, size: int, nuisance: Nuisance) -> tuple[Floats, Labels]:
    """Every class twice, in random order: figures pasted on backgrounds, with noise over both."""
    labels = rng.permutation(np.arange(CHUNK) % len(CLASSES))
    inside = _silhouettes(rng, labels // len(TEXTURES), size, nuisance)
    figure = _textures(rng, labels % len(TEXTURES), size)
    ground = _textures(rng, rng.integers(0, len(TEXTURES), CHUNK), size) * np.float32(nuisance.clutter)
    pictures = _paint(rng, ground)
    pictures += inside[:, None] * (_paint(rng, figure) - pictures)
    pictures += np.float32(nuisance.noise) * rng.standard_normal(pictures.shape, np.float32)
    return np.clip(pictures, 0, 1, out=pictures), labels.astype(np.int64)


def _uniform(rng: np.random.Generator, low: float, high: float, *shape: int) -> Floats:
    """One number an image, or `shape` of them, that broadcast over its pixels."""
    return rng.uniform(low, high, (CHUNK, *(shape or (1, 1)))).astype(np.float32)


def _turned(rng: np.random.Generator, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Coordinates in each image's own frame, turned by a random angle: two of (N, H, W)."""
    angle = _uniform(rng, 0, TAU)
    cos, sin = np.cos(angle), np.sin(angle)
    return x * cos + y * sin, y * cos - x * sin


def _axes(size: int) -> tuple[Floats, Floats]:
    """Pixel centres from -1 to 1: x (1, 1, W) and y (1, H, 1)."""
    line = ((np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1).astype(np.float32)
    return line[None, None, :], line[None, :, None]


def _silhouettes(rng: np.random.Generator, shapes: Labels, size: int, nuisance: Nuisance) -> Floats:
    """How much of each pixel lies in the figure, 0 to 1: (N, H, W)."""
    x, y = _axes(size)
    scale = _uniform(rng, *nuisance.scale)
    jitter = nuisance.jitter
    u, v = _turned(rng, x - _uniform(rng, -jitter, jitter), y - _uniform(rng, -jitter, jitter))
    waves = np.sin(3 * np.arctan2(v, u) + _uniform(rng, 0, TAU))
    stretch = (1 + np.float32(nuisance.wobble) * waves) / scale
    u, v = u * stretch, v * stretch
    distance = np.empty_like(u)
    for shape in range(len(SHAPES)):
        rows = np.flatnonzero(shapes == shape)
        distance[rows] = _distance(shape, u[rows], v[rows])
    softness = np.float32(size / 2) * scale  # the edge is one pixel wide at any size
    np.clip(np.float32(0.5) - distance * softness, 0, 1, out=distance)
    return distance


def _distance(shape: int, u: Floats, v: Floats) -> Floats:
    """About how far outside the figure a point lies, in radii; negative inside. All areas are near 1.9, the ring's 2.2.

    A triangle or a cross of equal area reaches further out, so area and extent alone name no shape.
    """
    across, along = np.abs(u), np.abs(v)
    if shape == 0:
        return np.hypot(u, v) - np.float32(0.78)
    if shape == 1:
        return np.maximum(across, along) - np.float32(0.69)
    if shape == 2:
        return np.maximum(-v, np.float32(0.866) * across + np.float32(0.5) * v) - np.float32(0.6)
    if shape == 3:
        thin = np.float32(0.28)
        cross: Floats = np.minimum(np.maximum(across - 1, along - thin), np.maximum(along - 1, across - thin))
        return cross
    ring: Floats = np.abs(np.hypot(u, v) - np.float32(0.72)) - np.float32(0.24)
    return ring


def _textures(rng: np.random.Generator, textures: Labels, size: int) -> Floats:
    """A texture an image, from -1 to 1, at a random angle, phase and period: (N, H, W)."""
    u, v = _turned(rng, *_axes(size))
    period, phase = TAU * _uniform(rng, 1.8, 2.6), _uniform(rng, 0, TAU)
    across, along = np.sin(period * u + phase), np.sin(period * v + phase)
    crisp = np.float32(size / 12)  # edges of about a pixel, like the outline's
    pattern: Floats = np.empty_like(across)
    for texture, height in enumerate((across, across * along, across + along - 1)):
        rows = textures == texture
        pattern[rows] = np.clip(height[rows] * crisp, -1, 1)
    rows = textures == len(TEXTURES) - 1
    pattern[rows] = _blobs(rng.spawn(1)[0], int(rows.sum()), size)  # draws by the pixel, so not from our own stream
    return pattern


def _blobs(rng: np.random.Generator, count: int, size: int) -> Floats:
    """Noise of about four waves an image, the textures' mean period, in all directions: (count, H, W)."""
    down, right = np.fft.fftfreq(size, 1 / size)[:, None], np.fft.rfftfreq(size, 1 / size)
    band = np.exp(-(((np.hypot(down, right) - 4.2) / 1.6) ** 2)).astype(np.float32)
    noise = rng.standard_normal((count, size, size), np.float32)
    waves = np.fft.irfft2(np.fft.rfft2(noise) * band, s=(size, size)).astype(np.float32)
    spread: Floats = waves.std((1, 2), keepdims=True) + np.float32(1e-6)
    np.tanh(2 * waves / spread, out=waves)
    return waves


def _paint(rng: np.random.Generator, pattern: Floats) -> Floats:
    """Two random colours of enough contrast, mixed by the pattern: (N, H, W) -> (N, 3, H, W)."""
    middle, half = _uniform(rng, 0.38, 0.62, 3, 1, 1), _uniform(rng, 0.25, 0.35, 3, 1, 1)
    sign = rng.choice(np.array([-1, 1], np.float32), (CHUNK, 1, 1, 1))
    painted: Floats = middle + sign * half * pattern[:, None]
    return painted
