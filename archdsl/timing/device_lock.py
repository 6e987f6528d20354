"""The lease of a device: whoever measures on it has it alone, across the processes and users of a machine.

A lock (`flock`) on a file that everybody can open, one a device. The system takes it back when its holder ends, however
it ends. It keeps those apart that take it: whatever else runs on the machine is not asked. Containers with a /tmp of
their own do not see each other's lease, unless `$ARCHDSL_LEASES` names a folder that they share.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from archdsl.errors import MeasureError

FOLDERS = (Path("/run/lock"), Path("/tmp"))
"""Where the files lie: in the first of these in which every user may write, so that all choose the same."""
_PAUSE_S, _REMIND_S = 0.05, 5.0

Told = Callable[[str], None]
"""What is told that, and for whom, one waits: at once and then every five seconds."""


def aloud(text: str) -> None:
    """A line on stderr."""
    print(text, file=sys.stderr, flush=True)


tell: Told = aloud
"""What is told where nothing else is asked for; a program that writes to stderr in its own way puts that here."""


class _Held:
    """What this process has of one device's lease; threads take turns, and one thread may take it several times."""

    def __init__(self) -> None:
        self.turn, self.depth, self.file = threading.RLock(), 0, -1


_held: dict[str, _Held] = {}


@contextmanager
def lease(device: str, told: Told | None = None, patience_s: float | None = None) -> Iterator[None]:
    """The device alone, for as long as the context lasts; may be nested.

    Waits for whoever has it, `patience_s` seconds at most, and says so through `told`, by default a line on stderr.

    Raises:
        MeasureError: its holder kept it for longer, or the file cannot be opened.
    """
    name = name_of(device)
    held = _held.setdefault(name, _Held())
    with held.turn:
        if not held.depth:
            held.file = _taken(name, device, told or tell, patience_s)
        held.depth += 1
        try:
            yield
        finally:
            held.depth -= 1
            if not held.depth:
                os.close(held.file)
                held.file = -1


def name_of(device: str) -> str:
    """The device as every process calls it: a GPU by its uuid, since CUDA_VISIBLE_DEVICES numbers them anew."""
    if not device.startswith("cuda"):
        return device
    import torch

    properties = torch.cuda.get_device_properties(torch.device(device))
    return f"cuda-{getattr(properties, 'uuid', device.partition(':')[2] or 0)}"


def holder(name: str) -> int | None:
    """The process that says it has the lease; None where nobody does, or it could not write."""
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


def _taken(name: str, device: str, told: Told, patience_s: float | None) -> int:
    """The locked file's descriptor, once it is ours."""
    path, begun, reminded = _path(name), time.monotonic(), -_REMIND_S
    file = _opened(path)
    try:
        while not _locked(file, path):
            waited = time.monotonic() - begun
            who = f"process {found}" if (found := holder(name)) else "another process"
            if patience_s is not None and waited > patience_s:
                rule = f"{device} was not free to measure on for {patience_s:.0f} s: {who} has its lease"
                raise MeasureError(f"{rule}; wait for it to end")
            if waited - reminded >= _REMIND_S:
                told(f"waiting for {who}, which measures on {device}; {waited:.0f} s so far")
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
    raise MeasureError(f"the lease file {path} cannot be opened: {refused.strerror}; remove it, or make it readable")


def _forget() -> None:
    """A forked child does not keep its parent's lease alive."""
    for held in _held.values():
        if held.depth:
            with contextlib.suppress(OSError):
                os.close(held.file)
    _held.clear()


os.register_at_fork(after_in_child=_forget)
