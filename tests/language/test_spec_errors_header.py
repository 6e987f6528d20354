"""Mistakes in the header of a document, each beside the good value and with what is told of it."""

from __future__ import annotations

import pytest

from archdsl.load.sources import next_commands
from tests.support.mistakes import Change, hold_place_rule_and_remedy, hold_told

HEADER: list[Change] = [
    ('"kind": "arch", ', "", '1:1: kind is required; add "kind": "arch"'),
    ('"kind": "arch"', '"kind": "arhc"', '2:11: kind: kind must be "arch" or "space"; got "arhc"; write "arch"'),
    (
        '"kind": "arch"',
        '"kind": "space"',
        '2:11: kind: this is a document of kind "space", and one of kind "arch" is read here; '
        + next_commands("space"),
    ),
    ('"version": 1, ', "", '1:1: version is required; add "version": 1'),
    (
        '"version": 1',
        '"version": 2',
        "2:30: version: the document's version is newer than this archdsl reads (1); got 2; upgrade archdsl",
    ),
    ('"version": 1', '"version": 0', "2:30: version: version must be at least 1; got 0; use 1"),
    ('"version": 1', '"version": 1.0', "2:30: version: version must be an integer; got 1.0; write 1"),
    ('"version": 1', '"version": true', "2:30: version: version must be an integer; got true; use 1"),
    (
        '"name": "net",',
        '"nmae": "net",',
        "2:33: nmae: the document has no field 'nmae'; did you mean 'name'?",
    ),
    (
        '"name": "net"',
        '"name": "My net"',
        '2:41: name: name must match ^[a-z][a-z0-9_.-]{0,63}$; got "My net"; use 1 to 64 '
        "lower-case letters, digits, _, . and -, a letter first",
    ),
    ('"name": "net"', '"name": null', "2:41: name: name must be a string; got null; write text in double quotes"),
    ('"image": 64, ', "", '1:1: image is required; add "image": 224'),
    ('"image": 64', '"image": 8', "4:12: image: image must be at least 16; got 8; use 16 to 4096"),
    ('"image": 64', '"image": 5000', "4:12: image: image must be at most 4096; got 5000; use 16 to 4096"),
    ('"image": 64', '"image": "64"', '4:12: image: image must be an integer or [height, width]; got "64"; write 64'),
    ('"image": 64', '"image": [64]', "4:12: image: image must have 2 items; got [64]; write [height, width]"),
    (
        '"image": 64',
        '"image": [64, 64, 3]',
        "4:12: image: image must be an integer or [height, width]; got [64, 64, 3]; "
        "use 64, or [64, 64] (height 64, width 64)",
    ),
    (
        '"image": 64',
        '"image": [64, 8]',
        "4:17: image[1]: a side of the image must be at least 16; got 8; use 16 to 4096",
    ),
    (
        '"image": 64',
        '"image": {"height": 64}',
        "4:12: image: image must be an integer or [height, width]; got an object with 1 field; "
        "use 16 to 4096, or [height, width]",
    ),
    ('"channels": 3', '"channels": 3.0', "4:28: channels: channels must be an integer; got 3.0; write 3"),
    ('"channels": 3', '"channels": true', "4:28: channels: channels must be an integer; got true; use 1 to 64"),
    (
        '"channels": 3',
        '"channels": null',
        "4:28: channels: channels must be an integer; got null; leave it out for the default, 3",
    ),
    ('"channels": 3', '"channels": [3]', "4:28: channels: channels must be an integer; got [3]; write 3"),
    ('"channels": 3', '"channels": 65', "4:28: channels: channels must be at most 64; got 65; use 1 to 64"),
    ('"channels": 3', '"chanels": 3', "4:16: chanels: the document has no field 'chanels'; did you mean 'channels'?"),
    ('"classes": 10', '"classes": "10"', '4:42: classes: classes must be an integer; got "10"; write 10'),
    (
        '"classes": 10',
        '"classes": 1000000',
        "4:42: classes: classes must be at most 100000; got 1000000; use 1 to 100000",
    ),
    (
        '"drop_path": 0.1',
        '"drop_path": 1',
        "4:59: drop_path: drop_path must be less than 1; got 1; use at least 0 and less than 1",
    ),
    ('"drop_path": 0.1', '"drop_path": "0.1"', '4:59: drop_path: drop_path must be a number; got "0.1"; write 0.1'),
    (
        '"drop_path": 0.1',
        '"drop_path": false',
        "4:59: drop_path: drop_path must be a number; got false; use at least 0 and less than 1",
    ),
    (
        '"drop_path": 0.1',
        '"init": "tourch"',
        '4:54: init: init must be "truncated_normal" or "torch"; got "tourch"; did you mean "torch"?',
    ),
    ('"drop_path": 0.1', '"init": 3', '4:54: init: init must be "truncated_normal" or "torch"; got 3'),
    (
        '"weights": "lit"',
        '"weights": "litv"',
        "4:75: weights: no such scheme of published weights; got \"litv\"; did you mean 'litv2'?",
    ),
    (
        '"weights": "lit"',
        '"weights": "resnet"',
        '4:75: weights: no such scheme of published weights; got "resnet"; known: <schemes>',
    ),
    ('"weights": "lit"', '"weights": 5', "4:75: weights: weights must be a string; got 5; write text in double quotes"),
    (
        '"features": ["stage2"]',
        '"features": "stage2"',
        '4:94: features: features must be a list; got "stage2"; write ["stage2"]',
    ),
    ('"features": ["stage2"]', '"features": []', "4:94: features: features must have at least 1 item; got []; add one"),
    (
        '"features": ["stage2"]',
        '"features": ["stage"]',
        "4:95: features[0]: no node has this id; got \"stage\"; did you mean 'stage3'?",
    ),
    (
        '"features": ["stage2"]',
        '"features": ["head"]',
        '4:95: features[0]: head gives no map; got "head"; name a node that gives pixels',
    ),
    (
        '"features": ["stage2"]',
        '"features": ["stage2", "stage2"]',
        '4:105: features[1]: each feature must be listed only once; got "stage2"; remove one of the two',
    ),
    (
        '"features": ["stage2"]',
        '"features": [2]',
        "4:95: features[0]: a feature must be a string; got 2; write text in double quotes",
    ),
    (
        '"features": ["stage2"]',
        '"features": ["Stage2"]',
        '4:95: features[0]: a feature must match ^[a-z][a-z0-9_]*$; got "Stage2"; use lower-case '
        "letters, digits and _, a letter first",
    ),
    (
        '"features": ["stage2"]',
        '"constraints": []',
        '4:82: constraints: the document has no field \'constraints\'; documents of "kind": "space" alone have it',
    ),
    ('"title": "A net"', '"titel": "A net"', "3:13: paper.titel: paper has no field 'titel'; did you mean 'title'?"),
    ('"title": "A net"', '"title": 5', "3:22: paper.title: title must be a string; got 5; write text in double quotes"),
    (
        '"arxiv": "2105.14217"',
        '"arxiv": "LIT"',
        '3:40: paper.arxiv: arxiv must match ^\\d{4}\\.\\d{4,5}$; got "LIT"; write it as in "2205.13213"',
    ),
    ('"arxiv": "2105.14217"', '"params": 0', "3:41: paper.params: params must be more than 0; got 0; use more than 0"),
    (
        '"arxiv": "2105.14217"',
        '"crop": 1.5',
        "3:39: paper.crop: crop must be at most 1; got 1.5; use more than 0 and at most 1",
    ),
    (
        '{"title": "A net", "arxiv": "2105.14217"}',
        '"A net"',
        '3:12: paper: paper must be an object; got "A net"; write an object with some of title, '
        "arxiv, params, gmacs, imagenet_top1, crop, url, note",
    ),
]


@pytest.mark.parametrize("change", HEADER, ids=lambda change: f"{change[:2]}")
def test_a_mistake_is_told_where_it_is(change: Change) -> None:
    hold_told(change)


@pytest.mark.parametrize("change", HEADER, ids=lambda change: f"{change[:2]}")
def test_what_is_told_has_a_place_a_rule_and_a_remedy(change: Change) -> None:
    hold_place_rule_and_remedy(change)
