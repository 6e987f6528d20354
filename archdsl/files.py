"""Files: the user's cache folder, writing in one step, a lock on a file, and the version that is installed."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.json_types import JsonInput, JsonObject

try:
    import fcntl
except ModuleNotFoundError:  # Windows has none
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from filelock import BaseFileLock

_LONG_NAME = 200
"""Bytes; file systems allow 255."""


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
    partial = path.with_name(f".{_short_name(path.name)}.{os.getpid()}-{threading.get_ident()}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _short_name(name: str) -> str:
    """A name that leaves room for more: that of a file may be as long as the file system allows."""
    written = os.fsencode(name)
    return name if len(written) <= _LONG_NAME else f"{name[:32]}.{hashlib.sha256(written).hexdigest()[:16]}"


def replace_together(files: Iterable[tuple[Path, Path]]) -> None:
    """Give written files their names in one folder; whoever gives names there in this way at the same time waits.

    Files that belong together are then all of one writer.

    Raises:
        OSError: a file cannot be named.
    """
    pairs = list(files)
    with _alone_in(pairs[0][1].parent):
        for written, path in pairs:
            written.replace(path)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """A lock on the folder itself, which leaves no file; none where the system or the file system has no such locks."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def why_unwritable(path: Path) -> str | None:
    """Why no file of this name can be written, found out before it is; None where nothing speaks against it."""
    try:
        if path.is_dir():
            return "is a folder"
        if not path.parent.is_dir():
            return "its folder does not exist"
        path.exists()  # raises for a name that is too long
        with tempfile.TemporaryFile(dir=path.parent):
            return None
    except OSError as error:
        return error.strerror or type(error).__name__


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
