"""A library of fitted blocks: nothing is fitted twice, what is wrong is named, and networks have its very tensors."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from archdsl.compile import Backbone
from archdsl.deriving.library import work
from archdsl.deriving.library.activations import map_allocator
from archdsl.deriving.library.blocks import inherited_block
from archdsl.deriving.library.folder import Library, read_library, weights_hash
from archdsl.deriving.library.scoring import Scorer
from archdsl.deriving.library.solutions import Solver
from archdsl.deriving.library.work import model_hash
from archdsl.deriving.parents import read_parent
from archdsl.errors import SearchError
from archdsl.families.common.stage_modules import Stage
from archdsl.language.canonical import canonical_hash
from archdsl.load.alternatives import Alternative
from tests.support.built_library import built, params, results
from tests.support.libraries import SPACED, saved_parent


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


def test_a_parent_is_known_by_its_weights_whether_in_memory_or_in_its_file(parent: Path, tmp_path: Path) -> None:
    model = read_parent(parent).model
    assert model_hash(model) == weights_hash(parent, canonical_hash(model.spec))
    other = read_parent(saved_parent(tmp_path, seed=3)).model
    assert model_hash(other) != model_hash(model)
