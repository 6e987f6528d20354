"""What a torch pickle holds once it is read as data: plain values, and descriptions in place of objects."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias


class Storage(NamedTuple):
    """A run of numbers in a file, so many elements of `dtype` under `key`; `start` is where a view of it begins."""

    key: str
    dtype: str
    elements: int
    start: int = 0


class Stored(NamedTuple):
    """A tensor as a pickle describes it, in elements of `dtype` from the start of its storage."""

    storage: Storage
    dtype: str
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class StandIn(NamedTuple):
    """What stands for an object that is of no concern here: nothing but its class's name."""

    name: str


class Name(NamedTuple):
    """What a pickle refers to by module and name; never looked up."""

    text: str


class Encoded(NamedTuple):
    """Bytes that a pickle of protocol 2 holds as text, a character each; encoded when they are used, and not before."""

    text: str


class Dtype:
    """A numpy dtype by its code, `f4`; empty where it is no little-endian number."""

    def __init__(self, code: str) -> None:
        self.code = code


class Array:
    """A numpy array: its shape, dtype and bytes, as they are given when it is made or follow as its state.

    One whose contents are no plain numbers (objects, text) stands for them without content.
    """

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()
        self.dtype: Dtype | None = None
        self.data: bytes | bytearray | str = b""
        self.fortran = False

    @property
    def is_numeric(self) -> bool:
        """Whether it has numbers."""
        return self.dtype is not None


Plain: TypeAlias = str | int | float | bool | bytes | bytearray | None
Key: TypeAlias = str | int | float | bool | bytes | None
"""What a key of a dictionary may be: hashing a tuple of tuples can take forever."""
Pickled: TypeAlias = (
    "Plain | Storage | Stored | StandIn | Name | Encoded | Dtype | Array"
    " | list[Pickled] | tuple[Pickled, ...] | dict[Key, Pickled]"
)
"""Every value that the reader of pickles makes."""
