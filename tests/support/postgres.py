"""A real PostgreSQL on loopback, in a temporary folder, run by a user other than root."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

_USERS = ("postgres", "nobody")


def _binaries() -> Path:
    """Where initdb is; the test is skipped where it is not."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    path = str(found[-1]) if found else shutil.which("initdb")
    if path is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    return Path(path).resolve().parent


def _other_user() -> list[str]:
    """What makes a command run as another user, where we are root: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return []
    for name in _USERS:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
    pytest.skip("PostgreSQL refuses root, and there is no other user")


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


class Database(NamedTuple):
    """An empty database while it runs."""

    url: str
    stop: Callable[[], object]
    """End the server at once."""


@contextmanager
def server() -> Iterator[Database]:
    """A server of its own."""
    binaries, other, port = _binaries(), _other_user(), _free_port()
    place = Path(tempfile.mkdtemp(prefix="archdsl-postgres-"))  # pytest's own folders are closed to other users
    try:
        if other:
            shutil.chown(place, int(other[1].partition("=")[2]))
        data = place / "data"
        settings = ["--auth=trust", "--username=archdsl", "--no-sync", "--encoding=UTF8", "--locale=C"]
        subprocess.run([*other, binaries / "initdb", *settings, "-D", data], check=True, capture_output=True, cwd=place)
        options = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={place}", "-c", "fsync=off"]
        command: list[str | Path] = [*other, binaries / "postgres", "-D", data, "-p", str(port), *options]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=place)
        try:
            _wait_for(port, process)
            yield Database(f"postgresql://archdsl@127.0.0.1:{port}/postgres", lambda: _end(process))
        finally:
            _end(process)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGQUIT)
    process.wait(60)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    import psycopg

    for _ in range(600):
        with suppress(psycopg.OperationalError):
            psycopg.connect(host="127.0.0.1", port=port, user="archdsl", dbname="postgres").close()
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError("PostgreSQL did not start")
