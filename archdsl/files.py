"""Files: the user's cache folder, writing in one step, a lock on a file, and the version that is installed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.json_types import JsonInput, JsonObject

if TYPE_CHECKING:
    from filelock import BaseFileLock


def cache_folder() -> Path:
    """`$ARCHDSL_CACHE`, else `archdsl` in the user's cache folder.

    Raises:
        RuntimeError: there is no home folder, and neither `$ARCHDSL_CACHE` nor `$XDG_CACHE_HOME`.
    """
    named = os.environ.get("ARCHDSL_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "archdsl"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it replaces `path` in one step at the end, and is removed after an error.

    A reader sees the old or the new content, whole. The name begins with a dot and ends with `.partial`.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file as UTF-8, in one step.

    Raises:
        OSError: it cannot be written; the old content is kept.
    """
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, content: JsonInput, indent: int) -> None:
    """Write a JSON file in one step, and make its folder if there is none.

    Raises:
        OSError: it cannot be written; the old content is kept.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(content, indent=indent) + "\n")


def read_json(path: Path) -> JsonObject | None:
    """The object in a JSON file; None where there is none, or it cannot be read."""
    try:
        content: JsonObject = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def try_lock(path: Path) -> BaseFileLock | None:
    """The lock on a file, to be released by `release()`; the system does so when this process ends, however it ends.

    None where another process holds it, at once.

    Raises:
        OSError: the file cannot be made.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, blocking=False, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        return None
    return lock


def installed_version() -> str:
    """The version of archdsl that is installed; `unknown` where it is used from its sources alone."""
    try:
        return metadata.version("archdsl")
    except metadata.PackageNotFoundError:
        return "unknown"
