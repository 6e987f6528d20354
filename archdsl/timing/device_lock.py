"""The lock of a device: whoever measures on it has it alone, across the processes and users of a machine.

A lock (`flock`) on a file that everybody can open, one file per device. The system releases it when its holder ends,
however it ends. It only separates processes that take it. Containers with a /tmp of their own do not see each other's
lock, unless `$ARCHDSL_LEASES` names a folder that they share.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from archdsl.errors import MeasureError

try:
    import fcntl
except ModuleNotFoundError:  # Windows has none
    fcntl = None  # type: ignore[assignment]

FOLDERS = (Path("/run/lock"), Path("/tmp"))
"""Where the files lie: in the first of these in which every user may write, so that all choose the same."""
_PAUSE_S, _REMIND_S = 0.05, 5.0

OnWait = Callable[[str], None]
"""Called with a sentence that names the process waited for: at once, and then every five seconds."""


def print_to_stderr(text: str) -> None:
    """One line on stderr."""
    print(text, file=sys.stderr, flush=True)


class _Lock:
    """The lock of one device in this process; threads take turns, and one thread may take it several times."""

    def __init__(self) -> None:
        self.turn, self.depth, self.file = threading.RLock(), 0, -1
        self.owner: int | None = None


_locks: dict[str, _Lock] = {}


@contextmanager
def device_lock(device: str, on_wait: OnWait | None = None, timeout_s: float | None = None) -> Iterator[None]:
    """The device alone, for as long as the context lasts; may be nested.

    Waits at most `timeout_s` seconds for the process that holds the lock, without end by default. `on_wait` is called
    meanwhile; by default it is `print_to_stderr`.

    Raises:
        MeasureError: the lock was not released in time, its file cannot be opened, or the system has no such locks.
    """
    if fcntl is None:
        raise MeasureError("measuring needs file locks (fcntl), which this system does not have; use Linux or macOS")
    name = name_of(device)
    lock = _locks.setdefault(name, _Lock())
    with lock.turn:
        if not lock.depth:
            lock.file = _acquired(name, device, on_wait or print_to_stderr, timeout_s)
            lock.owner = threading.get_ident()
        lock.depth += 1
        try:
            yield
        finally:
            lock.depth -= 1
            if not lock.depth:
                os.close(lock.file)
                lock.file, lock.owner = -1, None


class Holder(NamedTuple):
    """A process that holds a device's lock, and the start of the system in which it runs."""

    boot: str
    process: int


def held_here(device: str) -> Holder | None:
    """This process, where this thread holds the device's lock; None where it does not, or the system is not Linux."""
    lock, boot = _locks.get(name_of(device)), _boot()
    if lock is None or lock.owner != threading.get_ident() or boot is None:
        return None
    return Holder(boot, os.getpid())


def is_held_by(device: str, caller: Holder) -> bool:
    """Whether that process holds the device's lock on this machine."""
    return _boot() == caller.boot and holder(name_of(device)) == caller.process


def _boot() -> str | None:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() or None
    return None


def name_of(device: str) -> str:
    """The device as every process calls it: a GPU by its uuid, since CUDA_VISIBLE_DEVICES numbers them anew."""
    if not device.startswith("cuda"):
        return device
    import torch

    properties = torch.cuda.get_device_properties(torch.device(device))
    return f"cuda-{getattr(properties, 'uuid', device.partition(':')[2] or 0)}"


def holder(name: str) -> int | None:
    """The process that wrote its number into the lock file; None where none did, or it could not write."""
    with contextlib.suppress(OSError, ValueError):
        return int(_path(name).read_text()[:20])
    return None


def _path(name: str) -> Path:
    named = os.environ.get("ARCHDSL_LEASES")
    folder = Path(named) if named else _shared()
    return folder / f"archdsl-{re.sub(r'[^A-Za-z0-9-]', '_', name)}.lease"


def _shared() -> Path:
    """The folder that every user of the machine comes to."""
    return next((folder for folder in FOLDERS if folder.is_dir() and folder.stat().st_mode & stat.S_IWOTH), FOLDERS[-1])


def _acquired(name: str, device: str, on_wait: OnWait, timeout_s: float | None) -> int:
    """The locked file's descriptor, once it is ours."""
    path, begun, reminded = _path(name), time.monotonic(), -_REMIND_S
    file = _opened(path)
    try:
        while not _locked(file, path):
            waited = time.monotonic() - begun
            who = f"process {process}" if (process := holder(name)) else "another process"
            if timeout_s is not None and waited > timeout_s:
                rule = f"{device} was not free to measure on for {timeout_s:.0f} s: {who} holds its lock"
                raise MeasureError(f"{rule}; wait for it to end")
            if waited - reminded >= _REMIND_S:
                which, where = f" ({who})" if process else "", "this machine" if device == "cpu" else device
                on_wait(f"another archdsl process{which} is measuring on {where}; waiting, {waited:.0f} s so far")
                reminded = waited
            time.sleep(_PAUSE_S)
            if not _is_at(file, path):
                os.close(file)
                file = _opened(path)
        with contextlib.suppress(OSError):  # it is open for reading alone where another user's folder is strict
            os.truncate(file, 0)
            os.pwrite(file, b"%d\n" % os.getpid(), 0)
    except BaseException:
        with contextlib.suppress(OSError):
            os.close(file)
        raise
    return file


def _locked(file: int, path: Path) -> bool:
    """Whether the lock is ours now, on the file that others will look for."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return _is_at(file, path)


def _is_at(file: int, path: Path) -> bool:
    """Whether it is still the file of that name: what cleans a folder up may have removed it."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _opened(path: Path) -> int:
    """The file, made for everybody if there is none; never through a link that somebody laid.

    A file of another user in a sticky folder may be opened only without O_CREAT (Linux, fs.protected_regular).
    """
    made = os.O_RDWR | os.O_CREAT | os.O_EXCL
    refused: OSError | None = None
    for flags in (os.O_RDWR, os.O_RDONLY, made, os.O_RDWR, os.O_RDONLY):
        try:
            file = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except OSError as error:
            refused = error
            continue
        if flags == made:
            with contextlib.suppress(OSError):
                os.fchmod(file, 0o666)  # whatever the umask is
        return file
    assert refused is not None
    raise MeasureError(f"the lock file {path} cannot be opened: {refused.strerror}; remove it, or make it readable")


def _forget() -> None:
    """A forked child does not keep its parent's lock alive."""
    for lock in _locks.values():
        if lock.depth:
            with contextlib.suppress(OSError):
                os.close(lock.file)
    _locks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
