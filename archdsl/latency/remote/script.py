"""The script that is sent to another machine: the runner and the modules that it needs, in one text."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_PACKAGES = ("", "timing", "runtimes", "latency", "latency.remote")
_MODULES = (
    "errors",
    *(f"timing.{name}" for name in ("cores", "device_lock", "disturbance", "estimate", "gate", "host", "interleaved")),
    *(f"timing.{name}" for name in ("machine", "rounds", "speed", "threads")),
    *(f"runtimes.{name}" for name in ("array_session", "onnx_session", "openvino_session")),
    *(f"latency.remote.{name}" for name in ("fresh_process", "job", "runner")),
)
_NAME = "archdsl_runner"
"""Of the package there: it is not archdsl, and an archdsl that is installed there is not used."""

_SCRIPT = '''\
"""Measures files in a runtime; made by archdsl, which sends it and removes it."""
import sys

if sys.version_info < (3, 10):
    sys.stdout.write('{{"problem": "python", "there": "%d.%d"}}\\n' % sys.version_info[:2])
    sys.exit(1)
sys.path[:] = [place for place in sys.path if place]  # the login's folder holds no module of ours
import importlib.abc
import importlib.util

SOURCES = {sources}
PACKAGES = {packages}


class Modules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name in SOURCES:
            return importlib.util.spec_from_loader(name, self, is_package=name in PACKAGES)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(compile(SOURCES[module.__name__], module.__name__, "exec"), module.__dict__)


sys.meta_path.insert(0, Modules())
from {name}.latency.remote.runner import main

sys.exit(main(globals().get("SCRIPT", b"")))
'''

BOOTSTRAP = (
    "import sys; s = sys.stdin.buffer.read(int(sys.stdin.buffer.readline())); "
    'exec(s, {"SCRIPT": s, "__name__": "__main__"})'
)
"""The program that reads the script from its standard input and runs it; it has no single quotes."""


@cache
def script() -> bytes:
    """The text of the script, in UTF-8."""
    packages = {f"{_NAME}.{name}".rstrip(".") for name in _PACKAGES}
    sources = dict.fromkeys(sorted(packages), "") | {f"{_NAME}.{name}": _source(name) for name in _MODULES}
    return _SCRIPT.format(sources=repr(sources), packages=sorted(packages), name=_NAME).encode()


def _source(name: str) -> str:
    """A module of ours that imports others under the name of the package there."""
    *folders, file = name.split(".")
    text = files("archdsl").joinpath(*folders, f"{file}.py").read_text(encoding="utf-8")
    return re.sub(r"^(\s*)from archdsl(?=[. ])", rf"\1from {_NAME}", text, flags=re.MULTILINE)
