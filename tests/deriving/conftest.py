"""A finished library that the tests of libraries share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from archdsl.deriving.library.folder import Library
from tests.support.built_library import built
from tests.support.libraries import saved_parent


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_parent(tmp_path_factory.mktemp("parents"))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, parent: Path) -> Library:
    """A finished one, which no test changes."""
    return built(parent, tmp_path_factory.mktemp("library") / "one")


@pytest.fixture
def copied(library: Library, tmp_path: Path) -> Path:
    """The folder of a copy, to be changed."""
    shutil.copytree(library.folder, tmp_path / "copy")
    return tmp_path / "copy"
