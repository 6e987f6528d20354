"""A package that adds a block type, installed in a folder of its own, and Python processes that find it there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

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
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]), "NO_COLOR": "1"}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False)


def python(site: Path, code: str) -> str:
    done = run(site, "-c", f"import json, sys, archdsl\nSPEC = json.loads({json.dumps(SPEC)!r})\n{code}")
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr
