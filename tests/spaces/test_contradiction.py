"""Constraints that contradict each other are told, the fewest of them, with their places."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.load.spaces import parse_space
from archdsl.spaces.contradiction import contradiction
from archdsl.spaces.space import Space
from tests.support.examining import space, written


def test_the_fewest_contradicting_constraints_are_told_with_their_places(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, space(constraints=["d1 >= 2", "w >= 48", "d2 >= 1", "w <= 8 * d1"]))
    for command in (["check"], ["doctor", "--no-measure"], ["search", "--out", str(tmp_path / "run")]):
        assert main([command[0], str(path), *command[1:]]) == 1
        lines = "".join(capsys.readouterr()).splitlines()
        assert len(lines) == 2
        assert lines[0].endswith(
            "constraints[1]: none of 16 choices keeps the constraint w >= 48 together with constraints[3] "
            "(w <= 8 * d1); change one of them"
        )
        assert lines[1].split(":")[0] == str(path)
    assert not (tmp_path / "run").exists()


def test_constraints_that_few_choices_keep_do_not_contradict() -> None:
    document = Space.model_validate(space(constraints=["d1 == 3", "w == 48", "d2 == 2", "stage2 == 'hilo'"]))
    assert contradiction(document) is None


def test_a_contradiction_of_values_that_follow_is_proven() -> None:
    document = Space.model_validate(space(constraints=["merge1.width >= 100", "stem.width <= 32"]))
    found = contradiction(document)
    assert found is not None
    assert found.constraints == (0, 1)
    assert found.is_proven


def test_a_contradiction_on_a_continuous_range_is_said_to_be_drawn() -> None:
    document = space(constraints=["a > 0.9"])
    document["nodes"][3]["$one_of"][1]["alpha"] = {"$float": [0.2, 0.8], "$name": "a"}
    document["constraints"] = ["a > 0.9", "stage2 == 'hilo'"]
    with pytest.raises(SpecError, match=r"none of 1,000 choices drawn keeps the constraint a > 0\.9 together"):
        parse_space(json.dumps(document).encode(), "x.json")


@pytest.mark.parametrize(
    ("constraint", "told"),
    [
        ("stage1.depth > 4", "stage1.depth is 1 to 4"),
        ("w >= 100", "w is 16, 32, 48 or 64"),
        ("stem.width == w + 1 and w > 48", None),
        ("merge1.width > 200", "merge1.width is 32, 64, 96 or 128"),
        ("stage2 not in ('mlp', 'hilo')", "stage2 is 'hilo' or 'mlp'"),
    ],
)
def test_a_constraint_on_one_name_is_told_with_the_values_that_the_name_has(constraint: str, told: str | None) -> None:
    document = json.dumps(space(constraints=[constraint])).encode()
    with pytest.raises(SpecError) as caught:
        parse_space(document, "x.json")
    (problem,) = caught.value.problems
    if told is None:
        assert problem.rule.startswith("none of ")
    else:
        assert problem.rule == f"no network meets {constraint}: {told}"
