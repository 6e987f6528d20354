"""Spans: one block in the place of several positions of a sequence, wherever a space is read."""

from __future__ import annotations

import random
from typing import Any

import optuna
import pytest

from archdsl.errors import SpecError
from archdsl.families.common.fields import type_name
from archdsl.families.common.sequence import Sequence
from archdsl.json_types import Scalar
from archdsl.language.canonical import canonical_hash
from archdsl.language.document import Spec
from archdsl.load.alternatives import alternatives, assembled
from archdsl.load.spaces import choices_of, point, sample
from archdsl.load.specs import spec_of
from archdsl.render.alternatives import part_text
from archdsl.search.doctor.impossible import warnings_of
from archdsl.search.doctor.points import Points
from archdsl.search.doctor.survey import survey
from archdsl.search.policy.doctor import ProofPolicy, SurveyPolicy
from archdsl.search.propose.distributions import as_values
from archdsl.search.propose.distributions import choices as suggested
from archdsl.spaces.contradiction import needed_variables
from archdsl.spaces.enumeration import EveryChoice
from archdsl.spaces.expressions import parse
from archdsl.spaces.resolve import decide, resolve, satisfied
from archdsl.spaces.variables import variables
from tests.support.small_spaces import HEAD, STEM, Raw, one_of, raw, refusal, space

ATTENTION: Raw = {"$label": "own", "type": "attention", "heads": 2}
MLP: Raw = {"type": "mlp"}


def span(number: Any, **fields: Any) -> Raw:
    return {"$label": f"span{number}", "$span": number, "type": "mlp", "mlp": {"type": "plain", "ratio": 1}, **fields}


def sequence(*blocks: Raw, **fields: Any) -> Raw:
    return {"id": "stage1", "type": "sequence", **fields, "blocks": [*blocks]}


FOUR = sequence(
    one_of(ATTENTION, MLP, span(2), span(3), span(4)),
    one_of(ATTENTION, MLP, span(2), span(3)),
    one_of(ATTENTION, MLP, span(2)),
    one_of(ATTENTION, MLP),
)


def parent() -> Any:
    stage: Raw = {"id": "stage1", "type": "attention", "depth": 4, "heads": 2}
    return spec_of({**raw(stage), "kind": "arch", "name": "parent"})


def stage_of(spec: Spec) -> Sequence:
    stage = spec.node("stage1")
    assert isinstance(stage, Sequence)
    return stage


def types_of(spec: Spec) -> list[str]:
    """The types of the written blocks."""
    return [type_name(type(block)) for block in stage_of(spec).blocks]


def blocks_of(**choices: Any) -> list[str]:
    """The blocks of a choice, position by position, which asks for these variables and no other."""
    chosen = {f"stage1.blocks.{name[1:]}": value for name, value in choices.items()}
    spec, used = point(space(FOUR), chosen.__getitem__)
    assert used == chosen
    assert stage_of(spec).depth == len(types_of(spec))
    return types_of(spec)


def test_a_span_of_k_takes_k_positions_and_the_covered_ones_are_not_asked() -> None:
    assert blocks_of(_0="own", _1="mlp", _2="own", _3="own") == ["attention", "mlp", "attention", "attention"]
    assert blocks_of(_0="own", _1="span2", _3="own") == ["attention", "mlp", "attention"]
    assert blocks_of(_0="span3", _3="own") == ["mlp", "attention"]
    assert blocks_of(_0="span4") == ["mlp"]


def test_every_choice_covers_each_position_once() -> None:
    four = space(FOUR)
    seen = list[tuple[tuple[str, Any], ...]]()
    for choose in EveryChoice(variables(four.nodes)):
        resolved = resolve(four, choose)
        labels = map(str, resolved.choices.values())
        lengths = [int(label.removeprefix("span")) if "span" in label else 1 for label in labels]
        assert sum(lengths) == 4
        assert resolved.nodes[1]["depth"] == len(lengths)
        seen.append(tuple(resolved.choices.items()))
    assert len(seen) == len(set(seen)) == 34, (
        "f(n) = 2 f(n - 1) + f(n - 2) + ... + f(0) of n positions: 1, 2, 5, 13, 34"
    )


def test_what_is_decided_of_a_choice_is_what_resolving_it_asks() -> None:
    four, generator = space(FOUR), random.Random(0)
    asked = list[str]()

    def choose(name: str) -> Any:
        asked.append(name)
        return generator.choice(variables(four.nodes)[name].values)

    decide(four, choose)
    generator.seed(0)
    assert list(resolve(four, lambda name: generator.choice(variables(four.nodes)[name].values)).choices) == asked


def test_a_network_is_found_among_the_points_however_its_stage_is_written() -> None:
    four = space(FOUR)
    assert choices_of(four, parent()) == {f"stage1.blocks.{place}": "own" for place in range(4)}
    for spec in sample(four, 12):
        choices = choices_of(four, spec)
        assert choices is not None
        assert canonical_hash(point(four, choices.__getitem__)[0]) == canonical_hash(spec)
    longer = spec_of({**parent().to_json(), "nodes": [STEM, {**FOUR, "depth": 5, "blocks": [MLP]}, HEAD]})
    assert choices_of(four, longer) is None


def test_a_depth_that_is_left_out_is_the_number_of_blocks_also_without_spans() -> None:
    repeated = sequence(MLP, {"$repeat": {"type": "mlp"}, "$times": {"$int": [1, 3]}})
    assert {stage_of(spec).depth for spec in sample(space(repeated), 3)} == {2, 3, 4}


def test_a_constraint_may_be_on_the_depth_that_comes_out() -> None:
    two = space(FOUR, constraints=["stage1.depth <= 2"])
    assert {len(types_of(spec)) for spec in sample(two, 12)} == {1, 2}
    assert needed_variables(two, ["stage1.depth <= 2"]) == {f"stage1.blocks.{place}" for place in range(4)}
    covered = resolve(two, {"stage1.blocks.0": "span4"}.__getitem__)
    assert satisfied(parse("stage1.blocks.2 == 'own'"), covered), "what is covered is inactive"


BAD: dict[str, tuple[Raw, str]] = {
    "no span": (span(0), "$span: $span must be at least 2; got 0; use 2 to 6"),
    "a span of one": (span(1), "$span: $span must be at least 2; got 1; use 2 to 6"),
    "a span too long": (span(7), "$span: $span must be at most 6; got 7; use 2 to 6"),
    "a span as text": (span("2"), '$span: $span must be an integer; got "2"; write 2'),
    "a span past the end": (
        span(4),
        "$span: a span ends within its sequence, where 3 of 4 positions are left; got 4; use 3, or move it to an "
        "earlier position",
    ),
}


@pytest.mark.parametrize(("alternative", "message"), BAD.values(), ids=BAD)
def test_a_bad_span_is_told_where_it_is(alternative: Raw, message: str) -> None:
    blocks = [MLP, one_of(ATTENTION, alternative), MLP, MLP]
    assert refusal(raw(sequence(*blocks))) == [f"nodes[1].blocks[1].$one_of[1].{message}"]


WHERE = 'in a space, an alternative in the "blocks" of a sequence may have $span'


def test_another_mistake_in_an_alternative_with_a_span_is_told_as_without_one() -> None:
    stage = sequence(one_of(ATTENTION, {"$span": 2, "type": "atention", "heads": 2}), MLP)
    (message,) = refusal(raw(stage))
    assert message.startswith("nodes[1].blocks[0].$one_of[1]")
    assert message.endswith("did you mean 'attention'?")
    (message,) = refusal(raw(sequence(one_of(ATTENTION, {"$spann": 2, "type": "mlp"}), MLP)))
    assert message.endswith("mlp has no field '$spann'; did you mean '$span'?")


ELSEWHERE: dict[str, tuple[Raw, str]] = {
    "a block that is no alternative": (
        sequence({**MLP, "$span": 2}, MLP),
        f"nodes[1].blocks[0].$span: a block that is no alternative has no $span; {WHERE}",
    ),
    "a block that is repeated": (
        sequence({"$repeat": {**MLP, "$span": 2}, "$times": 2}, MLP),
        f"nodes[1].blocks[0].$repeat.$span: a block that is no alternative has no $span; {WHERE}",
    ),
    "a stage": (
        {"id": "stage1", "type": "mlp", "depth": 1, "$span": 2},
        f"nodes[1].$span: mlp has no field '$span'; {WHERE}",
    ),
    "a sub-object": (
        sequence({**MLP, "mlp": {"type": "plain", "$span": 2}}),
        f"nodes[1].blocks[0].mlp.$span: plain has no field '$span'; {WHERE}",
    ),
    "a span over a repeated block": (
        sequence(one_of(ATTENTION, span(2)), {"$repeat": MLP, "$times": 2}),
        "nodes[1].blocks[0].$one_of[1].$span: a span covers single blocks; blocks[1] is a $repeat; got 2; write its "
        "copies one by one, or use a shorter span",
    ),
    "a depth beside spans": (
        sequence(one_of(ATTENTION, span(2)), MLP, depth=2),
        "nodes[1].depth: a sequence with spans has no depth: it is as deep as the blocks that are chosen; remove it",
    ),
}


@pytest.mark.parametrize(("stage", "message"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_span_where_none_may_be_is_told(stage: Raw, message: str) -> None:
    assert refusal(raw(stage)) == [message]


def test_a_backbone_has_no_spans() -> None:
    with pytest.raises(SpecError) as caught:
        spec_of({**raw(sequence({**MLP, "$span": 2}, depth=1)), "kind": "arch"})
    assert str(caught.value) == f"nodes[1].blocks[0].$span: mlp has no field '$span'; {WHERE}"


def test_a_block_that_fits_nowhere_and_a_position_that_is_always_covered_are_warned_of() -> None:
    seven = span(2) | {"$label": "seven", "type": "attention", "heads": 7}
    beside = [one_of(ATTENTION, MLP, span(2)), one_of(ATTENTION, seven), one_of(ATTENTION, MLP)]
    (warning,) = warnings_of(space(sequence(*beside)), ProofPolicy())
    assert warning.path == "nodes[1].blocks[1].$one_of[1]"
    assert "width 16 must be a multiple of heads" in warning.rule
    (warning,) = warnings_of(space(sequence(one_of(span(2), span(3)), one_of(MLP), MLP)), ProofPolicy())
    assert str(warning).startswith("nodes[1].blocks[1]: stage1.blocks.1 can never occur")


def test_the_alternatives_to_a_parents_blocks_are_single_blocks_and_spans_that_differ_from_it() -> None:
    found = alternatives(space(FOUR), parent())
    places = [(each.first, each.span) for each in found]
    assert places == [(0, 1), (0, 2), (0, 3), (0, 4), (1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1)]
    assert {each.stage for each in found} == {"stage1"}
    assert {type_name(type(each.block)) for each in found} == {"mlp"}
    assert found[5].choice == {"stage1.blocks.1": "span2"}


def test_values_inside_of_an_alternative_are_alternatives_of_their_own() -> None:
    held = sequence(one_of(ATTENTION, {"type": "window", "heads": {"$one_of": [2, 4, 7]}, "window": 4}))
    found = alternatives(space(held), spec_of({**parent().to_json(), "nodes": [STEM, {**held, "depth": 1, "blocks": [
        {"type": "attention", "heads": 2}]}, HEAD]}))  # fmt: skip
    heads = "stage1.blocks.0.window.heads"
    assert [each.choice for each in found] == [{"stage1.blocks.0": "window", heads: number} for number in (2, 4)]


def test_assembled_networks_have_the_alternatives_that_are_named_and_the_parents_blocks_elsewhere() -> None:
    found = alternatives(space(FOUR), parent())
    spec = assembled(parent(), [found[5]])
    assert types_of(spec) == ["attention", "mlp", "attention"]
    assert choices_of(space(FOUR), spec) == {
        "stage1.blocks.0": "own",
        "stage1.blocks.1": "span2",
        "stage1.blocks.3": "own",
    }
    assert assembled(parent(), []) == parent()
    assert assembled(parent(), [found[3]]).node("stage1").type == "mlp"
    with pytest.raises(SpecError, match="each position is taken by one alternative; got position 1 of stage1 twice"):
        assembled(parent(), [found[1], found[5]])


def test_a_parent_that_takes_a_span_or_is_no_point_has_no_alternatives() -> None:
    shorter = assembled(parent(), [alternatives(space(FOUR), parent())[5]])
    with pytest.raises(SpecError, match="takes a span of the space"):
        alternatives(space(FOUR), shorter)
    with pytest.raises(SpecError, match="the parent is no point of the space"):
        alternatives(space(sequence(one_of(MLP))), parent())


def test_a_trial_has_a_value_at_every_position_and_the_covered_ones_have_no_part_in_its_network() -> None:
    four = space(FOUR)
    parameters = {name: as_values(variable) for name, variable in variables(four.nodes).items()}
    values: dict[str, Scalar] = dict.fromkeys(parameters, "own")
    values["stage1.blocks.1"] = "span3"
    study = optuna.create_study()
    study.enqueue_trial(values)
    chosen = suggested(study.ask(), parameters)
    assert chosen == values
    spec, used = point(four, chosen.__getitem__)
    assert used == {"stage1.blocks.0": "own", "stage1.blocks.1": "span3"}
    assert types_of(spec) == ["attention", "mlp"]


def test_a_survey_counts_the_choices_that_spans_leave_and_the_drawing_says_how_many_stand_at_a_position() -> None:
    counted = survey(space(FOUR), Points(space(FOUR)), SurveyPolicy())
    assert (counted.looked_at, counted.size.points) == (34, 34)
    assert part_text(FOUR) == "sequence  blocks=[4 positions, one of 2 to 5 at each, spans of 2 to 4]"
