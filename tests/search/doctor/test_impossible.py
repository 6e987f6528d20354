"""`archdsl check` warns of values of a space that no network can have, and of none that one can."""

from __future__ import annotations

import io
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from archdsl.errors import SpecError
from archdsl.load.spaces import load_space, space_of
from archdsl.search.doctor.impossible import impossible_values, warnings_of
from archdsl.search.doctor.points import Points
from archdsl.search.doctor.survey import survey
from archdsl.search.policy import SHIPPED
from archdsl.search.policy.doctor import ProofPolicy
from archdsl.spaces.space import Space
from archdsl.spaces.variables import variables
from tests.support.commands import Run, command_line
from tests.support.examining import space, written
from tests.support.small_spaces import HEAD, MLP, Raw, one_of, raw

run = pytest.fixture(command_line)

CONSTRAINTS = [
    *("w <= 32", "w >= 24", "w != 48", "d1 == d2", "d1 + d2 <= 3", "d2 < d1", "mlp == 'plain'", "d1 % 2 == 0"),
    *("stage2 == 'hilo'", "stage2 != 'hilo' or d1 == 1", "d1 > 2 or stage2 == 'mlp'", "stage2.hilo.alpha == 0.5"),
    *("merge1.width >= 64", "d2 == 1 or w == 16", "stage2.depth <= stage1.depth"),
]


def with_heads(constraints: list[str], *heads: int) -> Raw:
    document = space(constraints=constraints)
    if heads:
        document["nodes"][3]["$one_of"][1]["heads"] = one_of(*heads)
    return document


def values(found: Space, policy: ProofPolicy = SHIPPED.proof) -> set[tuple[str, Any]]:
    return {(value.name, value.value) for value in impossible_values(found, policy)}


def test_every_impossible_value_is_told_with_its_place_and_reason(run: Run, tmp_path: Path) -> None:
    path = written(tmp_path, with_heads(["w != 48"], 4, 7))
    ended = run("check", path)
    assert (ended.code, ended.err) == (0, "")
    good, width, heads = ended.out.splitlines()
    assert good.startswith(f"{path}: ok: ")
    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if text.strip() == "48,")
    assert width.startswith(f"{path}:{line}:")
    assert width.endswith(
        ": warning: nodes[0].width.$one_of[2]: w = 48 can never occur: constraints[0]: the constraint w != 48 does not "
        "hold; remove 48, or change what forbids it"
    )
    assert ": warning: nodes[3].$one_of[1].heads.$one_of[1]: stage2.hilo.heads = 7 can never occur: " in heads
    assert "heads: none of the widths 32, 64, 96 and 128 is a multiple of 7; remove 7, or" in heads


def reasons(document: Raw) -> dict[tuple[str, Any], str]:
    found = impossible_values(space_of(document), SHIPPED.proof)
    return {(value.name, value.value): str(value.reasons) for value in found}


def test_a_value_that_fits_no_width_is_told_with_all_widths_and_no_remedy_for_one_of_them() -> None:
    heads = {"id": "stage1", "type": "attention", "depth": 1, "heads": one_of(2, 7, name="h")}
    merge = {"id": "merge1", "type": "conv_merge", "width": one_of(48, 64, 100, name="w")}
    document = raw(merge, heads)
    found = space_of(document)
    (problem,) = warnings_of(found, SHIPPED.proof)
    assert str(problem) == (
        "nodes[2].heads.$one_of[1]: h = 7 can never occur: nodes[2].heads: none of the widths 48, 64 and 100 is a "
        "multiple of 7; remove 7, or change what forbids it"
    )


def test_a_width_that_fits_no_number_of_heads_is_told_with_all_of_them() -> None:
    heads = {"id": "stage1", "type": "attention", "depth": 1, "heads": one_of(6, 8, name="h")}
    merge = {"id": "merge1", "type": "conv_merge", "width": one_of(48, 100, name="w")}
    (reason,) = reasons(raw(merge, heads)).values()
    assert reason == "nodes[2].heads: width 100 is a multiple of none of the heads 6 and 8"


def test_a_constraint_and_a_shape_rule_that_both_forbid_a_value_are_both_named() -> None:
    [reason] = reasons(with_heads(["stage2.hilo.heads != 7"], 4, 7)).values()
    constraint, shape = reason.split("; besides, ")
    assert constraint == "constraints[0]: the constraint stage2.hilo.heads != 7 does not hold"
    assert shape == "nodes[3].$one_of[1].heads: none of the widths 32, 64, 96 and 128 is a multiple of 7"


def test_a_constraint_that_fails_some_choices_is_not_named_where_a_shape_rule_fails_all() -> None:
    found = reasons(with_heads(["d1 == 1 or stage2 == 'mlp'", "w != 32 or d1 == 1"], 4, 7))
    reason = found["stage2.hilo.heads", 7]
    assert reason.startswith("nodes[3].$one_of[1].heads: none of the widths ")
    assert "constraint" not in reason


def test_where_no_rule_fails_every_choice_the_two_that_fail_most_are_named() -> None:
    found = reasons(with_heads(["d1 <= 1 or w == 16", "d1 <= 1 or w == 32"]))
    for depth in (2, 3):
        assert set(found["d1", depth].removeprefix("in some networks ").split("; in others ")) == {
            "constraints[0]: the constraint d1 <= 1 or w == 16 does not hold",
            "constraints[1]: the constraint d1 <= 1 or w == 32 does not hold",
        }


def test_strict_fails_on_a_warning_and_json_lists_it(run: Run, tmp_path: Path) -> None:
    path = written(tmp_path, with_heads(["w != 48"]))
    assert run("check", path, "--strict").code == 1
    for strict, code in ((), 0), (("--strict",), 1):
        ended = run("check", path, "litv2_s", "--json", *strict)
        content = json.loads(ended.out)
        assert (ended.code, content["ok"], content["errors"]) == (code, not code, [])
        [warning] = content["warnings"]
        assert warning["path"] == "nodes[0].width.$one_of[2]"
        assert warning["file"] == str(path)
        assert warning["line"] > 1
    assert run("check", "lit-dat-64", "lit-dat-224", "litv2_s", "--strict").code == 0


def test_standard_input_is_looked_at_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    data = io.BytesIO(json.dumps(with_heads(["w != 48"])).encode())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(data))
    assert "<stdin>:1:" in run("check", "-").out.splitlines()[1]


@pytest.mark.parametrize("spaces", [4, pytest.param(12, marks=pytest.mark.slow)])
@pytest.mark.parametrize("most", [2000, 60], ids=["decided", "partly"])
def test_what_is_told_is_what_looking_at_every_choice_finds(most: int, spaces: int) -> None:
    generator, looked_at = random.Random(most), 0
    while looked_at < spaces:
        chosen = generator.sample(CONSTRAINTS, generator.randint(1, 4))
        try:
            found = space_of(with_heads(chosen, *((4, 7, 2) if generator.random() < 0.5 else ())))
        except SpecError:
            continue  # they contradict each other
        looked_at += 1
        alive = survey(found, Points(found), SHIPPED.survey).alive
        dead = {(name, value) for name, variable in variables(found.nodes).items() for value in variable.values} - alive
        impossible = values(found, ProofPolicy(most_choices=most))
        assert impossible <= dead, chosen
        inside = {
            (name, value) for name, value in dead if name.startswith("stage2.") and ("stage2", "hilo") in impossible
        }
        assert most < 2000 or dead - impossible <= inside, chosen


def test_shipped_spaces_have_none() -> None:
    assert values(load_space("lit-dat-64")) == values(load_space("lit-dat-224")) == set()


def large(**header: Any) -> Raw:
    """A space of 10^9 choices: too many to be looked at."""
    stages = [MLP | {"id": f"stage{place}", "depth": {"$int": [1, 10], "$name": f"d{place}"}} for place in range(1, 9)]
    document = raw(*stages, **header)
    document["nodes"][0] = document["nodes"][0] | {"width": one_of(16, 32, 48, name="w")}
    return document


def test_in_a_space_too_large_to_be_looked_at_a_constraint_or_a_node_proves_it() -> None:
    document = large(constraints=["w != 48", "d1 + d2 <= 4", "d8 >= 2"])
    document["nodes"].insert(-1, {"id": "last", "type": "attention", "depth": 1, "heads": one_of(4, 7, name="h")})
    wanted = {("w", 48), ("h", 7), ("d8", 1), *((name, d) for name in ("d1", "d2") for d in range(4, 11))}
    assert values(space_of(document)) == wanted


def test_what_is_not_decided_is_not_told() -> None:
    total = " + ".join(f"d{place}" for place in range(1, 9))
    found = space_of(large(constraints=[f"{total} <= 70"]))
    assert values(found) == set()
    rare = space_of(large(constraints=[f"{total} >= 8", "w == 16 or d1 * d2 * d3 * d4 == 10000"]))
    assert values(rare) == set()


def test_a_value_that_occurs_in_one_place_of_several_is_possible() -> None:
    shared = one_of(2, 3, name="h")
    first = {"id": "stage1", "$one_of": [MLP_ALTERNATIVE, {"type": "attention", "depth": 1, "heads": shared}]}
    second = {"id": "stage2", "$one_of": [MLP_ALTERNATIVE, {"type": "attention", "depth": 1, "heads": shared}]}
    merge = {"id": "merge1", "type": "conv_merge", "width": 48}
    assert values(space_of(raw(first, merge, second))) == set()  # 3 divides the second width alone
    assert values(space_of(raw(first, merge | {"width": 32}, second))) == {("h", 3)}


MLP_ALTERNATIVE: Raw = {"type": "mlp", "depth": 1}


def test_a_range_without_steps_decides_nothing_but_what_does_not_follow_from_it() -> None:
    stage = MLP | {"layer_scale": {"$float": [0.1, 1.0], "$name": "scale"}, "depth": one_of(1, 2, 3, name="d")}
    assert values(space_of(raw(stage, constraints=["d <= 2"]))) == {("d", 3)}
    assert values(space_of(raw(stage, constraints=["scale < 2 or d < 3"]))) == set()
    assert values(space_of(raw(stage, constraints=["scale < 0.9 or d < 3"]))) == set()


def test_who_reads_a_class_token_follows_from_the_alternative() -> None:
    token = {"type": "attention", "depth": 1, "heads": 2, "class_token": True, "$label": "token"}
    plain = {"type": "attention", "depth": 1, "heads": 2, "$label": "plain"}
    head = {"id": "out", "$one_of": [{"type": "mean_head"}, {"type": "class_token_head"}]}
    document = raw({"id": "stage1", "$one_of": [token, plain]})
    document["nodes"] = [node for node in document["nodes"] if node["id"] != HEAD["id"]] + [head]
    found = space_of(document)
    alive = survey(found, Points(found), SHIPPED.survey).alive
    assert {name for name, _ in alive} == {"stage1", "out"}
    assert values(found).isdisjoint(alive)


def test_checking_a_space_imports_no_torch(tmp_path: Path) -> None:
    import subprocess

    path = written(tmp_path, with_heads(["w != 48"]))
    code = f"import sys\nfrom archdsl.cli import main\nassert main(['check', {str(path)!r}]) == 0\n"
    code += "assert not {'torch', 'optuna', 'rich.live'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_range_in_fine_steps_takes_no_time_and_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Any] = []
    look = Points.look

    def counted(points: Points, choose: Any) -> Any:
        looks.append(choose)
        return look(points, choose)

    monkeypatch.setattr(Points, "look", counted)
    fine = {"$float": [0.001, 9.0], "$step": 0.001, "$name": "scale"}
    found = space_of(raw(MLP | {"layer_scale": fine, "depth": one_of(1, 2, name="d")}, constraints=["scale < 5"]))
    assert values(found) == set()
    assert len(looks) < 100


def test_a_node_that_nothing_reads_in_any_alternative_is_told_once() -> None:
    extra = MLP | {"id": "extra", "depth": one_of(1, 2)}
    after = {"id": "after", "$one_of": [{"type": "mlp", "depth": 1, "from": "stem"}]}
    rule = "extra can never occur: no node reads it, whichever alternatives are chosen"
    assert [str(problem) for problem in warnings_of(space_of(raw(MLP, extra, after)), SHIPPED.proof)] == [
        'nodes[1]: stage1 can never occur: no node reads it, whichever alternatives are chosen; name it in the "from" '
        "of a later node, or remove it",
        f'nodes[2]: {rule}; name it in the "from" of a later node, or remove it',
    ]
    sometimes = {"id": "after", "$one_of": [*after["$one_of"], {"type": "mlp", "depth": 1, "$label": "deep"}]}
    assert warnings_of(space_of(raw(MLP, extra, sometimes)), SHIPPED.proof) == []
    assert warnings_of(space_of(raw(MLP, extra)), SHIPPED.proof) == []
