"""The JSON Schemas (2020-12) of the documents, derived from the models, for editors and for other languages.

They say what holds of each value by itself; ids, edges and shapes are `archdsl check`'s. The committed files in
`archdsl/schemas` know the types of this package alone, so that they are the same everywhere.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from archdsl.families.common.fields import Knob, SubObject
from archdsl.json_types import Json, JsonObject, object_in
from archdsl.language.document import spec_model
from archdsl.language.nodes import declared, node_models
from archdsl.language.searchable_models import SearchableModel, node_hole_fields, space_alternatives, space_nodes
from archdsl.language.type_forms import FieldDefinition, make_model, tuple_of, union_of
from archdsl.reference.definitions import Definitions
from archdsl.spaces.space import Seed, SpaceHeader

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TITLES = {
    "arch": ("archdsl backbone", "A hierarchical vision backbone: a graph of stems, stages, merges, joins and a head."),
    "space": ("archdsl search space", "A backbone document with holes, and what a search over it must keep to."),
}


def arch_schema(installed: bool = False) -> JsonObject:
    """The schema of documents of kind "arch", on demand with the types of installed packages."""
    return _finished("arch", spec_model().model_json_schema(by_alias=True, schema_generator=_Generator), installed)


def space_schema(installed: bool = False) -> JsonObject:
    """The schema of documents of kind "space", on demand with the types of installed packages."""
    return _finished("space", _space_model().model_json_schema(by_alias=True, schema_generator=_Generator), installed)


def text(schema: JsonObject) -> str:
    """A schema as its committed file has it."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def _space_model() -> type[BaseModel]:
    """A space with its nodes as models; the reader checks them one by one instead."""
    doc = "A node that is one of several; its `$name`, else its id, names the choice."
    hole = make_model("NodeHole", SearchableModel, node_hole_fields(union_of(space_alternatives().values())), doc)
    nodes = tuple_of(union_of([*space_nodes().values(), hole]))
    fields: dict[str, FieldDefinition] = {
        "nodes": (nodes, Field(min_length=3, max_length=256)),
        "seeds": (tuple[Seed, ...], Field((), max_length=32)),
    }
    return make_model("Space", SpaceHeader, fields)


class _Generator(GenerateJsonSchema):
    """Descriptions in one line, knobs as examples, no titles made of field names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never: it would say the field's name again."""
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """A model's object, with what only its class knows."""
        made = super().model_schema(schema)
        model = schema["cls"]
        first = (model.__doc__ or "").strip().partition("\n")[0]
        made.pop("description", None)
        if first and "type" in made.get("properties", {}):
            made["description"] = first
        for field, values in _knobs(model).items():
            made["properties"][field]["examples"] = values
        return made


def _knobs(model: type[BaseModel]) -> dict[str, list[Json]]:
    """The values that a search may try, by field as written; of a searchable model, those of the declared one."""
    if issubclass(model, SearchableModel):
        model = _originals().get(model.__name__.removeprefix("Space"), model)
    return {
        field.alias or name: json.loads(json.dumps(mark.values))
        for name, field in model.model_fields.items()
        for mark in field.metadata
        if isinstance(mark, Knob)
    }


def _originals() -> dict[str, type[BaseModel]]:
    """Every model that has a searchable one, by its name."""
    models = [*node_models().values(), *(part for _, part in declared()), *SubObject.__subclasses__()]
    return {model.__name__: model for model in models}


def _finished(kind: str, made: JsonObject, installed: bool) -> JsonObject:
    """The schema with its name on it; without other packages' types, unless those `installed` are wanted."""
    foreign = {name for name, part in declared() if not installed and not part.__module__.startswith("archdsl.")}
    title, description = _TITLES[kind]
    head: JsonObject = {
        "$schema": DIALECT,
        "$id": f"urn:archdsl:{kind}-1.schema.json",
        "title": title,
        "description": description,
    }
    definitions = Definitions(object_in(made.pop("$defs")), foreign)
    body = {key: definitions.rewritten(value) for key, value in made.items() if key not in head}
    return {**head, **body, "$defs": dict(sorted(definitions.kept.items()))}


def main() -> None:
    """Renew the committed files: `python -m archdsl.reference.jsonschema`."""
    folder = Path(__file__).parent.parent / "schemas"
    for kind, schema in (("arch", arch_schema()), ("space", space_schema())):
        (folder / f"{kind}-1.schema.json").write_text(text(schema), encoding="utf-8")


if __name__ == "__main__":
    main()
