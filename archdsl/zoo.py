"""The published backbones and the search spaces that ship with the package."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


def names() -> list[str]:
    """Zoo names of the published backbones."""
    return sorted(_documents())


def spaces() -> list[str]:
    """Names of the shipped search spaces."""
    return sorted(_spaces())


def text(name: str) -> bytes | None:
    """The document of a zoo name or a shipped space, or None."""
    path = _documents().get(name) or _spaces().get(name)
    return path.read_bytes() if path is not None else None


def shipped_parent(name: str) -> Path | None:
    """The trained network that ships under a name, for spaces to inherit from; None where there is none."""
    file = files("archdsl.specs") / "spaces" / f"{name}.safetensors"
    return Path(str(file)) if file.is_file() else None


@cache
def _documents() -> dict[str, Traversable]:
    return _json_files(files("archdsl.specs"))


@cache
def _spaces() -> dict[str, Traversable]:
    return _json_files(files("archdsl.specs") / "spaces")


def _json_files(folder: Traversable) -> dict[str, Traversable]:
    return {file.name.removesuffix(".json"): file for file in folder.iterdir() if file.name.endswith(".json")}
