"""A process that measures lets OpenMP's threads sleep while they wait, from Python as from the command line."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

READ = "import os; print(os.environ.get('OMP_WAIT_POLICY'))"
MEASURED = "from archdsl.latency import Setting; Setting.checked('cpu', 1, 'float32', None)"


@pytest.mark.parametrize(
    ("before", "policy", "found"),
    [("", None, "PASSIVE"), ("", "ACTIVE", "ACTIVE"), ("import torch", None, "None")],
    ids=["by default", "unless the user says otherwise", "unless torch is loaded already, since it reads it then"],
)
def test_threads_sleep_while_they_wait(before: str, policy: str | None, found: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {} if policy is None else {"OMP_WAIT_POLICY": policy}
    code = "\n".join([before, MEASURED, READ])
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == found


@pytest.mark.parametrize("command", [["bench", "--layers"], ["lut", "show", "lit-dat-64"]])
def test_the_command_line_leaves_it_to_the_library(command: list[str]) -> None:
    """Stopped where the setting is checked, with torch not loaded by anything before."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    code = f"from archdsl.cli import main\nmain([*{command!r}, '--device', 'cpu', '--runtime', 'graph'])\n{READ}"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "needs a GPU" in done.stderr
    assert done.stdout.strip() == "PASSIVE"
