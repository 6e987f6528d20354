"""`archdsl.files`: content is replaced in one step, and a lock is free again when its holder ends."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from archdsl.files import read_json, replacing, try_lock, write_json, write_text

HOLDER = """
import sys, time
from pathlib import Path
from archdsl.files import try_lock
lock = try_lock(Path(sys.argv[1]))
print(lock is not None, flush=True)
time.sleep(600)
"""


def test_an_error_while_writing_keeps_the_old_content_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half of the n\ud800")
    with pytest.raises(IsADirectoryError), replacing(path) as partial:
        (partial.write_text("half of the n"), tmp_path.read_text())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_content_is_there_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    write_text(path, "old")
    with replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_two_threads_that_write_one_file_do_not_write_into_each_others(tmp_path: Path) -> None:
    path, partials = tmp_path / "kept.txt", list[Path]()

    def write(text: str) -> None:
        with replacing(path) as partial:
            partial.write_text(text)
            partials.append(partial)
            begun.wait()

    begun = threading.Barrier(2)
    threads = [threading.Thread(target=write, args=(text,)) for text in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(partials)) == 2
    assert path.read_text() in ("one", "two")
    assert list(tmp_path.iterdir()) == [path]


def test_json_is_read_as_it_was_written_and_what_is_no_object_counts_as_absent(tmp_path: Path) -> None:
    path = tmp_path / "made" / "facts.json"
    assert read_json(path) is None
    write_json(path, {"ms": [1.5, None]}, indent=1)
    assert read_json(path) == {"ms": [1.5, None]}
    for text in ("[1]", "{", "\xff"):
        path.write_text(text, encoding="latin-1")
        assert read_json(path) is None


def test_a_lock_is_held_by_one_process_until_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert try_lock(path) is None
        holder.kill()
    lock = try_lock(path)
    assert lock is not None
    assert try_lock(path) is None
    lock.release()
    again = try_lock(path)
    assert again is not None
    again.release()
