"""The JSON Schemas (2020-12) of the documents, derived from the models, for editors and for other languages.

They say what holds of each value by itself; ids, edges and shapes are `archdsl check`'s. The committed files in
`archdsl/schemas` know the types of this package alone, so that they are the same everywhere.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Union

from pydantic import BaseModel, Field, create_model
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from archdsl.families.common.fields import Knob, SubObject
from archdsl.language.document import spec_model
from archdsl.language.nodes import Node, declared, node_models
from archdsl.language.searchable_models import Name, SearchableModel, space_alternatives, space_nodes
from archdsl.reference.definitions import Definitions
from archdsl.spaces.space import Seed, SpaceHeader

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TITLES = {
    "arch": ("archdsl backbone", "A hierarchical vision backbone: a graph of stems, stages, merges, joins and a head."),
    "space": ("archdsl search space", "A backbone document with holes, and what a search over it must keep to."),
}


def arch_schema(installed: bool = False) -> dict[str, Any]:
    """The schema of documents of kind "arch", on demand with the types of installed packages."""
    return _finished("arch", spec_model().model_json_schema(by_alias=True, schema_generator=_Generator), installed)


def space_schema(installed: bool = False) -> dict[str, Any]:
    """The schema of documents of kind "space", on demand with the types of installed packages."""
    return _finished("space", _space_model().model_json_schema(by_alias=True, schema_generator=_Generator), installed)


def text(schema: dict[str, Any]) -> str:
    """A schema as its committed file has it."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def _space_model() -> type[BaseModel]:
    """A space with its nodes as models; the reader checks them one by one instead."""
    alternatives: Any = Union[tuple(space_alternatives().values())]  # noqa: UP007  # made at run time
    fields: dict[str, Any] = {
        "id": (Node.model_fields["id"].annotation, Node.model_fields["id"]),
        "from_": (Node.model_fields["from_"].annotation, Node.model_fields["from_"]),
        "name": (Name | None, Field(None, alias="$name")),
        "one_of": (tuple[alternatives, ...], Field(alias="$one_of", min_length=1, max_length=64)),
    }
    doc = "A node that is one of several; its `$name`, else its id, names the choice."
    hole = create_model("NodeHole", __base__=SearchableModel, __doc__=doc, **fields)
    node: Any = Union[(*space_nodes().values(), hole)]  # made at run time
    several: Any = tuple[node, ...]
    nodes: Any = (several, Field(min_length=3, max_length=256))
    seeds: Any = (tuple[Seed, ...], Field((), max_length=32))
    return create_model("Space", __base__=SpaceHeader, nodes=nodes, seeds=seeds)


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


def _knobs(model: type[BaseModel]) -> dict[str, list[Any]]:
    """The values that a search may try, by field as written; of a twin, those of its model."""
    if issubclass(model, SearchableModel):
        model = _originals().get(model.__name__.removeprefix("Space"), model)
    return {
        field.alias or name: json.loads(json.dumps(mark.values))
        for name, field in model.model_fields.items()
        for mark in field.metadata
        if isinstance(mark, Knob)
    }


def _originals() -> dict[str, type[BaseModel]]:
    """Every model that has a searchable twin, by its name."""
    models = [*node_models().values(), *(part for _, part in declared()), *SubObject.__subclasses__()]
    return {model.__name__: model for model in models}


def _finished(kind: str, made: dict[str, Any], installed: bool) -> dict[str, Any]:
    """The schema with its name on it; without other packages' types, unless those `installed` are wanted."""
    foreign = {name for name, part in declared() if not installed and not part.__module__.startswith("archdsl.")}
    title, description = _TITLES[kind]
    head = {"$schema": DIALECT, "$id": f"urn:archdsl:{kind}-1.schema.json", "title": title, "description": description}
    definitions = Definitions(made.pop("$defs"), foreign)
    body = definitions.rewritten({key: value for key, value in made.items() if key not in head})
    return {**head, **body, "$defs": dict(sorted(definitions.kept.items()))}


def main() -> None:
    """Renew the committed files: `python -m archdsl.schema.jsonschema`."""
    folder = Path(__file__).parent.parent / "schemas"
    for kind, schema in (("arch", arch_schema()), ("space", space_schema())):
        (folder / f"{kind}-1.schema.json").write_text(text(schema), encoding="utf-8")


if __name__ == "__main__":
    main()
