"""A package that adds a block type, installed in a folder of its own, and Python processes that find it there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.forked import run_forked
from tests.support.places import ROOT

PLUGIN = ROOT / "tests" / "plugin"

SPEC: dict[str, Any] = {
    "kind": "arch", "version": 1, "name": "pooled", "image": 32, "classes": 4,
    "nodes": [
        {"id": "stem", "type": "patch_stem", "width": 8},
        {"id": "stage1", "type": "acme.pool", "depth": 2, "window": 5},
        {"id": "stage2", "type": "sequence", "depth": 3, "blocks": [{"type": "acme.pool"}, {"type": "mlp"}]},
        {"id": "head", "type": "mean_head"},
    ],
}  # fmt: skip


EVERY_KIND = """
from __future__ import annotations
from typing import Literal
from archdsl.blocks.base import Head, Join, Merge, Stem
from archdsl.blocks.fields import Width
from archdsl.blocks.stage import Block
from archdsl.shape import Cost, Map, Tokens

class OwnStem(Stem):
    type: Literal["own.stem"]
    width: Width
    def out(self, image: Map) -> Map:
        return Map(self.width, image.height // 4, image.width // 4, image.stride * 4)
    def cost(self, image: Map) -> Cost:
        return Cost(16 * image.channels * self.width + self.width, 0, image.elements)
    def build(self, image: Map):
        from torch import nn
        return nn.Conv2d(image.channels, self.width, 4, 4)

class OwnMerge(Merge):
    type: Literal["own.merge"]
    width: Width
    def out(self, x: Map) -> Map:
        return Map(self.width, x.height // 2, x.width // 2, x.stride * 2)
    def cost(self, x: Map) -> Cost:
        return Cost(4 * x.channels * self.width + self.width, 0, x.elements)
    def build(self, x: Map):
        from torch import nn
        return nn.Conv2d(x.channels, self.width, 2, 2)

class OwnBlock(Block):
    type: Literal["own.block"]
    def cost(self, x: Map) -> Cost:
        return Cost(x.channels ** 2 + x.channels, 0, x.elements)
    def build(self, x: Map):
        from torch import nn
        return nn.Linear(x.channels, x.channels)

class OwnJoin(Join):
    type: Literal["own.join"]
    def out(self, *maps: Map) -> Map:
        return maps[0]
    def cost(self, *maps: Map) -> Cost:
        return Cost(0, 0, sum(x.elements for x in maps))
    def build(self, *maps: Map):
        from archdsl.families.common import join_modules
        return join_modules.AddJoin()

class OwnHead(Head):
    type: Literal["own.head"]
    def out(self, x: Map, classes: int) -> Tokens:
        return Tokens(classes)
    def cost(self, x: Map, classes: int) -> Cost:
        return Cost(x.channels * classes + classes, 0, x.elements)
    def build(self, x: Map, classes: int):
        from torch import nn
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(x.channels, classes))
"""

NODES_OF_EVERY_KIND: list[dict[str, Any]] = [
    {"id": "stem", "type": "own.stem", "width": 8},
    {"id": "stage1", "type": "own.block", "depth": 2},
    {"id": "join", "type": "own.join", "from": ["stem", "stage1"]},
    {"id": "merge", "type": "own.merge", "width": 16},
    {"id": "stage2", "type": "own.block", "depth": 1},
    {"id": "head", "type": "own.head"},
]


def install(site: Path, name: str, module: str) -> None:
    """Offer the module of a package under our entry point, as pip would."""
    info = site / f"{name}-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(f"[archdsl.blocks]\n{name} = {module}\n")


def acme(tmp_path: Path) -> Path:
    """A folder for the path in which the package acme is installed, as a fixture."""
    folder = tmp_path / "site"
    install(folder, "acme", "acme.blocks")
    shutil.copytree(PLUGIN / "acme", folder / "acme", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=_environment(site), check=False)


def _environment(site: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]), "NO_COLOR": "1"}


def python(site: Path, code: str) -> str:
    """What a program prints in which the packages of the folder are installed."""
    return _printed(run(site, "-c", _program(code)))


def python_with_torch(site: Path, code: str) -> str:
    """The same in a process that has imported torch before it."""
    return _printed(run_forked("-c", _program(code), environment=_environment(site)))


def _program(code: str) -> str:
    return f"import json, sys, archdsl\nSPEC = json.loads({json.dumps(SPEC)!r})\n{code}"


def _printed(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr
