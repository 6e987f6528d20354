"""A library of fitted blocks: nothing is fitted twice, what is wrong is named, and networks have its very tensors."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from archdsl.compile import Backbone, build
from archdsl.cost import count
from archdsl.deriving.choice import BudgetTooSmall
from archdsl.deriving.fitting import RefitSettings
from archdsl.deriving.library import work
from archdsl.deriving.library.activations import map_allocator
from archdsl.deriving.library.blocks import inherited_block
from archdsl.deriving.library.building import build_library
from archdsl.deriving.library.derived import derive
from archdsl.deriving.library.facts import LibrarySettings, Named
from archdsl.deriving.library.folder import Library, read_library, weights_hash
from archdsl.deriving.library.scoring import Scorer
from archdsl.deriving.library.solutions import Solver
from archdsl.deriving.library.stage_times import stage_ends
from archdsl.deriving.library.time_limit import TimeLimit
from archdsl.deriving.library.wanted import wanted_alternatives
from archdsl.deriving.library.work import model_hash, sample_sizes
from archdsl.deriving.parents import read_parent
from archdsl.errors import SearchError, WrongUse
from archdsl.families.common.stage_modules import Stage
from archdsl.language.block_lists import block_document
from archdsl.language.canonical import canonical_hash
from archdsl.language.document import Spec
from archdsl.load.alternatives import Alternative
from archdsl.load.spaces import space_of
from archdsl.load.specs import override
from archdsl.render.library import library_sheet
from archdsl.spaces.block_choices import block_choices
from tests.support.libraries import SETTINGS, SPACED, parent_spec, saved_parent, space_around
from tests.support.screens import text_of


def built(parent: Path, out: Path, **changes: object) -> Library:
    settings = SETTINGS.model_copy(update=changes)
    return build_library(
        parent, "shapetex", out, space=space_of(space_around()), settings=settings, train_images=128, device="cpu"
    )


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


def results(library: Library) -> list[tuple[object, ...]]:
    """All that a building gives but seconds."""
    facts = [entry.model_dump(exclude={"seconds"}) for entry in library.index.entries]
    tensors = [{name: t.tolist() for name, t in load_file(library.file(e.key)).items()} for e in library.usable]
    return [*zip(facts, tensors, strict=True)]


def test_every_alternative_of_the_space_is_fitted_and_scored(library: Library) -> None:
    assert len(library.usable) == SPACED
    assert {entry.span for entry in library.usable} == {1, 2, 3}
    for entry in library.usable:
        assert entry.kl is not None
        assert 0 <= entry.kl < math.log(20)
        assert entry.before is not None
        assert entry.after is not None
        assert entry.after <= entry.before
        assert (entry.state == "fitted") == (entry.after < entry.before)


def test_what_is_finished_is_not_fitted_again_and_a_broken_off_building_gives_the_same(
    library: Library, copied: Path, parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a kill the index has no entries yet; a file that was cut off counts as missing."""
    keys = library.index.keys
    index = json.loads((copied / "index.json").read_text())
    (copied / "index.json").write_text(json.dumps({**index, "entries": []}))
    (copied / "blocks" / f"{keys[3]}.safetensors").unlink()
    cut = copied / "blocks" / f"{keys[7]}.safetensors"
    cut.write_bytes(cut.read_bytes()[:-8])
    fitted = list[Alternative]()

    def counted(parent: Backbone, alternative: Alternative, seed: int) -> nn.Module:
        fitted.append(alternative)
        return inherited_block(parent, alternative, seed)

    monkeypatch.setattr(work, "inherited_block", counted)
    again = built(parent, copied)
    assert [(each.stage, each.first, each.span) for each in fitted] == [
        (entry.stage, entry.first, entry.span) for entry in (library.index.entries[3], library.index.entries[7])
    ]
    assert results(again) == results(library)
    fitted.clear()
    built(parent, copied)
    assert not fitted


def test_a_broken_index_is_made_again_from_the_blocks(library: Library, copied: Path, parent: Path) -> None:
    (copied / "index.json").write_text("{")
    with pytest.raises(SearchError, match=r"is no library: its index\.json is broken; repeat archdsl library build"):
        read_library(copied)
    assert results(built(parent, copied)) == results(library)


def test_an_alternative_that_gives_nan_is_left_out_and_named(
    parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def spoiled(parent: Backbone, alternative: Alternative, seed: int) -> nn.Module:
        block = inherited_block(parent, alternative, seed)
        if (alternative.stage, alternative.first, alternative.span) == ("stage2", 1, 1):
            torch.nn.init.constant_(next(block.parameters()), math.nan)
        return block

    monkeypatch.setattr(work, "inherited_block", spoiled)
    library = built(parent, tmp_path / "spoiled", steps=1)
    (left_out,) = library.left_out
    assert (left_out.name, left_out.reason) == ("stage2.1 mlp", "its fit gave NaN or infinities")
    assert len(library.usable) == SPACED - 1
    assert all(block.key != left_out.key for block in Solver(library, params).solve({}).blocks)  # type: ignore[union-attr]


def test_the_parents_own_block_loses_nothing_and_another_one_does(parent: Path, tmp_path: Path) -> None:
    model = read_parent(parent).model
    with map_allocator(tmp_path, in_memory=1000) as allocate:
        scorer = Scorer(model, torch.randn(130, 3, 32, 32), allocate)
        scorer.enter("stage2")
        stage = model.stage2
        assert isinstance(stage, Stage)
        blocks = list(stage.blocks)
        assert scorer.kl(1, 1, blocks[1]) == pytest.approx(0, abs=1e-9)
        assert scorer.kl(1, 1, torch.nn.Identity()) > 1e-5
        assert scorer.kl(1, 2, blocks[1]) > 1e-5


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


def params(spec: Spec) -> dict[str, float]:
    return {"params": float(count(spec).params), "macs": float(count(spec).macs)}


def test_a_solution_keeps_the_budgets_by_its_own_count(library: Library) -> None:
    solver, whole = Solver(library, params), params(parent_spec())
    limits = {name: 0.8 * value for name, value in whole.items()}
    derived = solver.solve(limits)
    assert derived is not None
    assert derived.exchanged
    assert params(derived.spec) == pytest.approx(derived.costs)
    assert all(derived.costs[name] <= limit for name, limit in limits.items())
    second = solver.solve(limits, unlike=[derived])
    assert second is not None
    assert second.kl >= derived.kl
    assert solver.solve({}).kl == 0  # type: ignore[union-attr]
    with pytest.raises(BudgetTooSmall, match=r"params of at most 100; the least is \d+"):
        solver.solve({"params": 100})


def test_a_network_is_known_by_the_blocks_that_make_it_up_with_the_least_loss(library: Library) -> None:
    solver, whole = Solver(library, params), params(parent_spec())
    for share in (1.0, 0.8, 0.6):
        derived = solver.solve({"params": share * whole["params"]})
        assert derived is not None
        found = solver.blocks_of(derived.spec)
        assert found is not None
        assert canonical_hash(solver.named(found)) == canonical_hash(derived.spec)
        kl = {entry.key: entry.kl for entry in library.usable}
        assert sum(kl[block.key] or 0.0 for block in found if block.key is not None) <= derived.kl + 1e-12
    assert solver.blocks_of(override(parent_spec(), ["stage2.mlp.ratio=3"])) is None
    assert solver.blocks_of(override(parent_spec(), ["merge1.width=32"])) is None
    assert solver.blocks_of(override(parent_spec(), ["stage2.depth=4"])) is None


def test_networks_and_tables_have_the_parents_order_whatever_the_order_of_the_entries(library: Library) -> None:
    backwards = library.index.model_copy(
        update={"entries": library.index.entries[::-1], "keys": library.index.keys[::-1]}
    )
    shuffled = replace(library, index=backwards)
    derived = Solver(shuffled, params).solve({"params": 0.6 * params(parent_spec())["params"]})
    assert derived is not None
    assert [(block.stage, block.first) for block in derived.blocks] == sorted(
        (block.stage, block.first) for block in derived.blocks
    )
    assert {block.stage for block in derived.blocks} == {"stage1", "stage2"}
    rows = [line.split()[0] for line in text_of(library_sheet(shuffled)).splitlines() if line.startswith("stage")]
    assert rows == sorted(rows)


def test_a_derived_network_has_exactly_the_librarys_tensors_and_the_parents(library: Library, parent: Path) -> None:
    source = read_parent(parent)
    derived = Solver(library, params).solve({"params": 0.7 * params(parent_spec())["params"]})
    assert derived is not None
    model = build(derived.spec).eval()
    report = derive(model, source, derived.blocks, library.folder)
    state, theirs = model.state_dict(), source.model.state_dict()
    assert torch.equal(state["stem.proj.weight"], theirs["stem.proj.weight"])
    for stage in ("stage1", "stage2"):
        for place, block in enumerate(each for each in derived.blocks if each.stage == stage):
            prefix, old = f"{stage}.blocks.{place}.", f"{stage}.blocks.{block.first}."
            wanted = {key.removeprefix(old): value for key, value in theirs.items() if key.startswith(old)}
            if block.key is not None:
                wanted = load_file(library.file(block.key))
            mine = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
            assert mine.keys() == wanted.keys()
            assert all(torch.equal(mine[key], wanted[key]) for key in mine)
    assert any(tensor.note == "fitted" for tensor in report.tensors)
    again = build(derived.spec).eval()
    refitted = derive(again, source, derived.blocks, library.folder, torch.randn(64, 3, 32, 32), RefitSettings(2))
    assert {block.outcome for block in refitted.refits} <= {"fitted", "kept", "exact"}


def test_a_parent_is_known_by_its_weights_whether_in_memory_or_in_its_file(parent: Path, tmp_path: Path) -> None:
    model = read_parent(parent).model
    assert model_hash(model) == weights_hash(parent, canonical_hash(model.spec))
    other = read_parent(saved_parent(tmp_path, seed=3)).model
    assert model_hash(other) != model_hash(model)


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
