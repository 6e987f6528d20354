"""Mistakes in a node and its fields, each beside the good value and with what is told of it."""

from __future__ import annotations

import pytest

from tests.support.mistakes import Change, hold_place_rule_and_remedy, hold_told

NODES: list[Change] = [
    (
        '"nodes": [',
        '"layers": [',
        '1:1: nodes is required; add "nodes"',
        "5:3: layers: the document has no field 'layers'; known: $schema, channels, classes, "
        "drop_path, features, image, init, kind, name, nodes, paper, version, weights",
    ),
    (
        '{"id": "stem", "type": "patch_stem", "width": 32, "patch": 4}',
        '"patch_stem"',
        '6:5: nodes[0]: a node must be an object; got "patch_stem"; write {"id": ..., "type": ...}',
    ),
    ('{"id": "stem", "type"', '{"type"', '6:5: nodes[0]: id is required; add "id": "stage1"'),
    (
        '"id": "stem", "type": "patch_stem", ',
        '"id": "stem", ',
        '6:5: nodes[0]: a node needs a type; add "type": one of <stems>',
    ),
    (
        '"type": "patch_stem"',
        '"type": "patchstem"',
        "6:28: nodes[0].type: no such type of node; got \"patchstem\"; did you mean 'patch_stem'?",
    ),
    (
        '"type": "patch_stem"',
        '"type": "transformer"',
        '6:28: nodes[0].type: no such type of node; got "transformer"; known: <stems>',
    ),
    (
        '"type": "patch_stem"',
        '"type": null',
        "6:28: nodes[0].type: type must be a string; got null; write one of <stems>",
    ),
    (
        '"id": "stem"',
        '"id": "Stem"',
        '6:12: nodes[0].id: id must match ^[a-z][a-z0-9_]*$; got "Stem"; use lower-case letters, '
        "digits and _, a letter first",
    ),
    ('"id": "stem"', '"id": 1', "6:12: nodes[0].id: id must be a string; got 1; write text in double quotes"),
    (
        '"id": "stem"',
        '"id": "sssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss"',
        "6:12: nodes[0].id: id must have at most 64 characters; got "
        '"ssssssssssssssssssssssssssssssssssssssssssssssssssssssss...; write a shorter one',
    ),
    ('"width": 32, ', "", '6:5: nodes[0]: width is required; add "width": 64'),
    (
        '"width": 32',
        '"wdith": 32',
        "6:42: nodes[0].wdith: patch_stem has no field 'wdith'; did you mean 'width'?",
    ),
    ('"width": 32', '"width": 2', "6:51: nodes[0].width: width must be at least 4; got 2; use 4 to 8192"),
    ('"width": 32', '"width": 9000', "6:51: nodes[0].width: width must be at most 8192; got 9000; use 4 to 8192"),
    ('"width": 32', '"width": 32.5', "6:51: nodes[0].width: width must be an integer; got 32.5; use 4 to 8192"),
    (
        '"width": 32',
        '"width": {"$one_of": [32, 64]}',
        "6:51: nodes[0].width: width must not be a hole; got an object with 1 field; holes stand in "
        'the nodes of documents of "kind": "space" only',
    ),
    ('"depth": 1,', '"depth": 65,', "7:46: nodes[1].depth: depth must be at most 64; got 65; use 1 to 64"),
    (
        '"depth": 1,',
        '"depth": 1000000000000000000000,',
        "7:46: nodes[1].depth: depth must be at most 64; got 1000000000000000000000; use 1 to 64",
    ),
    ('"depth": 1,', '"depth": 1e308,', "7:46: nodes[1].depth: depth must be an integer; got 1e+308; use 1 to 64"),
    (
        '"local_perception": true',
        '"local_perception": 1',
        "7:109: nodes[1].local_perception: local_perception must be true or false; got 1; write true",
    ),
    (
        '"local_perception": true',
        '"local_perception": "true"',
        '7:109: nodes[1].local_perception: local_perception must be true or false; got "true"; write true',
    ),
    (
        '"local_perception": true',
        '"local_perception": null',
        "7:109: nodes[1].local_perception: local_perception must be true or false; got null; leave "
        "it out for the default, false",
    ),
    (
        '"local_perception": true',
        '"position_embeding": true',
        "7:89: nodes[1].position_embeding: mlp has no field 'position_embeding'; did you mean 'position_embedding'?",
    ),
    (
        '"local_perception": true',
        '"out_norm": "never "',
        '7:101: nodes[1].out_norm: out_norm must be "never", "features" or "always"; got "never "; '
        'did you mean "never"?',
    ),
    (
        '"local_perception": true',
        '"$name": "d1"',
        "7:89: nodes[1].$name: mlp has no field '$name'; holes stand in the nodes of documents of "
        '"kind": "space" only',
    ),
    ('"alpha": 0.5', '"alpha": 1.5', "9:84: nodes[3].alpha: alpha must be at most 1; got 1.5; use 0 to 1"),
    (
        '"alpha": 0.5',
        '"alpha": null',
        "9:84: nodes[3].alpha: alpha must be a number; got null; leave it out for the default, 0.9",
    ),
    ('"alpha": 0.5', '"alhpa": 0.5', "9:75: nodes[3].alhpa: hilo has no field 'alhpa'; did you mean 'alpha'?"),
]


@pytest.mark.parametrize("change", NODES, ids=lambda change: f"{change[:2]}")
def test_a_mistake_is_told_where_it_is(change: Change) -> None:
    hold_told(change)


@pytest.mark.parametrize("change", NODES, ids=lambda change: f"{change[:2]}")
def test_what_is_told_has_a_place_a_rule_and_a_remedy(change: Change) -> None:
    hold_place_rule_and_remedy(change)
