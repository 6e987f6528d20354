"""Runs of the command line in this process, and a small document for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from archdsl.cli import main

TINY: dict[str, Any] = {
    "kind": "arch",
    "version": 1,
    "name": "tiny",
    "image": 32,
    "classes": 10,
    "nodes": [
        {"id": "stem", "type": "patch_stem", "width": 8},
        {"id": "stage", "type": "mlp", "depth": 1},
        {"id": "head", "type": "mean_head"},
    ],
}


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ended]


def command_line(capsys: pytest.CaptureFixture[str]) -> Run:
    """A run of the command line in this process, as a fixture."""

    def run(*arguments: object) -> Ended:
        code = main([str(argument) for argument in arguments])
        return Ended(code, *capsys.readouterr())

    return run


def tiny_document(tmp_path: Path) -> Path:
    """The small document in a file, as a fixture."""
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(TINY), encoding="utf-8")
    return path
