"""Arrays and scalars of numpy as a pickle describes them; their numbers stand in the pickle itself."""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from torch import Tensor

from archdsl.errors import WeightsError
from archdsl.weights.pickled import Array, Dtype, Encoded, Pickled

_KINDS = frozenset({"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"})


def made(name: str, arguments: tuple[Pickled, ...]) -> Dtype | Array | None:
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
        return _filled(Array(), arguments[0], (), arguments[1])
    if kind == "_frombuffer" and len(arguments) == 4:
        data, dtype, shape, order = arguments
        return _filled(Array(), dtype, shape, data, order == "F")
    return None


def set_state(value: Array | Dtype, state: Pickled) -> None:
    """Give a value the state that follows it in the pickle.

    A dtype's is (version, byte order, ...), an array's (version, shape, dtype, whether in Fortran's order, bytes).

    Raises:
        ValueError: bytes that do not fit the shape.
    """
    if isinstance(value, Dtype):
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order not in ("<", "=", "|"):
            value.code = ""
    elif isinstance(state, tuple) and len(state) == 5:
        _filled(value, state[2], state[1], state[4], state[3] is True)


def tensor_of(array: Array) -> Tensor:
    """The numbers of an array as a tensor, which does not share them with the pickle.

    Raises:
        WeightsError: they are no bytes.
    """
    assert array.dtype is not None
    try:
        data = array.data.encode("latin-1") if isinstance(array.data, str) else array.data
    except UnicodeEncodeError:
        raise WeightsError("is damaged: the numbers of an array are no bytes; fetch it again") from None
    flat = np.frombuffer(data, dtype=f"<{array.dtype.code}")
    return torch.from_numpy(flat.reshape(array.shape, order="F" if array.fortran else "C").copy())


def _filled(array: Array, dtype: Pickled, shape: Pickled, data: Pickled, fortran: bool = False) -> Array:
    """The array with these contents, if they are plain numbers.

    Raises:
        ValueError: there are more or fewer bytes than the shape needs.
    """
    sides = _sides(shape)
    if sides is None or not isinstance(dtype, Dtype) or dtype.code not in _KINDS:
        return array
    data = data.text if isinstance(data, Encoded) else data
    if not isinstance(data, bytes | bytearray | str) or len(sides) > 32:
        return array
    if len(data) != prod(sides) * int(dtype.code[1]):
        raise ValueError(f"an array of shape {sides} is made of {len(data)} bytes")
    array.shape, array.dtype, array.data, array.fortran = sides, dtype, data, fortran
    return array


def _sides(shape: Pickled) -> tuple[int, ...] | None:
    if not isinstance(shape, tuple):
        return None
    sides = tuple(side for side in shape if isinstance(side, int) and 0 <= side < 2**40)
    return sides if len(sides) == len(shape) else None
