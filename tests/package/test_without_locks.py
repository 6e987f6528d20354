"""Without `fcntl` and `resource` (on Windows) documents are worked on; what measures or searches says why not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from archdsl.zoo import shipped_parent
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
sys.stdout.flush()
print("-- refused", file=sys.stderr, flush=True)
ended(1, "show", "litv2_s", "--set", "image=32", "--latency", "--device", "cpu", "-q")
ended(1, "search", "lit-dat-64", "--time", "30s", "--out", "run")
ended(1, "proxy-check", "lit-dat-64")
ended(1, "score", "litv2_s", "--like", "earlier")
ended(1, "library", "build", sys.argv[1], "-o", "library")
assert not Path("run").exists() and not Path("runs").exists()
"""


def test_documents_need_no_locks_and_the_rest_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quicken(monkeypatch, tmp_path / "cache")
    search(tmp_path / "earlier", trials=2)
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}){SCRIPT}"
    command = [sys.executable, "-c", script, str(shipped_parent("lit-dat-64"))]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    before, refused = done.stderr.split("-- refused\n")
    assert before == ""
    limits = "a search needs limits on processes (the module resource), which this system does not have"
    assert refused.splitlines() == [
        "measuring needs file locks (fcntl), which this system does not have; use Linux or macOS",
        *2 * [f"{limits}; use Linux or macOS"],
    ]
    assert len(list((tmp_path / "drawn").glob("*.json"))) == 2
