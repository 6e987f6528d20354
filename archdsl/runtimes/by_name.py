"""Runtimes by name, and the one that a device uses where none is named.

An installed package adds a runtime by the entry point `archdsl.runtimes`: a subclass of `Runtime`, made without
arguments.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import entry_points
from typing import NamedTuple

from archdsl.errors import ArchError, MeasureError, WrongUse, one_line, one_of
from archdsl.runtimes.cuda_graph import CudaGraph
from archdsl.runtimes.eager import Eager
from archdsl.runtimes.onnxruntime import OnnxRuntime
from archdsl.runtimes.openvino import OpenVino
from archdsl.runtimes.runtime import Runtime
from archdsl.runtimes.torch_compile import TorchCompile

_OURS = (Eager(), CudaGraph(), TorchCompile(), OnnxRuntime(), OpenVino())
RUNTIMES = tuple(runtime.name for runtime in _OURS)
"""Ours."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


@cache
def runtimes() -> dict[str, Runtime]:
    """Ours, and those of installed packages, by name.

    Warns:
        UserWarning: naming a package whose runtime cannot be used; the others are not concerned.
    """
    by_name: dict[str, Runtime] = {runtime.name: runtime for runtime in _OURS}
    for entry in sorted(entry_points(group="archdsl.runtimes")):
        try:
            runtime = entry.load()()
            name = getattr(runtime, "name", None)
            if not isinstance(runtime, Runtime) or not isinstance(name, str) or name in by_name:
                raise TypeError(f"it must be a Runtime with a name of its own; got {runtime!r}")
            if not _NAME.fullmatch(name):
                raise ValueError(f"a name is of letters, digits, _, . and -; got {name!r}")
            by_name[runtime.name] = runtime
        except (Exception, SystemExit) as error:
            said = f"runtime '{entry.name}' ({entry.value}) is left out: {type(error).__name__}: {one_line(error)}"
            warnings.warn(said, stacklevel=2)
    return by_name


@contextmanager
def naming_package(name: str) -> Iterator[None]:
    """Tell of an error inside a runtime that is not ours as what it is: one of the package that added it.

    Raises:
        MeasureError: the runtime of that name failed.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        if name in RUNTIMES or isinstance(error, ArchError):
            raise
        said = f"{type(error).__name__}: {one_line(error, 200)}"
        rule = f"runtime {name}, which is none of archdsl's own, failed: {said}"
        raise MeasureError(f"{rule}; tell its authors, or use another runtime") from error


def runtime_named(name: str) -> Runtime:
    """The runtime of that name.

    Raises:
        MeasureError: there is none.
    """
    if name not in runtimes():
        raise MeasureError(f"runtime must be {one_of(list(runtimes()))}; got '{name}'")
    return runtimes()[name]


def threads_may_change(name: str) -> bool:
    """Whether a network can be tried on several numbers of threads in that runtime."""
    return runtime_named(name).threads_may_change


def runs_files(name: str) -> bool:
    """Whether that runtime runs an exported file instead of modules."""
    return runtime_named(name).runs_files


class DefaultRuntime(NamedTuple):
    """The runtime that is taken where none is named, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        """`runtime: onnxruntime (installed; the default on a CPU)`."""
        return f"runtime: {self.name} ({self.reason})"


def default_runtime(device: str) -> str:
    """The runtime of calls from Python, of tables and of single layers, which run modules as they are.

    `graph` on a GPU, whose eager latency at a small batch is the host's time to launch kernels; `eager` on a CPU.
    """
    return CudaGraph.name if device.startswith("cuda") else Eager.name


def deployment_runtime(device: str, dtype: str) -> DefaultRuntime:
    """The runtime of `archdsl search`, `doctor` and `bench`, which measure what would be deployed; imports no package.

    `graph` on a GPU; on a CPU ONNX Runtime where its packages are installed and it takes the dtype, else `eager`.
    """
    exported = OnnxRuntime()
    if device.startswith("cuda"):
        return DefaultRuntime(CudaGraph.name, "the default on a GPU")
    if dtype not in exported.dtypes:
        return DefaultRuntime(Eager.name, f"the default on a CPU for {dtype}, which {exported.name} does not take")
    if missing := exported.missing_packages():
        remedy = f"after pip install 'archdsl[{exported.extra}]' it is {exported.name}"
        return DefaultRuntime(Eager.name, f"the default on a CPU without {one_of(missing)}; {remedy}")
    return DefaultRuntime(exported.name, "installed; the default on a CPU")


def runtime_of(runtime: str | None, mode: str | None) -> str | None:
    """The runtime of a call that may say it as `mode`, its former name; None if it says neither.

    Raises:
        WrongUse: both are given, and they differ.
    """
    if None not in (runtime, mode) and runtime != mode:
        raise WrongUse(f"runtime '{runtime}' and mode '{mode}' differ; mode is the former name: give runtime alone")
    return mode if runtime is None else runtime
