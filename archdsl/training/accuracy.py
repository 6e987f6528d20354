"""A trained network on images with labels: which of them it names rightly, in all and of each class."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from archdsl.numbers import standard_error

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

PerClass = dict[str, tuple[int, int]]
"""How many images of a class were named rightly, of how many; classes without an image are left out."""


class Evaluation(NamedTuple):
    """What a network names rightly of a set of images."""

    answers: str
    """Bits of the images in order, 1 where the network is right, as hexadecimal digits; the last is filled with 0."""
    images: int
    right: int
    per_class: PerClass

    @property
    def accuracy(self) -> float:
        """Share named rightly, 0 to 1."""
        return self.right / self.images

    @property
    def error(self) -> float:
        """Binomial standard error of the accuracy, from the number of images alone."""
        return standard_error(self.accuracy, self.images)

    @property
    def chance(self) -> float:
        """The accuracy of always naming the most frequent class of these images."""
        return max(total for _, total in self.per_class.values()) / self.images


def evaluate(
    model: nn.Module,
    normalise: Callable[[Tensor], Tensor],
    images: Tensor,
    labels: Tensor,
    class_names: Sequence[str],
    batch: int,
) -> Evaluation | None:
    """One pass in float32, `batch` images at once; None where a logit is not finite. The model is left in eval mode."""
    parts = (slice(first, first + batch) for first in range(0, len(labels), batch))
    return evaluate_batches(model, normalise, ((images[rows], labels[rows]) for rows in parts), class_names)


def evaluate_batches(
    model: nn.Module,
    normalise: Callable[[Tensor], Tensor],
    batches: Iterable[tuple[Tensor, Tensor]],
    class_names: Sequence[str],
) -> Evaluation | None:
    """As `evaluate`, of images (B, C, H, W) and labels (B,) that come one batch after another, on the model's device.

    None where there is no image too.
    """
    import torch

    answers: list[Tensor] = []
    every: list[Tensor] = []
    finite: list[Tensor] = []
    model.eval()
    with torch.inference_mode():
        for images, labels in batches:
            with _plain_float32(images.device):
                logits = model(normalise(images))
            finite.append(logits.isfinite().all())
            answers.append(logits.argmax(1) == labels)
            every.append(labels)
    if not every or not torch.stack(finite).all():
        return None
    right, labels = torch.cat(answers).cpu(), torch.cat(every).cpu()
    totals, rights = (some.bincount(minlength=len(class_names)).tolist() for some in (labels, labels[right]))
    per_class = {name: (rights[row], totals[row]) for row, name in enumerate(class_names) if totals[row]}
    return Evaluation(packed(right.tolist()), len(labels), int(right.sum()), per_class)


@contextmanager
def _plain_float32(device: torch.device) -> Iterator[None]:
    """No TensorFloat-32 in convolutions and products, so that a CPU names the same images."""
    import torch

    if device.type != "cuda":
        yield
        return
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def packed(answers: Sequence[bool]) -> str:
    """Right and wrong answers as hexadecimal digits, four a digit, the first answer in the highest bit."""
    bits = "".join("1" if right else "0" for right in answers)
    bits += "0" * (-len(bits) % 4)
    return "".join(f"{int(bits[place : place + 4], 2):x}" for place in range(0, len(bits), 4))


def unpacked(answers: str, images: int) -> tuple[bool, ...]:
    """The answers that `packed` wrote.

    Raises:
        ValueError: these are no answers of so many images.
    """
    if len(answers) != -(-images // 4):
        raise ValueError(f"{len(answers)} digits are not the answers of {images} images")
    bits = "".join(f"{int(digit, 16):04b}" for digit in answers)
    return tuple(bit == "1" for bit in bits[:images])


def balanced_accuracy(per_class: PerClass) -> float:
    """The mean of the classes' recalls; nan without a class."""
    recalls = [right / total for right, total in per_class.values()]
    return sum(recalls) / len(recalls) if recalls else math.nan
