"""The lock of a device: one process at a time measures, and nobody has to give it back."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from archdsl.errors import MeasureError
from archdsl.latency import measure, steady
from archdsl.latency.lease import lease
from archdsl.timing import device_lock as locks
from archdsl.timing.device_lock import device_lock, holder

HOLDER = """
import sys, time
from pathlib import Path
from archdsl.timing import device_lock as locks
locks.FOLDERS = (Path(sys.argv[1]),)
with locks.device_lock("cpu"):
    print("mine", flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of lock files of this test's own, open to all users as the real one is."""
    tmp_path.chmod(0o1777)
    monkeypatch.delenv("ARCHDSL_LEASES")
    monkeypatch.setattr(locks, "FOLDERS", (tmp_path,))
    return tmp_path


@pytest.fixture
def other(folder: Path) -> subprocess.Popen[str]:
    """Another process that measures on the CPU."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "mine\n"
    return process


def ended(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_who_has_to_wait_is_told_for_whom_and_refused_after_the_timeout(other: subprocess.Popen[str]) -> None:
    waits: list[str] = []
    with (
        pytest.raises(MeasureError, match=rf"cpu was not free .* process {other.pid} holds its lock"),
        device_lock("cpu", waits.append, timeout_s=0.2),
    ):
        pass
    ended(other)
    assert waits == [f"another archdsl process (process {other.pid}) is measuring on this machine; waiting, 0 s so far"]


def test_waiting_is_told_on_stderr(other: subprocess.Popen[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MeasureError), device_lock("cpu", timeout_s=0.1):
        pass
    ended(other)
    assert capsys.readouterr().err.startswith("another archdsl process (process ")


def test_a_killed_process_leaves_the_device_free(other: subprocess.Popen[str]) -> None:
    killer = threading.Timer(0.2, other.kill)
    killer.start()
    with device_lock("cpu", lambda text: None, timeout_s=60):
        assert holder("cpu") == os.getpid()
    ended(other)


def test_other_devices_are_free_meanwhile(other: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "name_of", lambda device: device)
    with device_lock("cuda:1", timeout_s=0):
        pass
    ended(other)


def test_a_lock_may_be_taken_again_inside_itself_and_is_given_back_at_the_end(folder: Path) -> None:
    with device_lock("cpu"), device_lock("cpu"), steady("cpu", 1):
        assert not free(folder)
    assert free(folder)


def test_an_error_inside_gives_it_back(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError), device_lock("cpu"):
        raise ZeroDivisionError
    assert free(folder)


def test_a_named_folder_stands_over_the_shared_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "own").mkdir()
    monkeypatch.setenv("ARCHDSL_LEASES", str(folder / "own"))
    with device_lock("cpu"):
        assert (folder / "own" / "archdsl-cpu.lease").exists()
        assert free(folder)  # those who look elsewhere do not see it


def free(folder: Path) -> bool:
    """Whether another process can have the CPU at once."""
    code = "import sys\nfrom pathlib import Path\nfrom archdsl.timing import device_lock as locks\n"
    code += "locks.FOLDERS = (Path(sys.argv[1]),)\n"
    code += "with locks.device_lock('cpu', lambda text: None, timeout_s=0): pass"
    plain = {name: value for name, value in os.environ.items() if name != "ARCHDSL_LEASES"}
    return (
        subprocess.run(
            [sys.executable, "-c", code, str(folder)], capture_output=True, check=False, env=plain
        ).returncode
        == 0
    )


def test_threads_of_one_process_take_turns() -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        with device_lock("cpu"):
            inside.append(1)
            most.append(len(inside))
            threading.Event().wait(0.02)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]


def test_the_file_is_for_every_user_whatever_the_umask(folder: Path) -> None:
    before = os.umask(0o077)
    try:
        with device_lock("cpu"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "archdsl-cpu.lease").stat().st_mode) == 0o666


def test_a_link_in_place_of_the_file_is_not_followed(folder: Path) -> None:
    target = folder / "target"
    target.write_text("keep me")
    (folder / "archdsl-cpu.lease").symlink_to(target)
    with pytest.raises(MeasureError, match="cannot be opened"), device_lock("cpu"):
        pass
    assert target.read_text() == "keep me"


def test_a_file_that_is_removed_while_one_waits_is_looked_for_again(other: subprocess.Popen[str], folder: Path) -> None:
    """What cleans /tmp may take the file away; who waits must not be left with one that nobody else will see."""
    remover = threading.Timer(0.2, (folder / "archdsl-cpu.lease").unlink)
    remover.start()
    with device_lock("cpu", lambda text: None, timeout_s=30):
        assert holder("cpu") == os.getpid()
    ended(other)


def test_the_path_and_name_of_earlier_versions_are_the_same_lock(folder: Path) -> None:
    with lease("cpu"), device_lock("cpu"):
        assert holder("cpu") == os.getpid()
        assert not free(folder)
    assert free(folder)


def test_a_measurement_says_through_on_wait_that_it_waits(other: subprocess.Popen[str]) -> None:
    def on_wait(text: str) -> None:
        waits.append(text)
        other.kill()

    waits: list[str] = []
    measure(torch.nn.Flatten(), "cpu", image=(1, 2, 2), rounds=1, threads=1, warmup_s=0, on_wait=on_wait)
    ended(other)
    assert waits[0].startswith(f"another archdsl process (process {other.pid}) is measuring on this machine")
