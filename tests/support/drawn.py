"""What is drawn, and how its text is taken: at a fixed width and without colour."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import RenderableType

from archdsl.cost import count
from archdsl.language.document import Spec
from archdsl.load.specs import parse_spec
from archdsl.render.console import stdout
from archdsl.render.tables import cost_table, zoo_row, zoo_table
from archdsl.render.tree import show
from tests.support.places import SPECS

DRAWN = ["litv2_s", str(SPECS / "two_branches.json"), str(SPECS / "early_feature.json")]


def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def printer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What a renderable gives on a stream of a width: linearised, unless another stream is handed in."""

    def draw(what: RenderableType, width: int | None = 80, stream: io.StringIO | None = None) -> str:
        stream = stream or io.StringIO()
        monkeypatch.setattr(sys, "stdout", stream)
        stdout(width).print(what)
        return stream.getvalue()

    return draw


def document(nodes: list[dict[str, Any]], image: int = 32) -> Spec:
    fields = {"kind": "arch", "version": 1, "name": "made", "image": image, "nodes": nodes}
    return parse_spec(json.dumps(fields).encode(), "made.json")


def drawings(spec: Spec) -> tuple[RenderableType, ...]:
    counted = count(spec)
    return show(spec, counted), cost_table(counted, spec), zoo_table([zoo_row(spec, counted)])
