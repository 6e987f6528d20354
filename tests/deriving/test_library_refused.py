"""What is no usable library is refused, with what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archdsl.deriving.library.facts import LibrarySettings, Named
from archdsl.deriving.library.folder import Library, read_library
from archdsl.deriving.library.work import sample_sizes
from archdsl.errors import SearchError, WrongUse
from tests.support.built_library import built
from tests.support.libraries import SETTINGS, SPACED, saved_parent


def test_a_library_of_something_else_is_refused_with_both_named(library: Library, copied: Path, tmp_path: Path) -> None:
    other = saved_parent(tmp_path, seed=2)
    with pytest.raises(
        SearchError, match=r"another library: its parent is parent1\.\S+ \(\w{8}\), not parent2\.\S+ \(\w"
    ):
        built(other, copied)
    with pytest.raises(SearchError, match=r"its setting steps is 2, not 3; build one in another folder"):
        built(saved_parent(tmp_path), copied, steps=3)
    with pytest.raises(SearchError, match=r"its data is shapetex \(\w{8}\), not photos \(abcdef01\)"):
        library.check(data=Named(name="photos", sha256="abcdef0123"))
    with pytest.raises(SearchError, match="its image size is 32x32, not 64x64"):
        library.check(image=(64, 64))
    with pytest.raises(SearchError, match=r"its space is around-tiny \(\w{8}\), not mine"):
        library.check(space=Named(name="mine", sha256="0"))
    library.check(parent=library.index.parent, data=library.index.data, image=(32, 32), space=library.index.space)


def test_a_half_built_library_is_refused_with_what_is_missing(library: Library, copied: Path) -> None:
    index = json.loads((copied / "index.json").read_text())
    (copied / "index.json").write_text(json.dumps({**index, "entries": []}))
    again = f"repeat archdsl library build PARENT --data DATA -o {copied}, which fits only what is missing"
    with pytest.raises(SearchError, match=f"is half built: its index is not complete; {again}"):
        read_library(copied)
    *_, first, last = library.index.keys
    for key in (first, last):
        (copied / "blocks" / f"{key}.safetensors").unlink()
    with pytest.raises(
        SearchError, match=f"is half built: 2 of {SPACED} alternatives are missing, the first of them {first}; {again}"
    ):
        read_library(copied)


def test_a_missing_or_cut_block_is_refused_by_its_name(library: Library, copied: Path) -> None:
    file = copied / "blocks" / f"{library.index.keys[0]}.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(SearchError, match=f"{file.name} is broken"):
        read_library(copied)
    file.unlink()
    with pytest.raises(SearchError, match=f"{file.name} is missing"):
        read_library(copied)


def test_folders_that_hold_no_library_are_refused(parent: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=r"no such folder: .*; make a library with: archdsl library build"):
        read_library(tmp_path / "none")
    with pytest.raises(WrongUse, match="cannot be made: its folder does not exist"):
        built(parent, tmp_path / "none" / "two")
    with pytest.raises(WrongUse, match="is a file; name a folder"):
        built(parent, parent)
    with pytest.raises(WrongUse, match=r"litv2_s is no trained network; give a \.safetensors that archdsl train or"):
        built(Path("litv2_s"), tmp_path / "two")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(WrongUse, match=r"holds notes\.txt and is no library"):
        built(parent, tmp_path)
    make = "it has no index.json; make a library with: archdsl library build PARENT --data DATA -o FOLDER"
    with pytest.raises(SearchError, match=make):
        read_library(tmp_path)


def test_a_sample_too_small_to_score_is_refused_with_the_number_needed() -> None:
    rule = (
        "a library needs at least 128 training images, 64 to fit blocks on and 64 others to score them on; few has 127"
    )
    with pytest.raises(SearchError, match=rule):
        sample_sizes(127, SETTINGS, "few")
    assert sample_sizes(128, SETTINGS, "few") == (64, 64)
    fitted, scored = sample_sizes(400, LibrarySettings(), "some")
    assert fitted + scored <= 400
    assert fitted > scored >= 64
