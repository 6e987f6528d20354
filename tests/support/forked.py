"""Python programs in processes of their own that need not import torch, which takes seconds: they are forked.

One process a test session has imported torch, and nothing of ours, and forks itself for each program. What happens
before torch is imported, or without it, needs a new interpreter.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

_SERVER = """
import json, os, runpy, sys, traceback, warnings
import torch

def run(job):
    os.environ.clear()
    os.environ.update(job["environment"])
    os.chdir(job["folder"])
    sys.path[:] = [*job["path"], *sys.path]
    for number, file in ((0, os.devnull), (1, job["out"]), (2, job["err"])):
        opened = os.open(file, os.O_RDWR | os.O_CREAT)
        os.dup2(opened, number)
    if job["strict"]:
        warnings.simplefilter("error")
    first, *more = job["arguments"]
    if first == "-c":
        sys.argv = [first, *more[1:]]
        exec(compile(more[0], "<string>", "exec"), {"__name__": "__main__"})
    elif first == "-m":
        sys.argv = more
        runpy.run_module(more[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [first, *more]
        sys.path.insert(0, os.path.dirname(first))
        runpy.run_path(first, run_name="__main__")

def status_of(job):
    try:
        run(job)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0

for line in sys.stdin:
    child = os.fork()
    if not child:
        status = status_of(json.loads(line))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def run_forked(
    *arguments: str, folder: Path | None = None, environment: dict[str, str] | None = None, strict: bool = False
) -> subprocess.CompletedProcess[str]:
    """What `python ARGUMENTS` does: a file, `-m` a module or `-c` a program. With `strict`, warnings are errors."""
    environment = {**os.environ} if environment is None else environment
    with tempfile.TemporaryDirectory() as place:
        out, err = Path(place) / "out", Path(place) / "err"
        job = {
            "arguments": arguments,
            "folder": str(folder or Path.cwd()),
            "path": [str(folder or Path.cwd()), *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))],
            "environment": environment,
            "strict": strict,
            "out": str(out),
            "err": str(err),
        }
        server = _server()
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(job) + "\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        return subprocess.CompletedProcess(arguments, status, out.read_text(), err.read_text())


@cache
def _server() -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": ""}
    command = [sys.executable, "-P", "-c", _SERVER]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    atexit.register(_stop, server)
    return server


def _stop(server: subprocess.Popen[str]) -> None:
    server.kill()
    server.communicate()
