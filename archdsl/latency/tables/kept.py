"""Where tables and the times of parts are kept: JSON files in the user's cache folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from archdsl.files import cache_folder
from archdsl.json_types import JsonInput


def digest(facts: JsonInput) -> str:
    """16 hexadecimal digits of JSON values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def path(name: str, facts: JsonInput) -> Path:
    """The file for a name and the facts that tell it apart from others of that name.

    Raises:
        RuntimeError: there is no home folder, and no `$ARCHDSL_CACHE` either.
    """
    return cache_folder() / "latency" / f"{name}-{digest(facts)}.json"


def files() -> list[Path]:
    """What is kept: tables, and the times of parts."""
    return sorted((cache_folder() / "latency").glob("*.json"))
