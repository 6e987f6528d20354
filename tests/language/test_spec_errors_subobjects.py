"""Mistakes in what a node holds: its mlp, its norm, its blocks; each with what is told of it."""

from __future__ import annotations

import pytest

from tests.support.mistakes import Change, hold_place_rule_and_remedy, hold_told

SUBOBJECTS: list[Change] = [
    (
        '{"type": "dwconv", "kernel": 3}',
        '"dwconv"',
        '7:56: nodes[1].mlp: mlp must be an object; got "dwconv"; write {"type": "dwconv"}',
    ),
    (
        '{"type": "dwconv", "kernel": 3}',
        "5",
        '7:56: nodes[1].mlp: mlp must be an object; got 5; write {"type": ...} with one of dwconv, '
        "dwconv_residual, plain",
    ),
    (
        '{"type": "dwconv", "kernel": 3}',
        "null",
        '7:56: nodes[1].mlp: mlp must be an object; got null; leave it out for the default, {"type": "plain"}',
    ),
    (
        '{"type": "dwconv", "kernel": 3}',
        '{"kernel": 3}',
        '7:56: nodes[1].mlp: mlp needs a type; add "type": one of dwconv, dwconv_residual, plain',
    ),
    (
        '{"type": "dwconv", "kernel": 3}',
        '{"type": 3}',
        "7:65: nodes[1].mlp.type: type must be a string; got 3; write one of dwconv, dwconv_residual, plain",
    ),
    (
        '"type": "dwconv"',
        '"type": "dwcon"',
        "7:65: nodes[1].mlp.type: no such type of mlp; got \"dwcon\"; did you mean 'dwconv'?",
    ),
    (
        '"type": "dwconv"',
        '"type": "gated"',
        '7:65: nodes[1].mlp.type: no such type of mlp; got "gated"; known: dwconv, dwconv_residual, plain',
    ),
    (
        '"type": "dwconv"',
        '"type": "plain"',
        "7:74: nodes[1].mlp.kernel: plain has no field 'kernel'; known: ratio, type",
    ),
    ('"kernel": 3}', '"kernal": 3}', "7:75: nodes[1].mlp.kernal: dwconv has no field 'kernal'; did you mean 'kernel'?"),
    ('"kernel": 3}', '"kernel": 33}', "7:85: nodes[1].mlp.kernel: kernel must be at most 31; got 33; use 1 to 31"),
    ('"kernel": 3}', '"ratio": "4"}', '7:84: nodes[1].mlp.ratio: ratio must be a number; got "4"; write 4'),
    (
        '"norm": {"type": "group"}',
        '"norm": {"type": "instance"}',
        '9:106: nodes[3].norm.type: no such type of norm; got "instance"; known: batch, group, layer',
    ),
    (
        '"norm": {"type": "group"}',
        '"norm": {"type": "layer", "eps": 0}',
        "9:122: nodes[3].norm.eps: eps must be more than 0; got 0; use more than 0 and at most 1",
    ),
    (
        '"norm": {"type": "group"}',
        '"norm": {"type": "layer", "groups": 4}',
        "9:115: nodes[3].norm.groups: layer has no field 'groups'; known: eps, type",
    ),
    (
        '"blocks": [',
        '"bloks": [',
        "10:54: nodes[4].bloks: sequence has no field 'bloks'; did you mean 'blocks'?",
    ),
    (
        '{"type": "mlp", "layer_scale": 0.1}',
        '"mlp"',
        '11:7: nodes[4].blocks[0]: a block must be an object; got "mlp"; write {"type": "mlp"}',
    ),
    (
        '{"type": "mlp", "layer_scale": 0.1}',
        '{"layer_scale": 0.1}',
        '11:7: nodes[4].blocks[0]: a block needs a type; add "type": one of <blocks>',
    ),
    (
        '{"type": "mlp", "layer_scale": 0.1}',
        '{"type": "sequence"}',
        '11:16: nodes[4].blocks[0].type: no such type of block; got "sequence"; known: <blocks>',
    ),
    (
        '"layer_scale": 0.1',
        '"layer_scale": 0',
        "11:38: nodes[4].blocks[0].layer_scale: layer_scale must be more than 0; got 0; use more than 0 and at most 10",
    ),
    (
        '"layer_scale": 0.1',
        '"depth": 2',
        "11:23: nodes[4].blocks[0].depth: mlp has no field 'depth'; known: layer_scale, "
        "local_perception, mlp, norm, type",
    ),
    ('"heads": 8, ', "", '12:7: nodes[4].blocks[1]: heads is required; add "heads": 4'),
    (
        '{"type": "relative"}',
        '{"type": "relativ"}',
        '12:67: nodes[4].blocks[1].position_bias.type: no such type of position_bias; got "relativ"; '
        "did you mean 'relative'?",
    ),
    (
        '{"type": "relative"}',
        '{"type": "relative", "side": 3}',
        "12:79: nodes[4].blocks[1].position_bias.side: relative has no field 'side'; known: type",
    ),
    (
        '"blocks": [\n',
        '"blocks": [], "x": [\n',
        "10:64: nodes[4].blocks: blocks must have at least 1 item; got []; add one",
        "10:68: nodes[4].x: sequence has no field 'x'; known: blocks, depth, from, id, out_norm, "
        "position_embedding, type",
    ),
    (
        '"blocks": [\n',
        '"blocks": [{"type": "mlp"}, ' + '{"type": "mlp"}, ' * 62 + "\n",
        "10:64: nodes[4].blocks: blocks must have at most 64 items; got a list of 65; remove some",
    ),
]


@pytest.mark.parametrize("change", SUBOBJECTS, ids=lambda change: f"{change[:2]}")
def test_a_mistake_is_told_where_it_is(change: Change) -> None:
    hold_told(change)


@pytest.mark.parametrize("change", SUBOBJECTS, ids=lambda change: f"{change[:2]}")
def test_what_is_told_has_a_place_a_rule_and_a_remedy(change: Change) -> None:
    hold_place_rule_and_remedy(change)
