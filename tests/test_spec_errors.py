"""What is wrong in a document is told with its place, its rule, its value and what to do; bad stands beside good."""

from __future__ import annotations

import json
from typing import Any

import pytest

from archdsl.blocks.base import Part
from archdsl.blocks.published import SCHEMES
from archdsl.errors import Problem, SpecError
from archdsl.load import load_spec, override, parse_spec, spec_of
from archdsl.schema.nodes import node_models

GOOD = """\
{
  "kind": "arch", "version": 1, "name": "net",
  "paper": {"title": "A net", "arxiv": "2105.14217"},
  "image": 64, "channels": 3, "classes": 10, "drop_path": 0.1, "weights": "lit", "features": ["stage2"],
  "nodes": [
    {"id": "stem", "type": "patch_stem", "width": 32, "patch": 4},
    {"id": "stage1", "type": "mlp", "depth": 1, "mlp": {"type": "dwconv", "kernel": 3}, "local_perception": true},
    {"id": "merge1", "type": "deformable_merge", "from": "stage1", "width": 64},
    {"id": "stage2", "type": "hilo", "depth": 2, "heads": 4, "window": 2, "alpha": 0.5, "norm": {"type": "group"}},
    {"id": "stage3", "type": "sequence", "depth": 2, "blocks": [
      {"type": "mlp", "layer_scale": 0.1},
      {"type": "attention", "heads": 8, "position_bias": {"type": "relative"}}]},
    {"id": "join", "type": "add_join", "from": ["stage2", "stage3"]},
    {"id": "head", "type": "mean_head"}
  ]
}
"""
Change = tuple[str, ...]
"""What is replaced in the good document, by what, and the messages without the file's name."""


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        parse_spec(text.encode(), "net.json")
    return caught.value.problems


def lines(text: str) -> list[str]:
    """Messages, without the file; lists of known names, which grow with every family, by a word for them."""
    known = {
        ", ".join(sorted(node_models())): "<nodes>",
        ", ".join(sorted(Part.kinds["block"])): "<blocks>",
        ", ".join(sorted(SCHEMES)): "<schemes>",
    }
    found = []
    for problem in problems(text):
        message = str(problem).removeprefix("net.json:")
        for names, word in known.items():
            message = message.replace(names, word)
        found.append(message)
    return found


def test_the_good_document_is_good() -> None:
    assert parse_spec(GOOD.encode(), "net.json").name == "net"


HEADER: list[Change] = [
    ('"kind": "arch", ', "", '1:1: kind is required; add "kind": "arch"'),
    ('"kind": "arch"', '"kind": "arhc"', '2:11: kind: kind must be "arch" or "space"; got "arhc"; write "arch"'),
    (
        '"kind": "arch"',
        '"kind": "space"',
        '2:11: kind: this is a document of kind "space"; load_spec and the commands on specs read kind "arch"',
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
        '1:1: name is required; add "name": ...',
        "2:33: nmae: the document has no field 'nmae'; did you mean 'name'?",
    ),
    (
        '"name": "net"',
        '"name": "My net"',
        '2:41: name: name must match ^[a-z][a-z0-9_.-]{0,63}$; got "My net"; use 1 to 64 '
        "lower-case letters, digits, _, . and -, a letter first",
    ),
    ('"name": "net"', '"name": null', "2:41: name: name must be a string; got null; write text in double quotes"),
    ('"image": 64, ', "", '1:1: image is required; add "image": ...'),
    ('"image": 64', '"image": 8', "4:12: image: image must be at least 16; got 8; use 16 to 4096"),
    ('"image": 64', '"image": 5000', "4:12: image: image must be at most 4096; got 5000; use 16 to 4096"),
    ('"image": 64', '"image": "64"', '4:12: image: image must be an integer; got "64"; write 64'),
    ('"image": 64', '"image": [64]', "4:12: image: image must have 2 items; got [64]; write [height, width]"),
    (
        '"image": 64',
        '"image": [64, 64, 3]',
        "4:12: image: image must have 2 items; got [64, 64, 3]; write [height, width]",
    ),
    (
        '"image": 64',
        '"image": [64, 8]',
        "4:17: image[1]: a side of the image must be at least 16; got 8; use 16 to 4096",
    ),
    (
        '"image": 64',
        '"image": {"height": 64}',
        "4:12: image: image must be an integer; got an object with 1 field; use 16 to 4096",
    ),
    ('"channels": 3', '"channels": 3.0', "4:28: channels: channels must be an integer; got 3.0; write 3"),
    ('"channels": 3', '"channels": true', "4:28: channels: channels must be an integer; got true; use 1 to 64"),
    (
        '"channels": 3',
        '"channels": null',
        "4:28: channels: channels must be an integer; got null; leave it out for the default, 3",
    ),
    ('"channels": 3', '"channels": [3]', "4:28: channels: channels must be an integer; got [3]; use 1 to 64"),
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
        '4:105: features[1]: a feature is listed once; got "stage2"; remove one of the two',
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
        "4:82: constraints: the document has no field 'constraints'; known: $schema, channels, "
        "classes, drop_path, features, image, init, kind, name, nodes, paper, version, weights",
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
    ('{"id": "stem", "type"', '{"type"', '6:5: nodes[0]: id is required; add "id": ...'),
    (
        '"id": "stem", "type": "patch_stem", ',
        '"id": "stem", ',
        '6:5: nodes[0]: a node needs a type; add "type": one of <nodes>',
    ),
    (
        '"type": "patch_stem"',
        '"type": "patchstem"',
        "6:28: nodes[0].type: no such type of node; got \"patchstem\"; did you mean 'patch_stem'?",
    ),
    (
        '"type": "patch_stem"',
        '"type": "transformer"',
        '6:28: nodes[0].type: no such type of node; got "transformer"; known: <nodes>',
    ),
    (
        '"type": "patch_stem"',
        '"type": null',
        "6:28: nodes[0].type: type must be a string; got null; write one of <nodes>",
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
    ('"width": 32, ', "", '6:5: nodes[0]: width is required; add "width": ...'),
    (
        '"width": 32',
        '"wdith": 32',
        '6:5: nodes[0]: width is required; add "width": ...',
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
        '10:5: nodes[4]: blocks is required; add "blocks": ...',
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
    ('"heads": 8, ', "", '12:7: nodes[4].blocks[1]: heads is required; add "heads": ...'),
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
        '"blocks": [{"type": "mlp"}, ' + '{"type": "mlp"}, ' * 14 + "\n",
        "10:64: nodes[4].blocks: blocks must have at most 16 items; got a list of 17; remove some",
    ),
]

EDGES: list[Change] = [
    (
        '"from": "stage1"',
        '"from": "stage"',
        "8:58: nodes[2].from: no node has this id; got \"stage\"; did you mean 'stage1'?",
    ),
    (
        '"from": "stage1"',
        '"from": "merge1"',
        '8:58: nodes[2].from: a node cannot read itself; got "merge1"; name an earlier node',
    ),
    (
        '"from": "stage1"',
        '"from": "stage2"',
        "8:58: nodes[2].from: a node stands after all that it reads; 'stage2' stands at nodes[3]; "
        'got "stage2"; move that up, or read an earlier node',
    ),
    (
        '"from": "stage1"',
        '"from": "stage1.class"',
        '8:58: nodes[2].from: stage1 has no such port; it gives pixels; got "class"; write "stage1"',
    ),
    (
        '"from": "stage1"',
        '"from": "stage1.pixel"',
        '8:58: nodes[2].from: stage1 has no such port; it gives pixels; got "pixel"; write "stage1"',
    ),
    (
        '"from": "stage1"',
        '"from": ["stem", "stage1"]',
        "8:58: nodes[2].from: deformable_merge reads pixels: one source; got 2 sources; join maps "
        "with an add_join or a concat_join first",
    ),
    ('"from": "stage1"', '"from": []', "8:58: nodes[2].from: from must have at least 1 item; got []; add one"),
    (
        '"from": "stage1"',
        '"from": "stage1.pixels.x"',
        '8:58: nodes[2].from: from must match ^[a-z][a-z0-9_]*(\\.[a-z]+)?$; got "stage1.pixels.x"; '
        'write "stage1", or "stage1.pixels" for one of its ports',
    ),
    ('"from": "stage1"', '"from": 1', "8:58: nodes[2].from: from must be a string; got 1; write text in double quotes"),
    (
        '"from": "stage1"',
        '"from": [1]',
        "8:59: nodes[2].from[0]: a source must be a string; got 1; write text in double quotes",
    ),
    (
        '"from": "stage1"',
        '"from": "stem"',
        '7:5: nodes[1]: nobody reads stage1; name it in the "from" of a later node, or remove it',
    ),
    (
        '"id": "stage1"',
        '"id": "stem"',
        '7:12: nodes[1].id: ids must be unique; nodes[0] has this one too; got "stem"; rename one of them',
        "8:58: nodes[2].from: no node has this id; got \"stage1\"; did you mean 'stem'?",
    ),
    (
        '"width": 32, "patch": 4',
        '"width": 32, "from": "stem"',
        '6:63: nodes[0].from: a stem reads the image; got "stem"; remove "from"',
    ),
    (
        '"id": "stage2", "type": "hilo"',
        '"id": "stage2", "type": "hilo", "from": "head"',
        "9:46: nodes[3].from: a node stands after all that it reads; 'head' stands at nodes[6]; got "
        '"head"; move that up, or read an earlier node',
    ),
    (
        '["stage2", "stage3"]',
        '["stage2"]',
        '10:5: nodes[4]: nobody reads stage3; name it in the "from" of a later node, or remove it',
        '13:48: nodes[5].from: add_join reads 2 to 16 sources; got 1; list them in "from"',
    ),
    (
        '["stage2", "stage3"]',
        '["stage2", "stage4"]',
        "13:59: nodes[5].from[1]: no node has this id; got \"stage4\"; did you mean 'stage3'?",
    ),
    (
        '["stage2", "stage3"]',
        '["stage2", "join"]',
        '13:59: nodes[5].from[1]: a node cannot read itself; got "join"; name an earlier node',
    ),
    (
        '["stage2", "stage3"]',
        '["stage1", "stage2"]',
        '10:5: nodes[4]: nobody reads stage3; name it in the "from" of a later node, or remove it',
        "13:5: nodes[5]: add_join needs equal maps (join reads 32x16x16 from stage1 and 64x8x8 from "
        "stage2); give the branches one width and resolution, or use concat_join for maps of one size",
    ),
    (
        '["stage2", "stage3"]',
        '"stage3"',
        '13:48: nodes[5].from: add_join reads 2 to 16 sources; got 1; list them in "from"',
    ),
    (
        '"type": "add_join", "from": ["stage2", "stage3"]',
        '"type": "concat_join", "from": ["stage1", "stage3"]',
        "13:5: nodes[5]: concat_join needs maps of one size (join reads 32x16x16 from stage1 and "
        "64x8x8 from stage3); bring the branches to one resolution",
    ),
    (
        '{"id": "join", "type": "add_join", "from": ["stage2", "stage3"]}',
        '{"id": "early", "type": "mean_head"}',
        "14:5: nodes[6]: head reads pixels, and early gives nothing; read a node that gives pixels",
        "14:5: nodes[6]: exactly one head is needed; nodes[5] is one too; remove one",
    ),
    (
        '"type": "mean_head"',
        '"type": "class_token_head"',
        "14:5: nodes[6]: head reads class, and join gives pixels; read a stage that makes a class token",
    ),
    (
        '"type": "mean_head"',
        '"type": "mean_head", "from": "stage3"',
        '13:5: nodes[5]: nobody reads join; name it in the "from" of a later node, or remove it',
    ),
    (
        '"type": "hilo", "depth": 2, "heads": 4, "window": 2, "alpha": 0.5, "norm": {"type": "group"}',
        '"type": "attention", "depth": 2, "heads": 4, "class_token": true',
        "9:82: nodes[3].class_token: nobody reads the class token of stage2; got true; set it false, "
        "or read it with a class_token_head",
    ),
    (
        '"type": "mean_head"',
        '"type": "class_token_head", "from": "stage2"',
        '13:5: nodes[5]: nobody reads join; name it in the "from" of a later node, or remove it',
        "14:56: nodes[6].from: head reads class, and stage2 gives pixels; read a stage that makes a class token",
    ),
]

SHAPES: list[Change] = [
    (
        '"heads": 4',
        '"heads": 5',
        "9:59: nodes[3].heads: width 64 must be a multiple of heads (stage2 reads 64x8x8 from "
        "merge1); got heads 5; use 2, 4 or 8",
    ),
    (
        '"heads": 8',
        '"heads": 3',
        "12:38: nodes[4].blocks[1].heads: width 64 must be a multiple of heads (stage3 reads 64x8x8 "
        "from stage2); got heads 3; use 1, 2 or 4",
    ),
    (
        '{"type": "group"}',
        '{"type": "group", "groups": 7}',
        "9:125: nodes[3].norm.groups: width 64 must be a multiple of norm.groups (stage2 reads "
        "64x8x8 from merge1); got groups 7; use 2, 4 or 8",
    ),
    (
        '"kernel": 3}',
        '"kernel": 4}',
        "7:85: nodes[1].mlp.kernel: the kernel must be odd (stage1 reads 32x16x16 from stem); got kernel 4; use 5",
    ),
    (
        '"patch": 4',
        '"patch": 4, "norm": {"type": "group", "groups": 3}',
        "6:103: nodes[0].norm.groups: width 32 must be a multiple of norm.groups (stem reads 3x64x64 "
        "from the image); got groups 3; use 1, 2 or 4",
    ),
]


@pytest.mark.parametrize("change", [*HEADER, *NODES, *SUBOBJECTS, *EDGES, *SHAPES], ids=lambda change: f"{change[:2]}")
def test_a_mistake_is_told_where_it_is(change: Change) -> None:
    old, new, *messages = change
    assert GOOD.count(old) == 1
    assert lines(GOOD.replace(old, new)) == messages


def test_where_no_stem_or_head_is_the_known_ones_are_named() -> None:
    stem = '    {"id": "stem", "type": "patch_stem", "width": 32, "patch": 4},\n'
    (first,) = problems(GOOD.replace(stem, ""))
    assert (first.path, first.rule, first.value) == ("nodes[0].type", "the first node must be a stem", '"mlp"')
    assert "patch_stem" in (first.remedy or "")
    (head,) = problems(GOOD.replace(',\n    {"id": "head", "type": "mean_head"}', ""))
    assert (head.path, head.rule) == ("nodes", "exactly one head is needed; there is none")
    assert "mean_head" in (head.remedy or "")


def document(*nodes: dict[str, Any], **header: Any) -> dict[str, Any]:
    return {"kind": "arch", "version": 1, "name": "net", "image": 32, "classes": 4, **header, "nodes": list(nodes)}


def told(*nodes: dict[str, Any], **header: Any) -> list[str]:
    with pytest.raises(SpecError) as caught:
        spec_of(document(*nodes, **header))
    return [str(problem) for problem in caught.value.problems]


STEM = {"id": "stem", "type": "patch_stem", "width": 8}
STAGE = {"id": "stage1", "type": "attention", "depth": 1, "heads": 2}
PLAIN = {"id": "stage1", "type": "mlp", "depth": 1}
TOKEN = STAGE | {"class_token": True}
MERGE = {"id": "merge", "type": "deformable_merge", "width": 8}
HEAD = {"id": "head", "type": "mean_head"}
TOKEN_HEAD = {"id": "head", "type": "class_token_head"}


def test_the_plain_documents_are_good() -> None:
    spec_of(document(STEM, STAGE, HEAD))
    spec_of(document(STEM, TOKEN, TOKEN_HEAD))
    spec_of(document(STEM, TOKEN, TOKEN_HEAD | {"from": "stage1.class"}))
    spec_of(document(STEM, STAGE, MERGE, HEAD))


SHORT: dict[str, tuple[list[dict[str, Any]], dict[str, Any], list[str]]] = {
    "a map too small to halve": (
        [STEM, STAGE, MERGE, MERGE | {"id": "b"}, MERGE | {"id": "c"}, MERGE | {"id": "d"}, HEAD],
        {},
        ["nodes[5]: a merge halves the map, which must have 2 positions a side at least (d reads 8x1x1 from c)"],
    ),
    "a patch larger than the image": (
        [STEM | {"patch": 16, "pad": False}, STAGE, MERGE, HEAD],
        {"image": [16, 31]},
        [
            "nodes[2]: a merge halves the map, which must have 2 positions a side at least "
            "(merge reads 8x1x1 from stage1)"
        ],
    ),
    "a class token beside what acts on a map alone": (
        [STEM, TOKEN | {"mlp": {"type": "dwconv"}}, TOKEN_HEAD],
        {},
        [
            "nodes[1].mlp: a class token goes through a plain mlp only (stage1 reads 8x8x8 from stem); got dwconv; "
            "set class_token false or change it"
        ],
    ),
    "a class token and a bias by displacement": (
        [STEM, TOKEN | {"position_bias": {"type": "relative"}}, TOKEN_HEAD],
        {},
        [
            "nodes[1].position_bias: a class token has no displacement for a position bias "
            "(stage1 reads 8x8x8 from stem); got relative; set one of them otherwise"
        ],
    ),
    "a token's head that norms otherwise": (
        [STEM, TOKEN, TOKEN_HEAD | {"norm": {"type": "batch"}}],
        {},
        ["nodes[2].norm: one token has layer norms only (head reads 1x8 from stage1); got batch; use layer"],
    ),
    "a class token that is not made": (
        [STEM, STAGE, TOKEN_HEAD],
        {},
        ['nodes[2]: head reads class, and stage1 gives pixels; give stage1 "class_token": true'],
    ),
    "a class token where a map is read": (
        [STEM, TOKEN, HEAD | {"from": "stage1.class"}],
        {},
        ['nodes[2].from: head reads pixels, and stage1 gives pixels and class; write "stage1"'],
    ),
    "a map where a class token is read": (
        [STEM, TOKEN, TOKEN_HEAD | {"from": "stage1.pixels"}],
        {},
        [
            "nodes[1].class_token: nobody reads the class token of stage1; got true; "
            "set it false, or read it with a class_token_head",
            'nodes[2].from: head reads class, and stage1 gives pixels and class; write "stage1"',
        ],
    ),
    "too few nodes": (
        [STEM, HEAD],
        {},
        ["nodes: a document has 3 to 256 nodes; got 2; a stem, a stage and a head at least"],
    ),
    "too many nodes": (
        [STEM, *(STAGE | {"id": f"s{i}"} for i in range(255)), HEAD],
        {},
        ["nodes: a document has 3 to 256 nodes; got 257; a stem, a stage and a head at least"],
    ),
    "a version from the future, whatever else it may hold": (
        [{"shape": "torus"}],
        {"version": 7, "colour": "red"},
        ["version: the document's version is newer than this archdsl reads (1); got 7; upgrade archdsl"],
    ),
}


@pytest.mark.parametrize("case", SHORT)
def test_a_shape_or_a_port_that_does_not_fit_is_told_with_both_ends(case: str) -> None:
    nodes, header, messages = SHORT[case]
    assert told(*nodes, **header) == messages


def test_a_cycle_is_told_at_the_source_that_closes_it() -> None:
    first = {"id": "a", "type": "add_join", "from": ["stem", "c"]}
    assert told(STEM, first, STAGE | {"id": "b"}, STAGE | {"id": "c"}, HEAD) == [
        "nodes[1].from[1]: a node stands after all that it reads; 'c' stands at nodes[3]; got \"c\"; "
        "move that up, or read an earlier node"
    ]


@pytest.mark.parametrize("version", [1, 0, "1", None])
def test_python_values_are_checked_as_files_are(version: Any) -> None:
    raw = document(STEM, STAGE, HEAD, version=version)
    if version == 1:
        assert spec_of(raw).version == 1
    else:
        with pytest.raises(SpecError, match="version"):
            spec_of(raw)


@pytest.mark.parametrize("raw", [None, 5, "arch", [], [{}]])
def test_what_is_no_object_is_no_document(raw: Any) -> None:
    with pytest.raises(SpecError, match="a document must be an object; got "):
        spec_of(raw)


def test_several_mistakes_are_told_at_once_in_document_order() -> None:
    text = GOOD
    for old, new in {
        '"arxiv": "2105.14217"': '"arxiv": "x"',
        '"image": 64': '"image": 8',
        '"weights": "lit"': '"wieghts": "lit"',
        '"width": 32': '"width": "32"',
        '"kernel": 3}': '"kernal": 3}',
        '"alpha": 0.5': '"alpha": 2',
        '"heads": 8': '"heads": 0',
        '["stage2", "stage3"]': '["stage2", "stage4"]',
        '"type": "mean_head"': '"type": "meen_head"',
    }.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    found = problems(text)
    assert [problem.path for problem in found] == [
        "paper.arxiv",
        "image",
        "wieghts",
        "nodes[0].width",
        "nodes[1].mlp.kernal",
        "nodes[3].alpha",
        "nodes[4].blocks[1].heads",
        "nodes[5].from[1]",
        "nodes[6].type",
    ]
    with pytest.raises(SpecError) as caught:
        spec_of(json.loads(text))
    assert [problem.path for problem in caught.value.problems] == [problem.path for problem in found]


def test_two_shape_errors_in_separate_branches_are_both_told() -> None:
    text = GOOD.replace('"heads": 4', '"heads": 5').replace('"kernel": 3}', '"kernel": 2}')
    assert [problem.path for problem in problems(text)] == ["nodes[1].mlp.kernel", "nodes[3].heads"]


def test_everything_told_has_a_place_a_rule_and_a_remedy() -> None:
    for old, new, *_ in (*HEADER, *NODES, *SUBOBJECTS, *EDGES, *SHAPES):
        for problem in problems(GOOD.replace(old, new)):
            assert problem.line, (old, new)
            assert problem.column, (old, new)
            assert problem.rule, (old, new)
            assert problem.remedy or " or " in problem.rule, (old, new)  # the rule itself says what may stand there
            assert "\n" not in str(problem)
            assert len(str(problem)) < 500


ROOM = "a document has at most {}; got {}, most of it here; make width, depth or image smaller"
LARGE: dict[str, tuple[list[dict[str, Any]], int, list[str]]] = {
    "parameters": (
        [STEM | {"width": 4096}, PLAIN | {"depth": 12}, HEAD],
        32,
        ["nodes[1]: " + ROOM.format("1e9 parameters", "1.61e9")],
    ),
    "MACs": (
        [STEM | {"width": 512}, PLAIN | {"depth": 30}, HEAD],
        1024,
        ["nodes[1]: " + ROOM.format("3e12 MACs for one image", "4.12e12")],
    ),
    "memory": (
        [STEM, STAGE, HEAD],
        1024,
        ["nodes[1]: " + ROOM.format("1.6e10 bytes of memory for one image in float32", "3.44e10")],
    ),
    "all three": (
        [STEM | {"width": 8192}, STAGE | {"depth": 64}, HEAD],
        4096,
        [
            "nodes[1]: " + ROOM.format("1e9 parameters", "5.15e10"),
            "nodes[1]: " + ROOM.format("3e12 MACs for one image", "1.21e18"),
            "nodes[1]: " + ROOM.format("1.6e10 bytes of memory for one image in float32", "9.24e12"),
        ],
    ),
}


@pytest.mark.parametrize("case", LARGE)
def test_a_document_too_large_to_build_is_refused_before_anything_is_allocated(case: str) -> None:
    nodes, image, messages = LARGE[case]
    small = [node | {"width": 64} if "width" in node else node for node in nodes]
    assert spec_of(document(*small, image=64)).nodes
    assert told(*nodes, image=image) == messages


def test_real_backbones_at_the_sizes_of_dense_prediction_are_inside_the_bounds() -> None:
    for name in ("litv2_b", "lit_b"):
        assert override(load_spec(name), ["image=1536"]).image == 1536


def test_a_great_many_mistakes_are_told_in_part_and_counted() -> None:
    raw = document(STEM, *(STAGE | {"id": f"s{i}"} | {f"x{k}": k for k in range(50)} for i in range(20)), HEAD)
    with pytest.raises(SpecError) as caught:
        spec_of(raw)
    *first, last = caught.value.problems
    assert len(first) == 100
    assert [str(problem) for problem in first[15:17]] == [
        "nodes[1].x15: attention has no field 'x15'; " + (first[0].remedy or ""),
        "nodes[1].x15: 34 more problems like these",
    ]
    assert str(last) == "nodes[6].x14: 240 more problems like these"
