"""The `$defs` of a JSON Schema made by pydantic, made fit to be read: what is equal once, under a plain name.

pydantic defines each model by itself, and the many holes of a space are models of few names.
"""

from __future__ import annotations

import json
from collections.abc import Collection

from archdsl.json_types import Json, JsonObject

_PREFIX = "#/$defs/"


class Definitions:
    """Definitions that are taken over, and renamed, as they are met; `kept` holds those that were."""

    def __init__(self, made: JsonObject, foreign: Collection[str]) -> None:
        """Definitions whose `type` is one of `foreign` are offered nowhere."""
        self.made = made
        self.kept: JsonObject = {}
        self._gone = {_PREFIX + name for name, value in made.items() if _type(value) in foreign}
        self._names: dict[str, str] = {}
        """New names, by the old name and by the definition's text."""

    def rewritten(self, value: Json) -> Json:
        """A part of the schema with its references renamed."""
        if isinstance(value, list):
            return [self.rewritten(item) for item in value if not self._is_gone(item)]
        if not isinstance(value, dict):
            return value
        if isinstance(reference := value.get("$ref"), str):
            return {**value, "$ref": _PREFIX + self._name(reference.removeprefix(_PREFIX))}
        return {key: self.rewritten(item) for key, item in value.items()}

    def _name(self, old: str) -> str:
        if old not in self._names:
            definition = self.rewritten(self.made[old])  # no definition leads back to itself
            content = json.dumps(definition, sort_keys=True)
            if content not in self._names:
                self._names[content] = self._free(_title(definition) or old)
                self.kept[self._names[content]] = definition
            self._names[old] = self._names[content]
        return self._names[old]

    def _free(self, title: str) -> str:
        """The title, numbered where another definition has it."""
        number, name = 1, title
        while name in self.kept:
            number += 1
            name = f"{title}{number}"
        return name

    def _is_gone(self, item: Json) -> bool:
        return isinstance(item, dict) and item.get("$ref") in self._gone


def _title(definition: Json) -> str | None:
    title = definition.get("title") if isinstance(definition, dict) else None
    return None if title is None else str(title)


def _type(definition: Json) -> Json:
    """The `type` that documents write for it."""
    for key in ("properties", "type", "const"):
        definition = definition.get(key) if isinstance(definition, dict) else None
    return definition
