"""Building a library: in this process or in several, resumed where an earlier building ended."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO

import torch

from archdsl import zoo
from archdsl.data.loading import DEFAULT, Data
from archdsl.deriving.library import folder as files
from archdsl.deriving.library.activations import MAPS
from archdsl.deriving.library.facts import Identity, LibrarySettings
from archdsl.deriving.library.folder import Library
from archdsl.deriving.library.progress import BuildProgress, Watcher
from archdsl.deriving.library.time_limit import TimeLimit
from archdsl.deriving.library.work import Job, Work
from archdsl.errors import SearchError, WrongUse
from archdsl.files import try_lock
from archdsl.json_types import JsonObject
from archdsl.load.model_header import MODEL
from archdsl.processes import end_with_parent
from archdsl.runtimes.setting import checked_device, default_device
from archdsl.spaces.space import Space

TRAIN_IMAGES = 2000
"""Training images of the data, of which the library takes its own; as many as a search takes."""
_POLL_S = 0.5


def build_library(
    parent: str | os.PathLike[str],
    data: str | None,
    out: str | os.PathLike[str],
    *,
    space: Space | None = None,
    settings: LibrarySettings = LibrarySettings(),  # noqa: B008  # it is immutable
    train_images: int = TRAIN_IMAGES,
    workers: int = 1,
    device: str | None = None,
    keys: Iterable[str] | None = None,
    seconds: float | None = None,
    least: int = 0,
    loaded: Data | None = None,
    watcher: Watcher = lambda progress: None,
) -> Library:
    """Fit and score alternatives to the blocks of a parent, and keep them in a folder; a broken-off one is resumed.

    On the CPU in one process, what is resumed is bit for bit what it is without an interruption.

    Args:
        parent: a `.safetensors` of ours with a classifier.
        data: as `archdsl.data.loading.load` takes it; its training images alone are used, and no label.
        out: the folder; made where it is not there.
        space: of alternatives around the parent; by default the one that `archdsl new --space` gives.
        settings: how blocks are fitted and scored.
        train_images: of the data, at most; the library takes its images from the first of them.
        workers: processes that fit at the same time, each with the parent in memory.
        device: `cpu`, `cuda` or `cuda:N`; without it CUDA if there is one.
        keys: of the alternatives that are fitted; by default all of the space.
        seconds: after which the building ends; the library then has the alternatives that are finished, and is resumed
            like any other. In one process the last one that was begun is finished. No limit by default.
        least: alternatives in that time that make a library worth it: after half of the time the building ends where
            fewer would be finished.
        loaded: the data, where it is loaded already for this size of images, `settings.seed` and `train_images`.
        watcher: told of the progress.

    Raises:
        WrongUse: there is no such parent or device, or `out` cannot be a folder of a library.
        WeightsError: the parent is no file of ours.
        SearchError: the folder holds a library of something else, another process builds it, the data cannot be used,
            or it has too few images.
    """
    name = checked_device(device or default_device())
    _check_folder(Path(out))
    if Path(parent).suffix != MODEL and (Path(parent).exists() or str(parent) in zoo.names()):
        remedy = f"give a {MODEL} that archdsl train or archdsl import wrote"
        raise WrongUse(f"{os.fspath(parent)} is no trained network; {remedy}")
    document: JsonObject | None = None if space is None else space.model_dump(mode="json", by_alias=True)
    path, chosen = Path(out), None if keys is None else tuple(keys)
    named = os.fspath(parent), data or DEFAULT, document, str(path)
    job = Job(*named, settings, train_images, name, (0, 1), chosen, seconds)
    work = Work(job, loaded)
    path.mkdir(parents=True, exist_ok=True)
    lock = try_lock(path / ".lock")
    if lock is None:
        raise SearchError(f"{path} is being built by another process; wait for it")
    for left in path.glob(f"{MAPS}*"):  # by a building that was killed
        shutil.rmtree(left, ignore_errors=True)
    try:
        return _built(work, path, workers, least, watcher)
    finally:
        lock.release()


def _check_folder(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise WrongUse(f"{path} is a file; name a folder for the library")
    if not path.absolute().parent.is_dir():
        raise WrongUse(f"{path} cannot be made: its folder does not exist")
    if path.is_dir() and not (path / files.INDEX).exists() and not (path / files.BLOCKS).exists():
        others = [each.name for each in path.iterdir() if not each.name.startswith(".")]
        if others:
            raise WrongUse(f"{path} holds {others[0]} and is no library; name another folder")


def _built(work: Work, path: Path, workers: int, least: int, watcher: Watcher) -> Library:
    index = files.read_index(path)
    if index is not None:
        files.refuse_difference(path, files.differences(index.identity, work.identity))
    (path / files.BLOCKS).mkdir(exist_ok=True)
    stored = {} if index is None else {key: files.stored_entry(path, key, work.identity) for key in index.keys}
    earlier = [key for key, entry in stored.items() if entry is not None]
    begun = work.index
    begun = begun.model_copy(update={"keys": tuple(dict.fromkeys([*begun.keys, *earlier]))})
    keys = begun.keys
    finished = {key: entry for key in keys if (entry := files.stored_entry(path, key, work.identity)) is not None}
    files.write_index(path, begun, finished.values())
    started, already = time.monotonic(), len(finished)

    limit = TimeLimit(work.seconds_left, least - already)

    def is_over(done: int) -> bool:
        seconds, new = time.monotonic() - started, done - already
        left_s = seconds / new * (len(keys) - done) if new > 0 else None
        watcher(BuildProgress(done, len(keys), seconds, left_s))
        return limit.is_over(new)

    is_over(already)
    pending = [key for key in keys if key not in finished]
    if workers > 1 and len(pending) > 1:
        with tempfile.TemporaryDirectory(prefix=MAPS, dir=path, ignore_cleanup_errors=True) as place:
            job, processes = work.shared(Path(place)), min(workers, len(pending))
            _in_processes(job, processes, lambda: is_over(_count(path, keys, work.identity)))
    else:
        for number, _ in enumerate(work.run(set(pending)), 1):
            if is_over(already + number):
                break
    entries = [entry for key in keys if (entry := files.stored_entry(path, key, work.identity)) is not None]
    if work.job.seconds is not None:  # what there was no time for is not missing
        begun = begun.model_copy(update={"keys": tuple(entry.key for entry in entries)})
    files.write_index(path, begun, entries)
    return files.read_library(path)


def _count(path: Path, keys: Sequence[str], identity: Identity) -> int:
    return sum(files.stored_entry(path, key, identity) is not None for key in keys)


def _in_processes(job: Job, workers: int, is_over: Callable[[], bool]) -> None:
    """Let processes build, each its part; what they have finished stays where one fails, or the time is over."""
    started = [_started(job._replace(share=(place, workers))) for place in range(workers)]
    try:
        while any(process.poll() is None for process, _ in started):
            time.sleep(_POLL_S)
            if is_over():
                return
        for process, errors in started:
            if process.returncode:
                errors.seek(0)
                last = (errors.read().decode(errors="replace").splitlines() or [f"exit code {process.returncode}"])[-1]
                raise SearchError(f"a process that fitted blocks ended: {last}; repeat the command to go on")
    finally:
        for process, errors in started:
            if process.poll() is None:
                process.kill()
                process.wait()
            errors.close()


def _started(job: Job) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """A process that builds its part, and what it writes to stderr."""
    errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed where the process is waited for
    process = subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import build_share; build_share()"],
        stdin=subprocess.PIPE,
        stderr=errors,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(each for each in sys.path if each)},
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(job._asdict() | {"settings": job.settings.model_dump()}).encode())
    process.stdin.close()
    return process, errors


def build_share() -> None:
    """The work of a process of its own, which reads its job from stdin."""
    facts = json.load(sys.stdin)
    settings, share = LibrarySettings.model_validate(facts.pop("settings")), tuple(facts.pop("share"))
    job = Job(settings=settings, share=share, **facts)
    place, workers = job.share
    torch.set_num_threads(max((os.cpu_count() or 1) // workers, 1))
    end_with_parent()
    work = Work(job)
    path = Path(job.out)
    pending = [key for key, _ in work.wanted if files.stored_entry(path, key, work.identity) is None]
    for _ in work.run({key for key, _ in work.wanted[place::workers]}.intersection(pending)):
        pass
