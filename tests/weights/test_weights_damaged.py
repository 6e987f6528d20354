"""Files that are cut, changed or no checkpoint at all are told in one line."""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from archdsl.errors import WeightsError, WrongUse
from archdsl.weights import import_weights
from archdsl.weights.checkpoint import read_checkpoint
from tests.support.checkpoints import FORMS, Write, storage_pickle, writer
from tests.support.weights import copied, model, published, same


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return writer(tmp_path)


@pytest.mark.parametrize("form", ["zip", "pickles"])
@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.9999])
def test_a_cut_file_is_one_line(write: Any, form: str, share: float) -> None:
    built = model()
    path = write({"model": published(built)}, **FORMS[form])
    data = path.read_bytes()
    path.write_bytes(data[: max(12, int(len(data) * share))])
    before = copied(built)
    with pytest.raises(WeightsError) as error:
        import_weights(built, path)
    assert len(str(error.value).splitlines()) == 1
    assert same(built.state_dict(), before)


def test_a_changed_byte_is_found_by_the_checksum(write: Any) -> None:
    built = model()
    path = write(published(built))
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("checkpoint/data/3")
    lengths = struct.unpack("<2H", data[info.header_offset + 26 : info.header_offset + 30])
    data[info.header_offset + 30 + sum(lengths)] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="is damaged: a checksum does not hold"):
        import_weights(built, path)


def big_endian(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", storage_pickle())
        archive.writestr("a/byteorder", "big")


def script(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}, 2))
        archive.writestr("a/constants.pkl", pickle.dumps((), 2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), r"is not a file but a folder; give the path of the checkpoint"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_text("hello, world"), "neither torch.save's format nor safetensors"),
        (lambda path: path.write_text("<!DOCTYPE html><html>"), "is an HTML page"),
        (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1"), "is a Git LFS pointer"),
        (lambda path: path.write_bytes(b"\x10\0\0\0\0\0\0\0{not json at all}"), "is a damaged safetensors file"),
        (lambda path: zipfile.ZipFile(path, "w").close(), "neither torch.save's format nor safetensors"),
        (big_endian, "big-endian"),
        (script, "is a TorchScript program"),
        (lambda path: torch.save([1, 2], path), "there are no weights in it; it holds a list"),
        (lambda path: torch.save({}, path), "there are no weights in it; it is an empty dictionary"),
        (lambda path: torch.save({"epoch": 3, "model": {}}, path), "there are no weights in it; its keys are"),
        (lambda path: path.write_bytes(pickle.dumps({"a": 1}, 2)), "is a pickle, but not of torch.save"),
    ],
)
def test_what_is_no_checkpoint_is_told_in_one_line(make: Callable[[Path], Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "file.pth"
    make(path)
    with pytest.raises(WeightsError, match=message) as error:
        read_checkpoint(path)
    assert str(error.value).startswith(f"{path}: ")
    assert len(str(error.value).splitlines()) == 1


def test_a_file_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="no such file: "):
        read_checkpoint(tmp_path / "none.pth")


def test_shared_containers_are_not_walked_again_and_again() -> None:
    """Twenty levels of four references each: a million million paths."""
    value: Any = {}
    for _ in range(20):
        value = dict.fromkeys(("model", "state_dict", "state_dict_ema", "model_ema"), value)
    with pytest.raises(WeightsError, match="there are no weights"):
        read_checkpoint(value)
