"""One job on another machine by the system's ssh: sent, waited for, and its faults said in one line each."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shlex
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from archdsl.errors import ConnectionLost, MeasureError
from archdsl.json_types import JsonObject
from archdsl.latency.remote.job import EVENT, Job
from archdsl.latency.remote.runner import CALLER_S
from archdsl.latency.remote.script import BOOTSTRAP, script
from archdsl.runtimes.target import Target

PYTHON = "ARCHDSL_TARGET_PYTHON"
"""Environment variable that names the Python to run there, a name or a path; `python3` where it is not set."""
CONNECT_S, SILENCE_S = 60.0, 120.0
"""Until the script there has started, and later without a word from it, after which it is taken to hang."""
_END_S = 5.0
"""In which the script there, once its input ends, has removed its files and ended."""
_PIECE = 65536
_OPTIONS = {
    "BatchMode": "yes",  # ask for nothing: an unknown host key and a password are refused
    "ConnectTimeout": "15",
    "ServerAliveInterval": "10",
    "ServerAliveCountMax": "3",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "ClearAllForwardings": "yes",
    "RemoteCommand": "none",
}


class Events(NamedTuple):
    """What is called before the answer comes."""

    waits: Callable[[str], None]
    """With a sentence while another process measures there."""
    measures: Callable[[], None]
    """Once the machine is ours."""


class _Said(NamedTuple):
    """What a thread has seen: a part of an answer, a line of stderr, progress, or the end of a stream."""

    kind: str
    text: str = ""


def ask(target: Target, job: Job, files: Sequence[Path], events: Events) -> JsonObject:
    """The answer of the runner on another machine to a job about these files.

    Raises:
        ConnectionLost: the machine cannot be reached, refuses the login, or the connection ended or went silent.
        MeasureError: something is missing there, or the job failed.
    """
    process = _started(target)
    said: queue.Queue[_Said] = queue.Queue()
    ended = threading.Event()
    payload = [script(), json.dumps(job).encode(), *(file.read_bytes() for file in files)]
    workers = [
        threading.Thread(target=_send, args=(process.stdin, payload, said, ended), daemon=True),
        threading.Thread(target=_read, args=(process.stdout, "answer", said), daemon=True),
        threading.Thread(target=_read, args=(process.stderr, "stderr", said), daemon=True),
    ]
    for worker in workers:
        worker.start()
    try:
        return _answer(target, process, said, events)
    finally:
        ended.set()
        _end(process)
        for worker in workers:
            worker.join(_END_S)


def _started(target: Target) -> subprocess.Popen[bytes]:
    program = shutil.which("ssh")
    if program is None:
        raise ConnectionLost(f"{target.url}: there is no ssh on this machine; install OpenSSH's client")
    options = [f"-o{name}={value}" for name, value in _OPTIONS.items()]
    port = ["-p", str(target.port)] if target.port else []
    python = os.environ.get(PYTHON) or "python3"
    command = f"{python if python.startswith('~') else shlex.quote(python)} -c '{BOOTSTRAP}'"
    return subprocess.Popen(
        [program, "-T", *options, *port, target.login, command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for this process, which lets the other end clean up
    )


def _send(stream: IO[bytes] | None, payload: Sequence[bytes], said: queue.Queue[_Said], ended: threading.Event) -> None:
    """Write the parts, then a line now and then for as long as the job takes."""
    assert stream is not None
    with contextlib.suppress(OSError, ValueError):  # the connection ended, which the readers notice
        for part in payload:
            stream.write(b"%d\n" % len(part))
            for begin in range(0, len(part), _PIECE):
                stream.write(part[begin : begin + _PIECE])
                stream.flush()
                said.put(_Said("sent"))
        while not ended.wait(CALLER_S / 6):
            stream.write(b"\n")
            stream.flush()
    with contextlib.suppress(OSError, ValueError):
        stream.close()


def _read(stream: IO[bytes] | None, kind: str, said: queue.Queue[_Said]) -> None:
    assert stream is not None
    with contextlib.suppress(OSError, ValueError), stream:
        for line in stream:
            said.put(_Said(kind, line.decode(errors="replace").rstrip("\r\n")))
    said.put(_Said("end"))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let the other end see the end of its input, and clean up; then end ssh."""
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _answer(target: Target, process: subprocess.Popen[bytes], said: queue.Queue[_Said], events: Events) -> JsonObject:
    """What the runner answers, once both of its streams have ended."""
    answer, remarks, left, has_begun = "", list[str](), 2, False
    while left:
        limit_s = SILENCE_S if has_begun else CONNECT_S
        try:
            item = said.get(timeout=limit_s)
        except queue.Empty:
            what = "was silent" if has_begun else "did not start python3"
            rule = f"{target.url} {what} for {limit_s:g} s, and the measurement was ended"
            raise ConnectionLost(f"{rule}; see whether the machine hangs or is overloaded") from None
        if item.kind == "end":
            left -= 1
        elif item.kind == "answer" and item.text.startswith("{"):  # a login may print more
            answer = item.text
        elif item.kind == "stderr" and item.text.startswith(EVENT):
            has_begun = True
            _tell(json.loads(item.text.removeprefix(EVENT)), target, events)
        elif item.kind == "stderr" and item.text.strip():
            remarks.append(item.text.strip())
    status = process.wait()
    with contextlib.suppress(ValueError):
        facts: JsonObject = json.loads(answer)
        return facts
    raise _fault(target, status, remarks, has_begun)


def _tell(event: JsonObject, target: Target, events: Events) -> None:
    if "waiting" in event:
        events.waits(f"{target.url}: {event['waiting']}")
    elif "measuring" in event:
        events.measures()


_SSH_FAILED, _NO_COMMAND = 255, (126, 127)
_FAULTS = (
    (
        ("REMOTE HOST IDENTIFICATION HAS CHANGED", "Host key verification failed", "host key is known"),
        "the host key is not the one that this machine knows, or is not known here",
        "connect once with `{ssh}` and compare the key's fingerprint with the machine's",
    ),
    (
        ("Permission denied", "Too many authentication failures"),
        "the login is refused",
        "let `{ssh}` log in with a key and without a question, e.g. by ssh-copy-id and ssh-agent",
    ),
    (
        ("Could not resolve hostname",),
        "no host has this name",
        "check its spelling, or give its address",
    ),
    (
        ("Connection refused", "timed out", "No route to host", "Network is unreachable", "banner exchange"),
        "the machine cannot be reached",
        "see whether it is on, runs an ssh server, and listens at this port",
    ),
)
"""What ssh says, what that means, and what to do."""


def _fault(target: Target, status: int, remarks: list[str], has_begun: bool) -> MeasureError:
    """Why there is no answer, in one line."""
    said = remarks[-1][:200] if remarks else f"status {status}"
    if has_begun:
        rule = f"{target.url}: the connection ended during the measurement ({said})"
        return ConnectionLost(f"{rule}; see whether the machine and the network are up, and try again")
    port = f"-p {target.port} " if target.port else ""
    for signs, rule, remedy in _FAULTS if status == _SSH_FAILED else ():
        match = next((line for line in remarks if any(sign in line for sign in signs)), None)
        if match is not None:
            how = remedy.format(ssh=f"ssh {port}{target.login}")
            return ConnectionLost(f"{target.url}: {rule} ({match[:200].strip('@ ')}); {how}")
    if status in _NO_COMMAND:
        python = os.environ.get(PYTHON) or "python3"
        return MeasureError(
            f"{target.url}: there is no {python} on that machine ({said}); install Python 3.10 or newer there, "
            f"or name it with {PYTHON}"
        )
    if status == _SSH_FAILED:
        return ConnectionLost(f"{target.url}: ssh failed ({said}); see what `ssh {port}{target.login}` says")
    return MeasureError(f"{target.url}: the runner did not start ({said}); see what `ssh {port}{target.login}` says")


def refuse_problem(target: Target, answer: JsonObject, job: Job) -> None:
    """Raises `MeasureError` where a job failed, with what to do."""
    problem, package, there = answer.get("problem"), answer.get("package"), answer.get("there")
    if problem is None:
        return
    python = os.environ.get(PYTHON) or "python3"
    if problem == "python":
        rule = f"{python} there is {there}, and 3.10 or newer is needed"
        raise MeasureError(f"{target.url}: {rule}; install it, or name another one with {PYTHON}")
    if problem == "missing":
        version = f"=={job['version']}" if package == job["runtime"] else ""
        why = f" ({answer['text']})" if answer.get("text") else ""
        remedy = f"run `{python} -m pip install {package}{version}` there, or name another Python with {PYTHON}"
        raise MeasureError(f"{target.url}: {python} there cannot import {package}{why}; {remedy}")
    if problem == "version":
        rule = f"{job['runtime']} is {there} there and {job['version']} here"
        remedy = f"run `{python} -m pip install {job['runtime']}=={job['version']}` there, or install {there} here"
        raise MeasureError(f"{target.url}: {rule}; {remedy}")
    raise MeasureError(f"{target.url}: {answer.get('text')}")
