"""The rules by which the ranking benchmarks draw networks, and what they compute of the results."""

from __future__ import annotations

import json
import random
from argparse import Namespace
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import archdsl
from archdsl.deriving.library.facts import Entry
from archdsl.language.canonical import canonical_hash
from archdsl.load.spaces import choices_of, load_space
from archdsl.load.specs import override
from tests.support.places import ROOT

OWN = [("stage1", 0), ("stage1", 1), ("stage2", 0)]
ENTRIES = [
    Entry(key="a", stage="stage1", first=0, span=1, block={}, state="fitted", kl=0.1),
    Entry(key="b", stage="stage1", first=0, span=2, block={}, state="fitted", kl=0.5),
    Entry(key="c", stage="stage2", first=0, span=1, block={}, state="fitted", kl=0.02),
]


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the benchmarks, from which its modules are imported."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.fixture
def inherited(benchmarks: None) -> Any:
    import inherited_ranking

    return inherited_ranking


@pytest.fixture
def library(benchmarks: None) -> Any:
    import library_ranking

    return library_ranking


@pytest.fixture
def ranking(benchmarks: None) -> Any:
    import ranking

    return ranking


def test_points_are_drawn_in_turn_from_each_kind_and_are_the_same_each_time(inherited: Any) -> None:
    from shipped_parent import NETWORK

    name, *changes = NETWORK
    space, parent = load_space("lit-dat-64"), override(archdsl.load_spec(name), changes)
    drawn = inherited.drawn(space, parent, 6)
    assert [kind for kind, _ in drawn[:4]] == ["depth", "narrower", "type", "patch"]
    assert Counter(kind for kind, _ in drawn) == dict.fromkeys(inherited.KINDS, 6)
    assert len({canonical_hash(spec) for _, spec in drawn} | {canonical_hash(parent)}) == 25
    assert drawn == inherited.drawn(space, parent, 6)
    own = choices_of(space, parent)
    for kind, spec in drawn:
        choices = choices_of(space, spec)
        assert choices is not None
        assert own is not None
        assert archdsl.count(spec).macs <= 0.6 * archdsl.count(parent).macs
        differs = {key for key, value in choices.items() if own.get(key) != value}
        assert (choices["stem.patch"] == 4) == (kind == "patch")
        assert kind not in ("depth", "narrower") or differs <= {*inherited.DEPTHS, *(["w"] * (kind == "narrower"))}
        assert choices["w"] == 16 or kind != "narrower"


def test_a_mix_covers_every_position_once(library: Any) -> None:
    generator = random.Random(0)
    seen = set()
    for _ in range(50):
        blocks = library.random_mix(OWN, ENTRIES, 0.6, generator)
        covered = [(block.stage, block.first + place) for block in blocks for place in range(block.span)]
        assert covered == OWN
        seen.add(blocks)
    assert len(seen) == 6
    assert all(block.key is None for block in library.random_mix(OWN, ENTRIES, 0.0, generator))


def test_mixes_are_different_and_have_the_sum_of_their_blocks_scores(library: Any) -> None:
    drawn = library.random_mixes(OWN, ENTRIES, 100, 0)
    assert sorted(round(kl, 2) for kl, _ in drawn) == [0.02, 0.1, 0.12, 0.5, 0.52]
    assert drawn == library.random_mixes(OWN, ENTRIES, 100, 0)


def test_mixes_are_spread_over_the_logarithm_of_the_summed_score(library: Any) -> None:
    drawn = [(0.01 * 1.01**number, ("mix", number)) for number in range(600)]
    kl_of = {mix: kl for kl, mix in drawn}
    chosen = sorted(kl_of[mix] for mix in library.spread(drawn, 5))
    low, high = library.KL
    assert chosen == pytest.approx([low * (high / low) ** share for share in (0.1, 0.3, 0.5, 0.7, 0.9)], rel=0.01)


def test_agreements_are_over_the_rows_that_have_both_sides(ranking: Any) -> None:
    rows = [
        {
            "macs": 10 - number,
            "parts": {"target": {"loss": float(number)}, **({"score": {"loss": 0.0}} if number else {})},
        }
        for number in range(6)
    ]
    scores = {"macs": lambda row: -float(row["macs"]), "score": ranking.part("score"), "none": ranking.part("none")}
    found = ranking.agreements(rows, scores, ranking.part("target"))
    assert found["macs"]["spearman"] == found["macs"]["kendall"] == 1
    assert (found["macs"]["networks"], found["score"]["networks"]) == (6, 5)
    assert found["score"]["spearman"] == 0  # all scores are equal
    assert "none" not in found


def test_what_is_made_already_is_not_made_again(ranking: Any) -> None:
    made, rows = [], [{"name": "a", "parts": {"loss": {"cpu_s": 1.0}}}, {"name": "b", "parts": {}}]

    def make(row: dict[str, Any]) -> dict[str, Any]:
        made.append(row["name"])
        return {"loss": 1.0}

    kept: list[None] = []
    ranking.add_parts(ranking.Job(rows, {"loss": make}, ranking.Deadline(None)), lambda: kept.append(None))
    ranking.add_parts(ranking.Job(rows, {"other": make}, ranking.Deadline(0)), lambda: None)
    assert (made, len(kept)) == (["b"], 1)
    assert set(rows[1]["parts"]) == {"loss"}
    assert set(ranking.seconds_of(rows)) == {"loss"}


def test_several_processes_make_what_one_makes(ranking: Any) -> None:
    rows: list[dict[str, Any]] = [{"name": str(number), "parts": {}} for number in range(4)]
    parts = {
        "first": lambda row: {"loss": float(row["name"])},
        "second": lambda row: {"loss": row["parts"]["first"]["loss"] + 1},
    }
    ranking.add_parts(ranking.Job(rows, parts, ranking.Deadline(None)), lambda: None, processes=2)
    assert [row["parts"]["second"]["loss"] for row in rows] == [1, 2, 3, 4]


def test_results_are_read_back_as_they_were_written(ranking: Any, tmp_path: Path) -> None:
    result = {"what": "a test", "asked": {"steps": 3}, "rows": [{"name": "a", "parts": {}}, {"name": "b"}], "pool": []}
    ranking.write(tmp_path / "results.json", result)
    assert json.loads((tmp_path / "results.json").read_text()) == result
    with pytest.raises(SystemExit, match="results of other settings"):
        ranking.begun(tmp_path / "results.json", "a test", Namespace(steps=4, minutes=1), None)
