"""What tables are made of: parts, the networks that carry them, their times and a calibration."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from archdsl import load_spec, override
from archdsl.errors import MeasureError
from archdsl.language.canonical import canonical_hash
from archdsl.language.document import Spec
from archdsl.latency import Setting
from archdsl.latency.rounds import Host, plain_timer
from archdsl.latency.tables import accuracy, session
from archdsl.latency.tables.calibration import PLAIN, Calibration, Sum, fitted, kendall_tau
from archdsl.latency.tables.parts import parts
from archdsl.latency.tables.survey import survey
from archdsl.latency.tables.timing import InPlace, by_key
from archdsl.load.spaces import space_of
from archdsl.spaces.space import Space
from tests.support.tabled import SPACE, small_survey, space_point

CPU = Setting("cpu", 1, "float32", "eager")


@pytest.fixture(scope="module")
def space() -> Space:
    return space_of(SPACE)


# Parts


def test_a_part_is_known_by_what_decides_its_time() -> None:
    plain = load_spec("litv2_s")
    renamed = plain.model_copy(update={"name": "other", "drop_path": 0.0})
    assert [part.key for part in parts(plain)] == [part.key for part in parts(renamed)]
    deeper = override(plain, ["stage3.depth=7"])
    assert {part.key for part in parts(deeper)} == {part.key for part in parts(plain)}
    assert len(parts(deeper)) == len(parts(plain)) + 1
    for change in ("stage3.heads=6", "image=256", "stage2.mlp.ratio=2"):
        assert {part.key for part in parts(override(plain, [change]))} != {part.key for part in parts(plain)}
    assert parts(override(plain, ["stage3.alpha=0.91"])) == parts(plain)  # as many Lo-Fi heads as 0.9 gives


def test_equal_blocks_are_one_part_wherever_they_stand() -> None:
    found = parts(load_spec("litv2_s"))
    stage3 = [part.key for part in found if part.node == "stage3" and part.block is not None]
    assert len(stage3) == 6
    assert len(set(stage3)) == 1
    assert found[-1].facts["classes"] == 1000


def test_a_stage_that_cannot_be_taken_apart_is_one_part_with_its_depth() -> None:
    spec = load_spec("litv2_s")
    whole = parts(spec, frozenset({"hilo"}))
    assert [part.block for part in whole if part.node == "stage3"] == [None]
    deeper = parts(override(spec, ["stage3.depth=7"]), frozenset({"hilo"}))
    assert {part.key for part in whole} != {part.key for part in deeper}


def test_a_stage_of_blocks_in_turn_has_their_parts() -> None:
    nodes: list[Any] = [
        {"id": "stem", "type": "patch_stem", "width": 16},
        {"id": "mixed", "type": "sequence", "depth": 4, "blocks": [{"type": "mlp"}, {"type": "attention", "heads": 2}]},
        {"id": "head", "type": "mean_head"},
    ]
    from archdsl.load.specs import spec_of

    document = {"kind": "arch", "version": 1, "name": "mixed", "image": 32, "classes": 10}
    mixed = parts(spec_of({**document, "nodes": nodes}))
    nodes[1] = {"id": "mixed", "type": "mlp", "depth": 2}
    plain = parts(spec_of({**document, "nodes": nodes}))
    assert [part.block for part in mixed if part.node == "mixed"] == [0, 1, 2, 3, None]
    assert mixed[1].key == mixed[3].key == plain[1].key
    assert mixed[2].key != mixed[1].key


# Survey


def test_the_carriers_hold_every_part_and_the_others_are_networks_of_their_own(space: Space) -> None:
    found = survey(space, frozenset(), calibration=5, held_out=7)
    carried = {part.key for spec in found.carriers for part in parts(spec)}
    assert found.complete
    assert carried == found.keys
    others = [canonical_hash(spec) for spec in (*found.calibration, *found.held_out)]
    assert len({*others, *map(canonical_hash, found.carriers)}) == 12 + len(found.carriers)
    assert {part.key for spec in found.held_out for part in parts(spec)} <= found.keys
    assert survey(space, frozenset(), 5, 7).held_out == found.held_out


def test_what_is_known_needs_no_carrier(space: Space) -> None:
    keys = survey(space, frozenset(), 1, 1).keys
    assert survey(space, keys, 1, 1).carriers == ()
    some = frozenset(sorted(keys)[: len(keys) // 2])
    carried = {part.key for spec in survey(space, some, 1, 1).carriers for part in parts(spec)}
    assert keys - some <= carried


def test_a_space_with_too_few_networks_is_refused(space: Space) -> None:
    rule = r"space 'tiny' has \d+ networks.* give smaller calibration and held_out$"
    with pytest.raises(MeasureError, match=rule) as caught:
        survey(space, frozenset(), 10_000, 1)
    assert str(caught.value.command_text).endswith("; give smaller --calibration and --held-out")


# Timing


def test_parts_in_place_add_up_to_the_nodes_of_the_network() -> None:
    found = parts(space_point())
    net = InPlace(space_point(), found, CPU)
    net()
    net.take(1)
    [taken] = net.taken
    assert set(taken) == {part.key for part in found}
    assert all(math.isfinite(ms) for ms in taken.values())
    assert sum(taken[part.key] for part in found) > 0


def test_a_stages_ends_are_what_its_blocks_leave_of_it() -> None:
    found = parts(override(load_spec("litv2_s"), ["stage3.depth=2"]))
    totals = {(part.node, part.block): 1.0 if part.block is not None else 10.0 for part in found}
    ms = by_key(found, totals)
    ends = next(part for part in found if part.node == "stage3" and part.block is None)
    assert ms[ends.key] == 8.0
    assert ms[found[0].key] == 10.0


def test_a_session_times_every_part_and_every_whole_network(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "MOST_PASSES", 2)
    monkeypatch.setattr(session, "_WARM_UP_S", 0.0)
    monkeypatch.setattr(session, "_SETTLE_S", 0.0)
    monkeypatch.setattr(session, "STEADY", -1.0)
    monkeypatch.setattr(session, "host_of", lambda *_: Host(is_waiting=False))  # every round counts
    found = small_survey(space)
    taken = session.measured(found, CPU, 1, "p10", 3, lambda text: None)
    assert set(taken.parts) == {part.key for spec in found.carriers for part in parts(spec)}
    assert [len(samples) for samples in taken.whole] == [6, 6]
    assert {len(samples) for each in taken.parts.values() for samples in each} == {6}


def test_parts_alone_are_timed_on_what_they_read_in_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = space_point()
    runs = tables_alone(spec)
    assert set(runs) == {(part.node, part.block) for part in parts(spec)} | {(part.node, None) for part in parts(spec)}
    for run in runs.values():
        assert plain_timer("cpu")(run, 1).ms > 0


def tables_alone(spec: Spec) -> dict[Any, Any]:
    from archdsl.latency.tables.timing import alone

    return alone(spec, parts(spec), CPU)


# Calibration


def test_a_calibration_finds_what_a_machine_does_and_starts_from_the_plain_sum() -> None:
    generator = random.Random(0)
    sums = [Sum(generator.uniform(2, 9), generator.randint(8, 20), generator.uniform(0.2, 4)) for _ in range(20)]
    machine = Calibration(1.15, 0.02, 0.1)
    found = fitted(sums, [machine(terms) for terms in sums])
    assert all(math.isclose(found(terms), machine(terms), rel_tol=0.01) for terms in sums)
    assert fitted([], []) == PLAIN
    assert PLAIN(sums[0]) == sums[0].ms


def test_errors_are_relative_and_ranks_are_counted() -> None:
    found = accuracy([1.1, 1.8, 3.0], [1.0, 2.0, 3.0])
    assert (found.networks, round(found.mape, 4), round(found.worst, 4)) == (3, 0.0667, 0.1)
    assert found.kendall_tau == 1.0
    assert kendall_tau([1, 2, 3], [3, 2, 1]) == -1.0
    assert kendall_tau([1, 1, 1], [1, 2, 3]) == 0.0
    assert math.isclose(kendall_tau([1, 2, 3, 4], [1, 3, 2, 4]), 4 / 6)


def test_the_parts_of_an_inference_form_are_timed_in_place() -> None:
    spec = space_point()
    run = InPlace(spec, parts(spec), CPU, optimize=True)
    run.take(1)
    assert run.taken[0].keys() == {part.key for part in parts(spec)}
    assert all(ms > 0 for ms in run.taken[0].values())
