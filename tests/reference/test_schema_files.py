"""The JSON Schemas: the committed files say what the models say, and accept and refuse as the language does."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from archdsl import load_space, load_spec, zoo
from archdsl.errors import SpecError
from archdsl.json_types import JsonObject
from archdsl.load.specs import spec_of
from archdsl.reference.definitions import Definitions
from archdsl.reference.jsonschema import arch_schema, space_schema, text
from tests.support.places import ROOT

SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {"arch": arch_schema, "space": space_schema}


@cache
def schema(kind: str) -> dict[str, Any]:
    return SCHEMAS[kind]()


@cache
def validator(kind: str) -> Draft202012Validator:
    return Draft202012Validator(schema(kind))


def document(name: str) -> Any:
    data = zoo.text(name)
    assert data is not None
    return json.loads(data)


def changed(whole: Any, change: str, value: Any) -> Any:
    """The document with the value at `nodes/1/depth` set; `...` removes it."""
    whole = copy.deepcopy(whole)
    *path, last = [int(key) if key.isdigit() else key for key in change.split("/")]
    place: Any = whole
    for key in path:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = copy.deepcopy(value)
    return whole


@pytest.mark.parametrize("kind", SCHEMAS)
def test_the_committed_file_is_what_the_models_give(kind: str) -> None:
    committed = (ROOT / "archdsl" / "schemas" / f"{kind}-1.schema.json").read_text(encoding="utf-8")
    assert committed == text(schema(kind)), "renew it by python -m archdsl.reference.jsonschema"


@pytest.mark.parametrize("kind", SCHEMAS)
def test_the_schema_is_one_and_says_what_it_is(kind: str) -> None:
    Draft202012Validator.check_schema(schema(kind))
    assert schema(kind)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema(kind)["$id"] == f"urn:archdsl:{kind}-1.schema.json"
    assert schema(kind)["title"]
    assert schema(kind)["description"]


@pytest.mark.parametrize("name", zoo.names())
def test_every_published_backbone_is_accepted(name: str) -> None:
    validator("arch").validate(document(name))


@pytest.mark.parametrize("name", zoo.spaces())
def test_every_space_is_accepted(name: str) -> None:
    validator("space").validate(document(name))


def test_a_written_out_document_is_accepted_too() -> None:
    validator("arch").validate(load_spec("litv2_s").model_dump(mode="json", by_alias=True))


BAD_ARCH = [
    ("kind", "house"),
    ("kind", "space"),
    ("version", 2),
    ("version", True),
    ("name", "No Name"),
    ("name", ...),
    ("image", 8),
    ("image", [224]),
    ("image", "224"),
    ("drop_path", 1),
    ("paper/arxiv", "2205"),
    ("paper/authors", []),
    ("colour", "red"),
    ("nodes", {}),
    ("nodes", []),
    ("nodes/0", "stem"),
    ("nodes/0/id", ...),
    ("nodes/0/id", "Stem"),
    ("nodes/0/type", ...),
    ("nodes/0/type", "patch_stm"),
    ("nodes/0/width", ...),
    ("nodes/0/width", None),
    ("nodes/0/width", 96.5),
    ("nodes/1/depth", 0),
    ("nodes/1/depth", "2"),
    ("nodes/1/depth", True),
    ("nodes/1/dept", 2),
    ("nodes/1/mlp", "dwconv"),
    ("nodes/1/mlp", {"ratio": 4}),
    ("nodes/1/mlp", {"type": "fat"}),
    ("nodes/1/mlp", {"type": "plain", "kernel": 3}),
    ("nodes/1/mlp", {"type": "dwconv", "kernel": 4}),
    ("nodes/1/out_norm", "sometimes"),
    ("nodes/1/from", 0),
    ("nodes/5/alpha", 1.5),
    ("nodes/5/qkv_bias", 1),
]


@pytest.mark.parametrize(("change", "value"), BAD_ARCH)
def test_a_bad_backbone_is_refused_by_schema_and_language_alike(change: str, value: Any) -> None:
    bad = changed(document("litv2_s"), change, value)
    assert not validator("arch").is_valid(bad)
    with pytest.raises(SpecError):
        spec_of(bad)


SPACE: Any = {
    "kind": "space",
    "version": 1,
    "name": "small",
    "image": 64,
    "nodes": [
        {"id": "stem", "type": "patch_stem", "patch": {"$one_of": [2, 4]}, "width": {"$int": [16, 32], "$step": 16}},
        {
            "id": "stage",
            "$name": "kind",
            "$one_of": [
                {"type": "mlp", "depth": {"$int": [1, 2], "$name": "d"}, "mlp": {"$one_of": [{"type": "plain"}]}},
                {
                    "$label": "hi",
                    "type": "hilo",
                    "depth": 1,
                    "heads": {"$expr": "stem.width // 8"},
                    "window": 2,
                    "alpha": {"$float": [0.3, 0.9], "$step": 0.3},
                },
                {"type": "sequence", "depth": 2, "blocks": [{"$repeat": {"type": "mlp"}, "$times": 2}]},
            ],
        },
        {"id": "head", "type": "mean_head"},
    ],
    "constraints": ["stem.patch == 4 or stem.width <= 32"],
    "budgets": [{"metric": "latency", "max": 5, "unit": "ms", "stat": "p50", "batch": 1}],
    "objectives": ["max proxy_accuracy", "min params"],
}


def test_a_space_of_every_kind_of_hole_is_accepted_by_schema_and_language_alike(tmp_path: Path) -> None:
    validator("space").validate(SPACE)
    (tmp_path / "space.json").write_text(json.dumps(SPACE), encoding="utf-8")
    assert load_space(tmp_path / "space.json").name == "small"


BAD_SPACE = [
    ("kind", "arch"),
    ("nodes/0/patch", {"$one_off": [2, 4]}),
    ("nodes/0/patch", {"$one_of": []}),
    ("nodes/0/patch", {"$one_of": [2, "4"]}),
    ("nodes/0/patch", {"$int": [1]}),
    ("nodes/0/patch", {"$int": [1, 2], "$step": 0}),
    ("nodes/0/patch", {"$expr": 4}),
    ("nodes/0/patch", {"$float": [1.0, 2.0]}),
    ("nodes/0/width", {"$one_of": [16], "$name": "W"}),
    ("nodes/0/type", {"$one_of": ["patch_stem"]}),
    ("nodes/1/$one_of", []),
    ("nodes/1/$one_of/0/id", "stage"),
    ("nodes/1/id", ...),
    ("constraints", ["stem.patch == 4", 4]),
    ("budgets/0/metric", "joy"),
    ("budgets/0/max", 0),
    ("budgets/0/unit", "weeks"),
    ("objectives", ["max fun"]),
    ("seeds", [5]),
]


@pytest.mark.parametrize(("change", "value"), BAD_SPACE)
def test_a_bad_space_is_refused_by_schema_and_language_alike(change: str, value: Any, tmp_path: Path) -> None:
    bad = changed(SPACE, change, value)
    assert not validator("space").is_valid(bad)
    (tmp_path / "bad.json").write_text(json.dumps(bad), encoding="utf-8")
    with pytest.raises(SpecError):
        load_space(tmp_path / "bad.json")


def test_a_type_is_described_by_its_first_line_and_a_knob_by_its_values() -> None:
    hilo = schema("arch")["$defs"]["HiLoNode"]
    assert hilo["description"].startswith("HiLo attention (section 3)")
    assert hilo["properties"]["type"] == {"const": "hilo", "type": "string"}
    assert hilo["properties"]["alpha"]["examples"] == [0.0, 0.5, 0.9, 1.0]
    assert hilo["properties"]["alpha"]["description"] == "share of Lo-Fi heads"
    assert schema("space")["$defs"]["SpaceHiLoNode"]["properties"]["alpha"]["examples"] == [0.0, 0.5, 0.9, 1.0]


def test_types_of_other_packages_are_offered_nowhere() -> None:
    made: JsonObject = {
        "Ours": {"properties": {"type": {"const": "ours"}, "inner": {"oneOf": [{"$ref": "#/$defs/Theirs"}]}}},
        "Theirs": {"properties": {"type": {"const": "acme.theirs"}}},
    }
    definitions = Definitions(made, {"acme.theirs"})
    written = definitions.rewritten({"oneOf": [{"$ref": "#/$defs/Ours"}, {"$ref": "#/$defs/Theirs"}]})
    assert written == {"oneOf": [{"$ref": "#/$defs/Ours"}]}
    assert "acme" not in json.dumps(definitions.kept)


def test_equal_definitions_are_one_and_different_ones_of_a_name_are_numbered() -> None:
    made: JsonObject = {
        "a__Hole__1": {"title": "Hole", "minimum": 1},
        "a__Hole__2": {"title": "Hole", "minimum": 1},
        "a__Hole__3": {"title": "Hole", "minimum": 2},
    }
    definitions = Definitions(made, ())
    written: Any = definitions.rewritten([{"$ref": f"#/$defs/a__Hole__{number}"} for number in (1, 2, 3)])
    assert [item["$ref"].rpartition("/")[2] for item in written] == ["Hole", "Hole", "Hole2"]
    assert definitions.kept == {"Hole": made["a__Hole__1"], "Hole2": made["a__Hole__3"]}
