"""Where tables and the times of parts are kept: JSON files in the user's cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any


def root() -> Path:
    """`$ARCHDSL_CACHE`, else `archdsl` in the user's cache folder."""
    named = os.environ.get("ARCHDSL_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "archdsl"


def digest(facts: Any) -> str:
    """16 hexadecimal digits of JSON values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def path(name: str, facts: Any) -> Path:
    """The file of what `name` calls and `facts` tell apart.

    Raises:
        RuntimeError: there is no home folder, and no `$ARCHDSL_CACHE` either.
    """
    return root() / "latency" / f"{name}-{digest(facts)}.json"


def files() -> list[Path]:
    """What is kept: tables, and the times of parts."""
    return sorted((root() / "latency").glob("*.json"))


def read(file: Path) -> dict[str, Any] | None:
    """What a file holds, or None; one that cannot be read counts as absent."""
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write(file: Path, content: dict[str, Any]) -> None:
    """Replace a file in one step; a reader sees the old or the new content.

    Raises:
        OSError: it cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}")
    try:
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        partial.replace(file)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
