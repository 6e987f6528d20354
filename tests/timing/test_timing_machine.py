"""What else runs on a machine, read from a /proc that is written by hand, and what several threads make of it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from archdsl.timing import machine
from archdsl.timing.disturbance import undisturbed
from archdsl.timing.machine import MachineWatch, Window
from archdsl.timing.rounds import Round


def process(folder: Path, pid: int, parent: int, ticks: tuple[int, int, int, int]) -> None:
    (folder / str(pid)).mkdir()
    fields = [f"{pid}", "(a (strange) name)", "S", str(parent), *["0"] * 9, *map(str, ticks), "20", "0"]
    (folder / str(pid) / "stat").write_text(" ".join(fields))


def test_a_process_tree_has_the_cpu_time_of_all_its_members_and_of_those_that_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process(tmp_path, 10, 1, (100, 50, 30, 20))
    process(tmp_path, 11, 10, (7, 3, 0, 0))
    process(tmp_path, 12, 11, (1, 0, 0, 0))
    process(tmp_path, 20, 1, (1000, 0, 0, 0))
    monkeypatch.setattr(machine, "PROC", tmp_path)
    monkeypatch.setattr(os, "sysconf", lambda name: 100)
    assert machine.tree_seconds(10) == pytest.approx(2.11)
    assert machine.tree_seconds(11) == pytest.approx(0.11)


def test_busy_and_stolen_time_is_counted_on_the_cores_that_the_process_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["cpu  9 9 9 9 9 9 9 9 9 9", "cpu0 100 10 20 5000 300 1 2 3 50 0", "cpu1 400 0 0 0 0 0 0 0 0 0", "intr 5"]
    (tmp_path / "stat").write_text("\n".join(lines))
    monkeypatch.setattr(machine, "PROC", tmp_path)
    monkeypatch.setattr(os, "sysconf", lambda name: 100)
    assert machine.cpu_seconds({0}) == pytest.approx(1.36)
    assert machine.cpu_seconds({0, 1}) == pytest.approx(5.36)
    monkeypatch.setattr(machine, "PROC", tmp_path / "none")
    assert machine.cpu_seconds({0}) is None


def watched(*snapshots: tuple[float, float, float, int]) -> MachineWatch:
    """A watch that looked at these moments, on a machine whose counters stood so then."""
    with pytest.MonkeyPatch.context() as patch:
        for at_s, busy_s, tree_s, throttled in snapshots:
            patch.setattr(time, "monotonic", lambda now=at_s: now)
            patch.setattr(machine, "cpu_seconds", lambda cpus, busy_s=busy_s: busy_s)
            patch.setattr(machine, "tree_seconds", lambda root, tree_s=tree_s: tree_s)
            patch.setattr(machine, "throttled", lambda throttled=throttled: throttled)
            if at_s == snapshots[0][0]:
                watch = MachineWatch()
            watch.look()
    return watch


def test_a_window_is_a_second_or_more_around_a_moment() -> None:
    watch = watched((0.0, 0.0, 0.0, 0), (0.5, 0.5, 0.5, 0), (1.0, 1.4, 1.0, 0), (1.5, 1.9, 1.5, 0), (2.0, 2.4, 2.0, 1))
    assert watch.around(0.6, 0.7) == pytest.approx(Window(0.4 / 1.5, False))
    assert watch.around(1.6, 1.7) == pytest.approx(Window(0.0, True))
    assert watch.whole() == pytest.approx(Window(0.2, True))
    assert watched((0.0, 0.0, 0.0, 0)).around(0.0, 0.1) is None


def test_rounds_of_several_threads_count_where_others_leave_their_cores_alone() -> None:
    """Two threads that wait passively use 1.6 cores; from the fourth second on four more cores are busy."""
    watch = watched(*((k / 2, 0.8 * k + max(k - 8, 0) * 2.0, 0.8 * k, 0) for k in range(17)))
    rounds = [Round(4.0, 4.0, 6.4, 0.5 + k) for k in range(8)]
    assert undisturbed(rounds, 2, 4, watch).undisturbed == (True,) * 4 + (False,) * 4
    assert undisturbed(rounds, 2, 8, watch).undisturbed == (True,) * 8
    slow = [*rounds[:4], Round(8.0, 8.0, 6.4, 1.7)]
    assert undisturbed(slow, 2, 8, watch).undisturbed == (True,) * 4 + (False,)


def test_a_throttled_window_does_not_count_for_several_threads() -> None:
    watch = watched((0.0, 0.0, 0.0, 0), (1.0, 2.0, 2.0, 0), (2.0, 4.0, 4.0, 3))
    rounds = [Round(4.0, 4.0, 8.0, 0.5), Round(4.0, 4.0, 8.0, 1.5)]
    assert undisturbed(rounds, 2, 2, watch).undisturbed == (True, False)


def test_one_thread_is_judged_by_its_own_cpu_time() -> None:
    rounds = [
        Round(4.0, 4.0, 4.0, 0.1),
        Round(4.3, 4.3, 4.0, 0.2),
        Round(4.5, 4.5, 4.0, 0.3),
        Round(4.0, 4.0, 4.6, 0.4),
    ]
    assert undisturbed(rounds, 1, 2).undisturbed == (True, True, False, False)


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="only Linux tells what runs beside")
def test_this_machine_tells_what_this_process_takes() -> None:
    watch = MachineWatch()
    before, begin = watch.look(), time.process_time()
    while time.process_time() - begin < 0.6:
        sum(range(1000))
    after = watch.look()
    assert watch.is_available
    assert before is not None
    assert after is not None
    assert after.tree_s - before.tree_s >= 0.5
    assert after.busy_s - before.busy_s >= 0.5 or len(os.sched_getaffinity(0)) < 1
