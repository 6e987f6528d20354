"""Without `fcntl` and `resource` (on Windows) documents are worked on; what measures or searches says why not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from archdsl import build
from archdsl.weights import save_model
from tests.support.libraries import parent_spec, space_around
from tests.support.places import ROOT
from tests.support.searching import quicken, search

SCRIPT = """
import sys
sys.modules["fcntl"] = sys.modules["resource"] = None  # importing them raises ModuleNotFoundError
from archdsl.cli import main

def ended(code, *arguments):
    assert main(list(arguments)) == code, arguments

ended(0, "check", "litv2_s")
ended(0, "show", "litv2_s")
ended(0, "show", "litv2_s", "--format", "svg")
ended(0, "cost", "litv2_s", "--json")
ended(0, "diff", "lit_ti", "lit_s")
ended(0, "new", "lit-dat-64", "--sample", "2", "-o", "drawn")
from archdsl.files import replace_together
from pathlib import Path
Path("a.partial").write_text("a")
replace_together([(Path("a.partial"), Path("a"))])
sizes = ("--images", "130", "--fit-images", "64", "--score-images", "64", "--steps", "1")
ended(0, "library", "build", "tiny.safetensors", "--space", "around.json", *sizes, "-o", "library", "-q")
sys.stdout.flush()
print("-- refused", file=sys.stderr, flush=True)
ended(1, "show", "litv2_s", "--set", "image=32", "--latency", "--device", "cpu", "-q")
ended(1, "search", "lit-dat-64", "--time", "30s", "--out", "run")
ended(1, "proxy-check", "lit-dat-64")
ended(1, "score", "near.json", "--like", "earlier")
assert not Path("run").exists() and not Path("runs").exists()
"""


def test_documents_need_no_locks_and_the_rest_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quicken(monkeypatch, tmp_path / "cache")
    search(tmp_path / "earlier", trials=2)
    save_model(build(parent_spec()), tmp_path / "tiny.safetensors")
    (tmp_path / "near.json").write_text(json.dumps(parent_spec().to_json() | {"classes": 10}))
    (tmp_path / "around.json").write_text(json.dumps(space_around()))
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}){SCRIPT}"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    before, refused = done.stderr.split("-- refused\n")
    assert before == ""
    limits = "a search needs limits on processes (the module resource), which this system does not have"
    assert refused.splitlines() == [
        "measuring needs file locks (fcntl), which this system does not have; use Linux or macOS",
        *3 * [f"{limits}; use Linux or macOS"],
    ]
    assert len(list((tmp_path / "drawn").glob("*.json"))) == 2
