"""An ssh server on loopback with keys of its own, and an `ssh` that logs in to it; its files go with it."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from archdsl.latency.remote.connection import PYTHON

_SBIN = "/usr/sbin:/usr/local/sbin:/sbin"


class Server(NamedTuple):
    """A server while it runs."""

    url: str
    """As `--target` takes it."""
    folder: Path
    """Of its keys and settings."""
    temporary: Path
    """Where programs that are run there make their temporary files."""
    process: subprocess.Popen[bytes]

    def drop(self) -> None:
        """End the connections to the server, and not the server."""
        for number in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            os.kill(int(number), signal.SIGKILL)

    @property
    def left(self) -> list[Path]:
        """What is still there of the temporary files."""
        return sorted(self.temporary.iterdir())


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _programs() -> tuple[str, str, str]:
    paths = [shutil.which(name, path=f"{os.environ['PATH']}:{_SBIN}") for name in ("sshd", "ssh", "ssh-keygen")]
    if None in paths:
        pytest.skip("OpenSSH is not installed: apt-get install openssh-server openssh-client")
    server, client, keys = (str(path) for path in paths)
    return server, client, keys


@contextmanager
def server() -> Iterator[Server]:
    """A server of its own, at which this user logs in with a key.

    `folder / "bin"` is to be on the PATH: its `ssh` uses that key and knows that server alone.
    """
    sshd, ssh, keygen = _programs()
    folder, port, user = Path(tempfile.mkdtemp(prefix="archdsl-ssh-")), _free_port(), getpass.getuser()
    try:
        for name in ("host_key", "user_key", "other_key"):
            subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        temporary, programs = folder / "tmp", folder / "bin"
        temporary.mkdir()
        programs.mkdir()
        shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
        host_key = (folder / "host_key.pub").read_text().split()[:2]
        (folder / "known_hosts").write_text(" ".join([f"[127.0.0.1]:{port}", *host_key]) + "\n")
        _write_settings(
            folder / "sshd_config", _server_settings(folder, port, f"TMPDIR={temporary} ARCHDSL_LEASES={folder}")
        )
        write_client(folder, ssh)
        _separation_folder()
        log = folder / "log"
        command = [sshd, "-D", "-e", "-f", str(folder / "sshd_config")]
        with log.open("wb") as stderr:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr)
        try:
            _wait_for(port, process, log)
            yield Server(f"ssh://{user}@127.0.0.1:{port}", folder, temporary, process)
        finally:
            process.terminate()
            process.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_client(folder: Path, ssh: str, key: str = "user_key", known_hosts: str = "known_hosts") -> None:
    """The `ssh` of a server's folder: with that key, and with those known hosts."""
    options = {
        "IdentityFile": folder / key,
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "UserKnownHostsFile": folder / known_hosts,
        "GlobalKnownHostsFile": "none",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    write_program(folder / "bin" / "ssh", ["exec", ssh, "-F", "none", *words, '"$@"'])


def write_program(path: Path, words: Sequence[str]) -> None:
    path.write_text(f"#!/bin/sh\n{' '.join(words)}\n")
    path.chmod(0o755)


def _server_settings(folder: Path, port: int, environment: str) -> dict[str, str]:
    return {
        "ListenAddress": "127.0.0.1",
        "Port": str(port),
        "HostKey": str(folder / "host_key"),
        "AuthorizedKeysFile": str(folder / "authorized_keys"),
        "PidFile": "none",
        "StrictModes": "no",  # a temporary folder may be open to others
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "SetEnv": environment,
    }


def _write_settings(path: Path, settings: dict[str, str]) -> None:
    path.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))


def _separation_folder() -> None:
    """Root's sshd wants this folder, which the system's start makes."""
    if os.geteuid() == 0:
        with suppress(OSError):
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(100):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as connected:
            if connected.recv(4) == b"SSH-":
                return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    pytest.skip(f"sshd does not start: {log.read_text(errors='replace')[-300:]}")


def use(there: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process find the server's `ssh`, and share the folder of device locks with what runs there.

    The Python there is this one, but importing torch or archdsl fails.
    """
    hidden = there.folder / "hidden"
    hidden.mkdir(exist_ok=True)
    for name in ("torch", "archdsl"):
        (hidden / f"{name}.py").write_text("raise ImportError('it is not on that machine')\n")
    use_python(there, monkeypatch, f"PYTHONPATH={hidden}", sys.executable)
    monkeypatch.setenv("PATH", f"{there.folder / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("ARCHDSL_LEASES", str(there.folder))


def use_python(there: Server, monkeypatch: pytest.MonkeyPatch, environment: str, *words: str) -> None:
    """The Python that is run there, with these variables."""
    write_program(there.folder / "python3", ["exec env", environment, *words, '"$@"'])
    monkeypatch.setenv(PYTHON, str(there.folder / "python3"))
