"""A process that measures lets OpenMP's threads sleep while they wait, from Python as from the command line."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from archdsl.runtimes.setting import sleep_while_waiting

POLICY = "OMP_WAIT_POLICY"


@pytest.mark.parametrize(
    ("is_loaded", "before", "after"),
    [(False, None, "PASSIVE"), (False, "ACTIVE", "ACTIVE"), (True, None, None)],
    ids=["by default", "unless the user says otherwise", "unless torch is loaded, since it has read it by then"],
)
def test_threads_sleep_while_they_wait(
    is_loaded: bool, before: str | None, after: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_loaded:
        monkeypatch.setitem(sys.modules, "torch", sys)
    else:
        monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setenv(POLICY, "kept, to be put back afterwards")
    if before is None:
        monkeypatch.delenv(POLICY)
    else:
        monkeypatch.setenv(POLICY, before)
    sleep_while_waiting()
    assert os.environ.get(POLICY) == after


def test_a_command_and_the_library_set_it_before_torch_is_loaded() -> None:
    """Stopped where the setting is checked, which is the first that loads torch."""
    environment = {name: value for name, value in os.environ.items() if name != POLICY}
    code = (
        "import os\nfrom archdsl.cli import main\nmain(['bench', 'litv2_s', '--device', 'cpu', '--runtime', 'graph'])"
    )
    code += f"\nprint(os.environ.get('{POLICY}'))"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "needs a GPU" in done.stderr
    assert done.stdout.strip() == "PASSIVE"
