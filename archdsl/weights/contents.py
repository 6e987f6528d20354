"""What a checkpoint holds, read from a file as data or given as `torch.load` returns it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from archdsl.weights.pickled import Array, Key, Pickled, Stored

TensorLike: TypeAlias = Tensor | Stored | Array | NDArray[np.generic] | np.generic
"""What can be made a tensor: torch's, numpy's, or what a file describes."""
Held: TypeAlias = "Pickled | TensorLike | nn.Module | Sequence[Held] | Mapping[Key, Held]"


class Contents(NamedTuple):
    """The values of a checkpoint in dictionaries, and how the numbers of its tensors are found."""

    value: Held
    tensor: Callable[[TensorLike], Tensor]
    sha256: str | None
    """Of the file."""
