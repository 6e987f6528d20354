"""What the header of a file tells is read, left out where it is of another version, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from archdsl import load_model
from archdsl.compile import build
from archdsl.errors import ArchError, WeightsError, WrongUse
from archdsl.load.spaces import load_space
from archdsl.search.policy.propose import DrawingPolicy
from archdsl.search.propose.proposals import first_candidate
from archdsl.weights import ModelFacts, read_facts, save_model
from tests.support.searching import settings


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A file as earlier versions wrote it."""
    torch.manual_seed(0)
    save_model(
        build(first_candidate(load_space("lit-dat-64"), settings(), DrawingPolicy()).spec),
        tmp_path / "older.safetensors",
    )
    return tmp_path / "older.safetensors"


def rewritten(file: Path, **keys: str) -> Path:
    """The same file with other keys in its header."""
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    table = json.loads(data[8 : 8 + length])
    table["__metadata__"] |= keys
    text = json.dumps(table).encode()
    text += b" " * (-len(text) % 8)
    file.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    return file


def test_older_files_load_and_say_nothing_of_these(older: Path) -> None:
    assert read_facts(older) == ModelFacts()
    assert load_model(older).spec.name


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("classes", "{"),
        ("classes", '"cat"'),
        ("classes", "[1, 2]"),
        ("preprocessing", "{}"),
        ("preprocessing", "[" * 100_000),
        ("accuracy", '{"validation": {"accuracy": NaN}}'),
        ("provenance", "7"),
    ],
)
def test_keys_that_cannot_be_read_are_refused_by_name(older: Path, key: str, value: str) -> None:
    with pytest.raises(WeightsError, match=f"its header's key '{key}' cannot be read"):
        read_facts(rewritten(older, **{key: value}))


def test_keys_of_a_later_version_are_left_out(older: Path) -> None:
    file = rewritten(older, classes='["a", "b"]', later="what is this")
    assert read_facts(file).classes == ("a", "b")
    assert load_model(file).spec.name


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x01",
        b"\xff" * 64,
        (10**9).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (24).to_bytes(8, "little") + b'{"__metadata__": {"a": 1}}'[:24],
        (26).to_bytes(8, "little") + b'{"__metadata__": {"a":"1"}}'[:27],
        (3).to_bytes(8, "little") + b"\xff\xfe\xfd",
    ],
)
def test_what_is_no_file_of_ours_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "odd.safetensors"
    file.write_bytes(content)
    with pytest.raises(WeightsError, match="make one with"):
        read_facts(file)


def test_no_file_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="no such file"):
        read_facts(tmp_path / "none.safetensors")
    with pytest.raises(ArchError, match="is not a file"):
        read_facts(tmp_path)
