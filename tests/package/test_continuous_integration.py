"""`.ci/run`: what it runs, and the seconds that it prints at its end."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.places import ROOT

PARTS = ["environment", "tests", "ruff", "mypy", "contracts", "docs", "package"]


@pytest.mark.parametrize(
    ("fails", "last"), [("none", "package"), ("types", "mypy"), (".venv/installed", "environment")]
)
def test_the_seconds_of_each_part_are_printed_also_where_one_fails(fails: str, last: str, tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    commands = tmp_path / "commands"
    commands.mkdir()
    for name in ("make", "apt-get", "sudo", "chromium"):
        (commands / name).write_text(f'#!/bin/sh\n[ "$1" != "{fails}" ]\n')
        (commands / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{commands}:{os.environ['PATH']}"}
    ended = subprocess.run([tmp_path / ".ci" / "run"], env=environment, capture_output=True, text=True)
    ran = PARTS[: PARTS.index(last) + 1]
    lines = ended.stdout.splitlines()[-len(ran) - 1 :]
    assert [re.sub(r" +\d+ s", " N s", line) for line in lines] == [
        *(f"{name} N s" for name in ran[:-1]),
        f"{last} N s" + ("" if fails == "none" else "  failed"),
        "total N s",
    ]
    assert ended.returncode == (fails != "none")
