"""The examples in the help of every command work."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from archdsl import load_spec
from archdsl.cli import main
from archdsl.cli.app import app
from tests.support.places import GOLDEN

SMALL = "--set image=32 --set stem.width=12 --set merge1.width=24 --set merge2.width=48 --set merge3.width=96"
SMALL += " --set stage3.heads=3 --set stage4.heads=3"
"""LIT and LITv2 made quick to build and to run."""

EXAMPLES = [
    line.strip()
    for command in app.registered_commands
    if command.callback is not None and command.name not in ("search", "score", "doctor", "proxy-check", "train")
    for line in (command.callback.__doc__ or "").splitlines()
    if line.strip().startswith("archdsl ")
]

SLOW = (
    *("archdsl show litv2_s --latency", "archdsl bench ", "archdsl report ", "archdsl import ", "archdsl export "),
    *("archdsl export-weights ", "archdsl look "),
)
"""Examples that load torch or a report in a process of their own; other tests give these commands inside this one."""

FIRST = {line.split()[1]: line for line in reversed(EXAMPLES)}
"""The first example of each command; it is run by a shell, as are those with a pipe or a redirection."""


def checkpoint(folder: Path) -> None:
    """What the examples of import, export, export-weights and look begin with, made small."""
    import torch
    from PIL import Image

    from archdsl import build, export_weights, override, save_model

    Image.effect_noise((60, 40), 60).save(folder / "photo.jpg")
    for name in ("lit_s", "litv2_s"):
        model = build(override(load_spec(name), SMALL.split()[1::2]))
        torch.save({"model": export_weights(model)}, folder / f"{name}.pth")
    save_model(model, folder / "winner.safetensors")


@pytest.mark.skipif(os.name == "nt", reason="the examples are written for a shell")
@pytest.mark.parametrize(
    "line",
    [pytest.param(line, marks=pytest.mark.slow if line.startswith(SLOW) else ()) for line in EXAMPLES],
)
def test_the_examples_in_the_help_work(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if line not in FIRST.values() and not line.startswith(SLOW) and not {"|", ">"} & set(line.split()):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path / "cache"))  # an example clears it
        assert main(shlex.split(line)[1:]) == 0
        return
    few = " --rounds 3 --time-limit 1s " + ("--batch 1" if "--layers" in line else f"--runtime eager {SMALL}")
    quick = {"bench": few, "import": f" {SMALL}"}.get(line.split()[1], "")
    parent = ""
    if "litv2_s.pth" in line:
        quick = f" {SMALL}"
    if {"import", "export", "export-weights", "look"} & set(line.split()):
        checkpoint(tmp_path)
    if "lit_s.safetensors" in line and "import" not in line.split():
        shutil.copy(tmp_path / "winner.safetensors", tmp_path / "lit_s.safetensors")
    if "--partial" in line:
        parent = f"archdsl new lit_s {SMALL} > parent.json\n"
        quick += " --parent parent.json"
    script = f'set -eu\narchdsl() {{ "{sys.executable}" -m archdsl "$@"; }}\n{parent}{line}{quick}\n'
    if line.startswith("archdsl report"):
        shutil.copytree(GOLDEN / "run", tmp_path / "runs" / "first")
    environment = {**os.environ, "ARCHDSL_CACHE": str(tmp_path / "cache")}  # an example clears it
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
