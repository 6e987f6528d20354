"""Checkpoint files: torch's zip archives, its older files of pickles in a row, and safetensors.

A file is mapped, never read whole; a tensor is a view of the map. So memory stays at what the file really holds,
whatever it says that it holds.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Callable
from io import BytesIO
from math import prod
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from archdsl.errors import WeightsError, WrongUse, short
from archdsl.weights.arrays import tensor_of
from archdsl.weights.containers import held
from archdsl.weights.contents import Contents, Held, TensorLike
from archdsl.weights.pickled import Array, Pickled, Storage, Stored
from archdsl.weights.pickles import read_pickle
from archdsl.weights.zip_records import check_sum, checked, records_in

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
"""How torch's older files begin."""
_MOST_SPREAD = 2**20
"""Elements that a tensor may have beyond those of its storage (a stride of 0 repeats them)."""
_MOST_HEADER = 2**26
_OTHERS = {
    b"<": "an HTML page: the download gave a page instead of the file",
    b"version https://git-lfs": "a Git LFS pointer: fetch the file itself with git lfs pull",
    b"\x1f\x8b": "a gzip file: unpack it first",
}

Span = tuple[int, int]
"""Where something lies in a file, (start, bytes)."""


_Opened: TypeAlias = tuple[Held, Callable[[TensorLike], Tensor]]
"""The values of a file, and how the numbers of its tensors are found."""


# Why not torch.load(weights_only=True) with safe_globals: of 351 files of tests/weights that are no safetensors, torch
# 2.13 treats 275 alike; 76 that are read here are refused there:
# - pickles of protocol 4 and 5, whose opcodes its reader does not have (zip archives and older files);
# - names that only a module's prefix describes: optimizers and schedulers as objects, numpy's random states, specs of
#   ours, mmengine's logs with bound methods; queues, and classes that are not installed and have a state of their own;
# - older files with an untyped storage, and zip archives without the record `version`.
# Besides, it makes every tensor of the file before one is asked for, reads older files whole, and unpacks a packed
# record, so that memory would follow what a file says of itself.


def read_file(path: Path) -> Contents:
    """The contents of a checkpoint file; its tensors are views of the file, on the CPU.

    Raises:
        WrongUse: there is no such file.
        WeightsError: it is no checkpoint, damaged, or names what no checkpoint needs.
    """
    if not path.exists():
        raise WrongUse(f"no such file: {path}")
    if not path.is_file():
        raise WeightsError(f"{path}: is not a file{' but a folder' * path.is_dir()}; give the path of the checkpoint")
    if path.stat().st_size == 0:
        raise WeightsError(f"{path}: is empty")
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        value, tensor = _contents(path, data)
        return Contents(value, _with_arrays(tensor, len(data)), digest)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None


def _contents(path: Path, data: mmap.mmap) -> _Opened:
    if is_safetensors(data):
        return held(_safetensors(path)), _as_it_is
    if data[:4] == b"PK\x03\x04":
        return _zip(data)
    if data[:1] == b"\x80":
        return _pickles(data)
    for start, what in _OTHERS.items():
        if data[: len(start)] == start:
            raise WeightsError(f"is {what}")
    raise WeightsError("is not a checkpoint: neither torch.save's format nor safetensors")


def _with_arrays(tensor: Callable[[TensorLike], Tensor], most: int) -> Callable[[TensorLike], Tensor]:
    """The same for numpy's arrays too; of these as many bytes as the file has, however often it refers to them."""
    made: set[int] = set()
    left = most

    def tensor_or_array(value: TensorLike) -> Tensor:
        nonlocal left
        if not isinstance(value, Array):
            return tensor(value)
        if id(value) not in made:
            made.add(id(value))
            left -= len(value.data)
        if left < 0:
            raise WeightsError("its arrays have more numbers than the file")
        return tensor_of(value)

    return tensor_or_array


def _as_it_is(value: TensorLike) -> Tensor:
    """A tensor that needs no making."""
    assert isinstance(value, Tensor)
    return value


def is_safetensors(data: mmap.mmap) -> bool:
    """Whether a file begins as safetensors do: the header's length, then the header."""
    return data[8:9] == b"{" and 8 + int.from_bytes(data[:8], "little") <= len(data)


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise WeightsError(f"is a damaged safetensors file: {short(str(error))}") from None


# ------------------------------------------------------------------------------------------------- torch's zip archives


def _zip(data: mmap.mmap) -> _Opened:
    records = records_in(data)
    main = next((name for name in records if name.split("/")[1:] == ["data.pkl"]), None)
    if main is None:
        raise WeightsError("is a zip archive, but not of torch.save: it has no data.pkl")
    folder = main.removesuffix("data.pkl")
    if f"{folder}constants.pkl" in records:
        raise WeightsError("is a TorchScript program; save the state_dict of what it was made from")
    order = records.get(f"{folder}byteorder")
    if order is not None and checked(data, order) != b"little":
        raise WeightsError("was written on a big-endian machine; save it anew on a little-endian one")
    value = read_pickle(BytesIO(checked(data, records[main])))
    spans: dict[str, Span] = {}

    def span(storage: Storage) -> Span:
        if storage.key not in spans:
            record = records.get(f"{folder}data/{storage.key}")
            if record is None:
                raise WeightsError(f"the numbers of storage {short(storage.key)} are not in it")
            check_sum(data, record)
            spans[storage.key] = record.start, record.size
        return spans[storage.key]

    return value, lambda stored: _tensor(data, stored, span)


# ------------------------------------------------------------------------------------------- torch's files before 1.6


def _pickles(data: mmap.mmap) -> _Opened:
    if read_pickle(data) != _MAGIC:
        raise WeightsError("is a pickle, but not of torch.save; save the state_dict with torch.save")
    if read_pickle(data) != _PROTOCOL:
        raise WeightsError("uses an unknown protocol")
    system = read_pickle(data)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise WeightsError("was written on a big-endian machine; save it anew on a little-endian one")
    storages: dict[str, Storage] = {}
    value = read_pickle(data, storages)
    spans = _spans(data, read_pickle(data), storages)

    def span(storage: Storage) -> Span:
        if storage.key not in spans:
            raise WeightsError(f"the numbers of storage {short(storage.key)} are not in it")
        return spans[storage.key]

    return value, lambda stored: _tensor(data, stored, span)


def _spans(data: mmap.mmap, keys: Pickled, storages: dict[str, Storage]) -> dict[str, Span]:
    """Where each storage lies after the pickles: its length in elements, then its numbers."""
    spans: dict[str, Span] = {}
    listed = [key for key in keys if isinstance(key, str) and key in storages] if isinstance(keys, list) else []
    if keys != listed:
        raise WeightsError("its list of storages is damaged")
    at = data.tell()
    for key in listed:
        count = int.from_bytes(data[at : at + 8], "little")
        size = count * _dtype(storages[key].dtype).itemsize
        if at + 8 + size > len(data):
            raise WeightsError("is cut: the numbers of a tensor are missing; fetch it again")
        spans[key] = at + 8, size
        at += 8 + size
    return spans


# ------------------------------------------------------------------------------------------------------------- tensors


def _tensor(data: mmap.mmap, stored: TensorLike, span: Callable[[Storage], Span]) -> Tensor:
    """The tensor that is described, as a view of the file."""
    assert isinstance(stored, Stored)
    dtype, (start, size) = _dtype(stored.dtype), span(stored.storage)
    count = size // dtype.itemsize
    if stored.storage.elements * _dtype(stored.storage.dtype).itemsize > size:
        raise WeightsError(f"storage {short(stored.storage.key)} is smaller than the file says it is")
    if prod(stored.size) > max(count, _MOST_SPREAD):
        raise WeightsError(f"a tensor of {prod(stored.size)} elements is made of {count} numbers")
    flat = torch.frombuffer(data, dtype=dtype, count=count, offset=start) if count else torch.empty(0, dtype=dtype)
    try:
        return flat.as_strided(stored.size, stored.stride, stored.offset)
    except RuntimeError:
        raise WeightsError(f"a tensor reaches beyond storage {short(stored.storage.key)}") from None


def _dtype(name: str) -> torch.dtype:
    dtype = getattr(torch, name)
    assert isinstance(dtype, torch.dtype)
    return dtype
