"""Arrays and scalars of numpy as a pickle describes them; their numbers stand in the pickle itself."""

from __future__ import annotations

from functools import cached_property
from math import prod
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from archdsl.errors import WeightsError

_KINDS = frozenset({"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"})


class Dtype:
    """A dtype by its code, `f4`; empty where its state, which follows, makes it another than a little-endian number."""

    def __init__(self, code: str) -> None:
        self.code = code

    def set_state(self, state: Any) -> None:
        """(version, byte order, ...)"""
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order not in ("<", "=", "|"):
            self.code = ""


class Encoded(NamedTuple):
    """Bytes that a pickle of protocol 2 holds as text, a character each; encoded when they are used, and not before."""

    text: str


class Array:
    """An array: its shape, dtype and bytes, as they are given when it is made or follow as its state.

    One whose contents are no plain numbers (objects, text) stands for them without content.
    """

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()
        self.dtype: Dtype | None = None
        self.data: bytes | bytearray | str = b""
        self.fortran = False

    def set(self, dtype: Any, shape: Any, data: Any, fortran: bool = False) -> Array:
        """Take the contents if they are plain numbers.

        Raises:
            ValueError: there are more or fewer bytes than the shape needs.
        """
        sides = isinstance(shape, tuple) and all(isinstance(side, int) and 0 <= side < 2**40 for side in shape)
        if not sides or not isinstance(dtype, Dtype) or dtype.code not in _KINDS:
            return self
        data = data.text if isinstance(data, Encoded) else data
        if not isinstance(data, bytes | bytearray | str) or len(shape) > 32:
            return self
        if len(data) != prod(shape) * int(dtype.code[1]):
            raise ValueError(f"an array of shape {shape} is made of {len(data)} bytes")
        self.shape, self.dtype, self.data, self.fortran = shape, dtype, data, fortran
        return self

    def set_state(self, state: Any) -> None:
        """(version, shape, dtype, whether in Fortran's order, bytes)"""
        if isinstance(state, tuple) and len(state) == 5:
            self.set(state[2], state[1], state[4], state[3] is True)

    @property
    def is_numeric(self) -> bool:
        """Whether it has numbers."""
        return self.dtype is not None

    @cached_property
    def tensor(self) -> Tensor:
        """The numbers as a tensor, which does not share them with the pickle.

        Raises:
            WeightsError: they are no bytes.
        """
        assert self.dtype is not None
        try:
            data = self.data.encode("latin-1") if isinstance(self.data, str) else self.data
        except UnicodeEncodeError:
            raise WeightsError("is damaged: the numbers of an array are no bytes; fetch it again") from None
        flat = np.frombuffer(data, dtype=f"<{self.dtype.code}")
        return torch.from_numpy(flat.reshape(self.shape, order="F" if self.fortran else "C").copy())


def made(name: str, arguments: tuple[Any, ...]) -> Dtype | Array | None:
    """What numpy's own constructors describe; None where that is nothing with numbers.

    Raises:
        ValueError: bytes that do not fit the shape.
    """
    if name == "numpy.dtype":
        return Dtype(arguments[0]) if arguments and isinstance(arguments[0], str) else None
    kind = name.rpartition(".")[2]
    if kind == "_reconstruct":
        return Array()
    if kind == "scalar" and len(arguments) == 2:
        return Array().set(arguments[0], (), arguments[1])
    if kind == "_frombuffer" and len(arguments) == 4:
        data, dtype, shape, order = arguments
        return Array().set(dtype, shape, data, order == "F")
    return None
