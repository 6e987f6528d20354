"""Nothing that a checkpoint names is run, and nothing that it says of sizes is believed."""

from __future__ import annotations

import argparse
import copyreg
import io
import os
import pickle
import resource
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from archdsl.errors import WeightsError
from archdsl.weights import import_weights
from archdsl.weights.checkpoint import read_checkpoint
from tests.support.checkpoints import storage_pickle
from tests.support.weights import copied, model, same


class Calls:
    """Pickles to a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


class Remembers:
    """Pickles to an object whose state is set by a method of its own."""

    def __reduce__(self) -> Any:
        return object.__new__, (Remembers,), {"a": 1}

    def __setstate__(self, state: Any) -> None:
        raise AssertionError("it was run")


class Extension:
    pass


def persistent(_: Any) -> bytes:
    """A persistent id that is a call."""

    class Pickler(pickle._Pickler):
        def persistent_id(self, value: Any) -> Any:
            return Calls(os.mkdir, "ran") if value == "me" else None

    out = io.BytesIO()
    Pickler(out, 2).dump({"a": "me"})
    return out.getvalue()


def extension(_: Any) -> bytes:
    """A class by its number in copyreg's registry."""
    copyreg.add_extension(Extension.__module__, "Extension", 200)
    try:
        return pickle.dumps({"a": Extension}, 2)
    finally:
        copyreg.remove_extension(Extension.__module__, "Extension", 200)


def dumped(value: Callable[[], Any], protocol: int = 2) -> Callable[[Any], bytes]:
    return lambda _: pickle.dumps(value(), protocol)


HOSTILE: dict[str, tuple[Callable[[Any], bytes], str]] = {
    "a command": (dumped(lambda: Calls(os.system, "mkdir ran")), "posix.system"),
    "a command, protocol 4": (dumped(lambda: Calls(os.system, "mkdir ran"), 4), "posix.system"),
    "a command among weights": (dumped(lambda: {"model": {"a": [Calls(os.mkdir, "ran")]}}), "posix.mkdir"),
    "in a configuration": (dumped(lambda: {"args": argparse.Namespace(a=Calls(os.mkdir, "ran"))}), "posix.mkdir"),
    "eval": (dumped(lambda: Calls(eval, "1")), "builtins.eval"),
    "getattr": (dumped(lambda: Calls(getattr, "a", "upper")), "builtins.getattr"),
    "getattr of a function": (dumped(lambda: Calls(getattr, print, "__call__")), "builtins.print"),
    "getattr of a class": (dumped(lambda: Calls(getattr, object, "__subclasses__")), "builtins.getattr"),
    "an import": (dumped(lambda: Calls(__import__, "antigravity")), "builtins.__import__"),
    "a state": (dumped(Remembers), "builtins.getattr"),
    "a module": (dumped(lambda: nn.Linear(1, 1)), "torch.nn.modules.linear.Linear"),
    "torch.load itself": (dumped(lambda: Calls(torch.load, "x")), "torch.serialization.load"),
    "a persistent id": (persistent, "posix.mkdir"),
    "an extension": (extension, "EXT1"),
    "an old instance": (lambda _: b"\x80\x02(ios\nsystem\n.", "INST"),
    "an old object": (lambda _: b"\x80\x02(cos\nsystem\nX\x01\x00\x00\x00ao.", "os.system"),
    "text": (lambda _: b"\x80\x02cos\nsystem\n(S'mkdir ran'\ntR.", "os.system"),
}


@pytest.mark.parametrize("form", ["zip", "pickles", "a bare pickle"])
@pytest.mark.parametrize("what", HOSTILE)
def test_what_names_anything_else_is_refused_and_nothing_of_it_runs(
    what: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make, named = HOSTILE[what]
    data = make(None)
    path = tmp_path / "hostile.pth"
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("hostile/data.pkl", data)
    elif form == "pickles":
        head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
        path.write_bytes(b"".join(pickle.dumps(value, 2) for value in head) + data)
    else:
        path.write_bytes(data)
    built = model()
    before, imported = copied(built), set(sys.modules)
    with pytest.raises(WeightsError) as error:
        import_weights(built, path)
    assert named in str(error.value)
    assert "refused, and nothing of it was run" in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert same(built.state_dict(), before)
    assert not (tmp_path / "ran").exists()
    assert "antigravity" not in set(sys.modules) - imported


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"ccollections\nOrderedDict\nN}X\x01\x00\x00\x00aNs\x86b.", "a state for a Name"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n(tR.", "damaged"),
        (b"}](]]tNs.", "a key that is no plain value"),
        (b"ctorch._tensor\n_rebuild_from_type_v2\n(NNNtR.", "a call of a NoneType"),
        (b"(X\x07\x00\x00\x00storageNNNNtQ.", "a persistent id that is no storage"),
        (b"NNNQ.", "damaged"),
        (b"0.", "damaged"),
        (b"t.", "damaged"),
        (b"h\x05.", "damaged"),
        (b".", "damaged"),
        (b"}", "damaged: "),
        (b"X\xff\xff\xff\x7fa.", "damaged"),
        (b"\x8a\xffa.", "damaged"),
        (b"\x96\xff\xff\xff\xff\xff\xff\xff\x7fa.", "damaged"),
        (b"N" * 2_100_000 + b".", "longer than that of any checkpoint"),
        (b"\xff.", "damaged"),
    ],
)
def test_a_pickle_that_makes_no_sense_is_one_line(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.pth"
    path.write_bytes(b"\x80\x02" + data)
    with pytest.raises(WeightsError, match=message) as error:
        read_checkpoint(path)
    assert len(str(error.value).splitlines()) == 1


def test_a_memo_index_costs_no_memory(tmp_path: Path) -> None:
    """CPython's own unpickler would make a list of that length."""
    path = tmp_path / "memo.pth"
    path.write_bytes(b"\x80\x02}r\xff\xff\xff\x7f.")
    with pytest.raises(WeightsError, match="is a pickle, but not of torch"):
        bounded(lambda: read_checkpoint(path))


def bounded(run: Callable[[], Any], extra: int = 2**30) -> Any:
    """Run with a limit on the address space: 1 GiB more than there is."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + extra, before[1]))
    try:
        return run()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def archive_of(path: Path, pickled: bytes, numbers: bytes = b"", kind: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickled)
        archive.writestr(zipfile.ZipInfo("a/data/0"), numbers, kind)
    return path


@pytest.mark.parametrize(
    ("pickled", "message"),
    [
        (storage_pickle((2**40,), 2**40), 'storage "0" is smaller than the file says it is'),
        (storage_pickle((3,), 2), 'a tensor reaches beyond storage "0"'),
        (storage_pickle((2**20, 2**20), 2, stride=0), "a tensor of 1099511627776 elements is made of 2 numbers"),
    ],
)
def test_declared_sizes_are_held_to_what_is_there(pickled: bytes, message: str, tmp_path: Path) -> None:
    path = archive_of(tmp_path / "large.pth", pickled, bytes(8))
    with pytest.raises(WeightsError, match=message):
        bounded(lambda: read_checkpoint(path))


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = archive_of(tmp_path / "bomb.pth", storage_pickle((2,)), bytes(2**26), zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsError, match='its record "a/data/0" is packed, which torch'):
        read_checkpoint(path)
    path.write_bytes(b"PK\x03\x04" + b"PK\x01\x02" * 60_000)
    with pytest.raises(WeightsError, match="more than 50000 records"):
        read_checkpoint(path)


class ArrayOf:
    """Pickles to numpy's call that makes an array of bytes."""

    def __init__(self, data: bytes, shape: Any, kind: str = "f4") -> None:
        build: Any = np.zeros(1).__reduce_ex__(5)[0]
        self.call = (build, (data, np.dtype(kind), shape, "C"))

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    ("shape", "message"),
    [((3,), "an array of shape"), ((2**20, 2**20), "an array of shape"), ((-1,), "no weights"), ("x", "no weights")],
)
def test_an_array_has_the_numbers_that_are_there(shape: Any, message: str, tmp_path: Path) -> None:
    path = archive_of(tmp_path / "array.pth", pickle.dumps({"weight": ArrayOf(bytes(8), shape)}, 5))
    with pytest.raises(WeightsError, match=message):
        bounded(lambda: read_checkpoint(path))


def test_bytes_that_many_arrays_share_are_not_copied_for_each(tmp_path: Path) -> None:
    """As many gibibytes as there are arrays."""
    data = bytes(2**24)
    value = {f"weight{index}": ArrayOf(data, (2**22,)) for index in range(1000)}
    path = archive_of(tmp_path / "arrays.pth", pickle.dumps(value, 5))
    assert path.stat().st_size < 2**25
    with pytest.raises(WeightsError, match="its arrays have more numbers than the file"):
        bounded(lambda: read_checkpoint(path))
