"""The time of building a library: shared by the stages, kept by processes, and enough for what is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archdsl.deriving.library import work
from archdsl.deriving.library.building import build_library
from archdsl.deriving.library.folder import Library, read_library
from archdsl.deriving.library.stage_times import stage_ends
from archdsl.deriving.library.time_limit import TimeLimit
from archdsl.deriving.library.wanted import wanted_alternatives
from archdsl.language.block_lists import block_document
from archdsl.load.spaces import space_of
from archdsl.spaces.block_choices import block_choices
from tests.support.built_library import results
from tests.support.libraries import SETTINGS, parent_spec, space_around


def test_some_alternatives_or_some_time_make_a_library_of_what_was_fitted_which_is_completed_later(
    library: Library, parent: Path, tmp_path: Path
) -> None:
    keys = library.index.keys
    space, out = space_of(space_around()), tmp_path / "some"

    def build_some(folder: Path = out, **named: Any) -> Library:
        return build_library(
            parent, "shapetex", folder, space=space, settings=SETTINGS, train_images=128, device="cpu", **named
        )

    some = build_some(keys=[keys[4], keys[1]])
    assert some.index.keys == (keys[1], keys[4])
    assert read_library(out) == some
    assert not build_some(tmp_path / "none", seconds=0.0).usable
    more = build_some(keys=[keys[0]], seconds=0.0)
    assert set(more.index.keys) == {keys[1], keys[4]}
    assert results(build_some()) == results(library)


def test_a_building_ends_with_its_time_or_after_half_of_it_where_too_little_would_be_finished() -> None:
    now = [0.0]
    limit = TimeLimit(60.0, 10, clock=lambda: now[0])
    for seconds, finished, is_over in (
        (29.0, 0, False),
        (30.0, 5, False),
        (30.0, 4, True),
        (59.9, 5, False),
        (60, 99, True),
    ):
        now[0] = seconds
        assert limit.is_over(finished) is is_over
    assert not TimeLimit(None, 10, clock=lambda: 1e9).is_over(0)


def test_processes_end_when_the_time_is_over(parent: Path, tmp_path: Path) -> None:
    space = space_of(space_around())
    made = build_library(
        parent,
        "shapetex",
        tmp_path / "short",
        space=space,
        settings=SETTINGS.model_copy(update={"steps": 10_000_000}),
        train_images=128,
        workers=2,
        device="cpu",
        seconds=1.0,
    )
    assert not made.usable


def test_the_stages_share_the_time_by_their_work() -> None:
    parent = parent_spec()
    offered = [each for _, each in wanted_alternatives(parent, space_of(space_around()))]
    ends = stage_ends(parent, offered, SETTINGS, 100.0)
    assert list(ends) == [node.id for node in parent.nodes]
    assert 0 == ends["stem"] < ends["stage1"] < ends["stage2"] == ends["head"] == pytest.approx(100)
    only = stage_ends(parent, [each for each in offered if each.stage == "stage2"], SETTINGS, 100.0)
    assert only["stage1"] == 0


def test_where_the_time_is_limited_no_kind_and_no_place_comes_first(parent: Path, tmp_path: Path) -> None:
    document: Any = block_choices(parent_spec())[0]
    job = work.Job(str(parent), "shapetex", document, str(tmp_path), SETTINGS, 128, "cpu", (0, 1))
    plain, shuffled = (work.Work(job._replace(seconds=seconds)).wanted for seconds in (None, 1.0))
    assert plain != shuffled
    assert sorted(key for key, _ in plain) == sorted(key for key, _ in shuffled)
    first = [each for _, each in shuffled[: len(shuffled) // 2]]
    assert {each.span for each in first} == {1, 2, 3}
    for stage, places in (("stage1", {0, 1}), ("stage2", {0, 1, 2})):
        assert {each.first for each in first if each.stage == stage} == places
    assert len({str(block_document(each.block)["type"]) for each in first}) >= 5


def test_the_time_of_a_building_that_processes_share_goes_on_while_they_start(parent: Path, tmp_path: Path) -> None:
    document: Any = block_choices(parent_spec())[0]
    job = work.Job(str(parent), "shapetex", document, str(tmp_path), SETTINGS, 128, "cpu", (0, 1), seconds=1e6)
    shared = work.Work(job).shared(tmp_path)
    assert shared.began is not None
    assert work.Work(shared).seconds_left
    assert work.Work(shared._replace(began=shared.began - 1e6)).seconds_left == 0


def test_two_processes_give_what_one_gives(library: Library, parent: Path, tmp_path: Path) -> None:
    space = space_of(space_around())
    both = build_library(
        parent, "shapetex", tmp_path / "two", space=space, settings=SETTINGS, train_images=128, device="cpu", workers=2
    )
    for one, two in zip(library.index.entries, both.index.entries, strict=True):
        assert (two.key, two.state) == (one.key, one.state)
        assert two.kl == pytest.approx(one.kl, abs=1e-5)
    assert not [*both.folder.glob(".maps*")]
