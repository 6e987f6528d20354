"""Results that outlive a run: no network is trained twice under equal settings. Latencies are measured in every run.

A result is a small JSON file, named by a hash of everything that it depends on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from typing import Any

from archdsl.latency.tables.store import root


def key(**facts: Any) -> str:
    """The name of a result, from everything that it depends on."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def get(name: str) -> dict[str, Any] | None:
    """A stored result, or None; one that cannot be read counts as absent."""
    try:
        found = json.loads((root() / name[:2] / f"{name}.json").read_bytes())
    except (OSError, ValueError, RuntimeError):
        return None
    return found if isinstance(found, dict) else None


def put(name: str, result: dict[str, Any]) -> None:
    """Store a result; a cache that cannot be written is no reason to stop a search."""
    path = root() / name[:2] / f"{name}.json"
    with contextlib.suppress(OSError, RuntimeError):  # the latter where there is no home folder
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(result))
        partial.replace(path)
