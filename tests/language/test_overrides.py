"""Overrides set fields of a document with its defaults filled in; all are made, then it is checked once."""

from __future__ import annotations

from typing import Any

import pytest

from archdsl.errors import SpecError
from archdsl.load.sources import next_commands
from archdsl.load.specs import load_spec, override, spec_of

SEQUENCE: dict[str, Any] = {
    "kind": "arch",
    "version": 1,
    "name": "net",
    "image": 32,
    "paper": {"title": "T"},
    "nodes": [
        {"id": "stem", "type": "patch_stem", "width": 16},
        {"id": "stage1", "type": "sequence", "depth": 3, "blocks": [
            {"type": "mlp"},
            {"type": "attention", "heads": 2},
            {"type": "hilo", "heads": 2, "window": 2}]},
        {"id": "head", "type": "mean_head"},
    ],
}  # fmt: skip


def value(spec: Any, path: str) -> Any:
    """The value at `stage3.alpha` or `image`."""
    name, *fields = path.split(".")
    found = spec.node(name) if fields else getattr(spec, name)
    for field in fields:
        found = found[int(field)] if field.isdigit() else getattr(found, field)
    return found


SET = {
    "image=256": ("image", 256),
    "image=[128, 192]": ("image", (128, 192)),
    "classes=10": ("classes", 10),
    "name=mine": ("name", "mine"),
    "init=torch": ("init", "torch"),
    'init="torch"': ("init", "torch"),
    "weights=null": ("weights", None),
    'features=["stage1", "stage4"]': ("features", ("stage1", "stage4")),
    "stage3.alpha=0.5": ("stage3.alpha", 0.5),
    "stage3.alpha = 1": ("stage3.alpha", 1),
    "stage3.depth=7": ("stage3.depth", 7),
    "stage3.qkv_bias=false": ("stage3.qkv_bias", False),
    "stage1.norm.eps=1e-6": ("stage1.norm.eps", 1e-6),
    "stage1.mlp.ratio=3": ("stage1.mlp.ratio", 3),
    "stage1.mlp=plain": ("stage1.mlp.type", "plain"),
    'stage1.mlp={"type": "plain", "ratio": 2}': ("stage1.mlp.ratio", 2),
    "stage1.layer_scale=1e-5": ("stage1.layer_scale", 1e-5),
    "stage1.layer_scale=null": ("stage1.layer_scale", None),
    "head.norm=batch": ("head.norm.type", "batch"),
    "merge1.from=stage1": ("merge1.sources", ("stage1",)),
}


@pytest.mark.parametrize("text", SET)
def test_a_field_is_set(text: str) -> None:
    path, wanted = SET[text]
    assert value(override(load_spec("litv2_s"), [text]), path) == wanted


def test_nothing_else_changes_and_the_spec_itself_neither() -> None:
    spec = load_spec("litv2_s")
    before = spec.to_json()
    found = override(spec, ["stage3.alpha=0.5"]).to_json()
    assert spec.to_json() == before
    assert found["nodes"][5].pop("alpha") == 0.5
    assert found == before
    assert override(spec, []) is spec


def test_all_are_made_before_the_document_is_checked() -> None:
    spec = override(load_spec("litv2_s"), ["merge2.width=320", "stage3.heads=10"])
    assert (value(spec, "merge2.width"), value(spec, "stage3.heads")) == (320, 10)
    with pytest.raises(SpecError, match=r"nodes\[5\]\.heads: width 320 must be a multiple of heads"):
        override(spec, ["stage3.heads=12"])
    again = override(spec, ["stage3.heads=5", "stage3.heads=20"])
    assert value(again, "stage3.heads") == 20


def test_a_field_that_a_sequence_does_not_have_goes_to_every_block_that_has_it() -> None:
    spec = override(
        spec_of(SEQUENCE), ["stage1.heads=4", "stage1.window=4", "stage1.blocks.2.alpha=0", "stage1.depth=6"]
    )
    _, attention, hilo = value(spec, "stage1.blocks")
    assert (attention.heads, hilo.heads, hilo.window, hilo.alpha) == (4, 4, 4, 0)
    assert value(spec, "stage1.depth") == 6
    blocks = value(override(spec, ["stage1.norm.eps=0.1"]), "stage1.blocks")
    assert [block.norm.eps for block in blocks] == [0.1] * 3


def test_a_paper_is_an_object_like_others() -> None:
    assert override(spec_of(SEQUENCE), ["paper.title=U", "paper.gmacs=1.5"]).paper is not None


REFUSED = {
    "stage3": '--set: an override is written NODE.FIELD=VALUE or FIELD=VALUE; got "stage3"',
    "=3": '--set: an override is written NODE.FIELD=VALUE or FIELD=VALUE; got "=3"',
    "stage3.=3": '--set: an override is written NODE.FIELD=VALUE or FIELD=VALUE; got "stage3.=3"',
    "imag=64": "--set: the document has no field 'imag'; got \"imag=64\"; did you mean 'image'?",
    "stage5.depth=3": '--set: no node is called "stage5"; got "stage5.depth=3"; did you mean \'stage4\'?',
    "stage3.alhpa=1": "--set: stage3 (hilo) has no field 'alhpa'; got \"stage3.alhpa=1\"; did you mean 'alpha'?",
    "stage3.mlp.ration=1": "--set: stage3.mlp (dwconv) has no field 'ration'; got \"stage3.mlp.ration=1\"; "
    "did you mean 'ratio'?",
    "stage3.depth.x=1": "--set: stage3.depth (6) has no field 'x'; got \"stage3.depth.x=1\"",
    "image.0=64": '--set: no node is called "image"; got "image.0=64"; known: head, merge1, merge2, merge3, '
    "stage1, stage2, stage3, stage4, stem",
    "image=[64, NaN]": '--set: the value is no JSON this language reads; got "image=[64, NaN]"; '
    "a number must be finite",
    "stage3.depth=0": "nodes[5].depth: depth must be at least 1; got 0; use 1 to 64",
    "stage3.depth=two": 'nodes[5].depth: depth must be an integer; got "two"; use 1 to 64',
    "stage3.type=mlp": "nodes[5]: mlp has no fields 'heads', 'window', 'alpha' and 'qkv_bias', which the hilo of "
    "stage3 has; an override cannot remove a field: write the whole node in a document of your own",
    "stage3.heads=5": "nodes[5].heads: width 384 must be a multiple of heads (stage3 reads 384x14x14 from merge2); "
    "got heads 5; use 3, 4 or 6",
    "kind=space": 'kind: this is a document of kind "space", and one of kind "arch" is read here; '
    + next_commands("space"),
    "nodes=5": "nodes: nodes must be a list; got 5",
}


def test_a_type_and_a_field_that_it_has_not_are_told_apart_from_what_is_wrong_otherwise() -> None:
    with pytest.raises(SpecError) as caught:
        override(load_spec("dat_t"), ["stage1.type=attention"])
    assert [str(problem) for problem in caught.value.problems] == [
        'nodes[1]: heads is required; add "heads": 4',
        "nodes[1]: attention has no field 'blocks', which the sequence of stage1 has; an override cannot remove a "
        "field: write the whole node in a document of your own",
    ]


@pytest.mark.parametrize("text", REFUSED)
def test_an_override_that_cannot_be_made_is_told(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        override(load_spec("litv2_s"), [text])
    assert str(caught.value.problems[0]) == REFUSED[text]


def test_every_override_that_cannot_be_made_is_told_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        override(load_spec("litv2_s"), ["imag=64", "stage3.depth=3", "stage9.depth=1"])
    assert len(caught.value.problems) == 2


def test_odd_text_is_refused_and_never_a_crash() -> None:
    spec = load_spec("litv2_s")
    odd = [
        "",
        "=",
        ".",
        "a.b.c.d=1",
        "stage3..x=1",
        "stage3.mlp.type.x=1",
        "image=" + "[" * 5000,
        "image=" + "9" * 5000,
    ]
    odd += ["stage3.from.0=x", "stage3.norm=null", "image=\ud800", 'image="\\ud800"', "image={}", "\0=1", "stage3.id=1"]
    for text in odd:
        with pytest.raises(SpecError):
            override(spec, [text])
