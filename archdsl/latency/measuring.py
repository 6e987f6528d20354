"""From specs or modules to their latencies: built, prepared and measured in one run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Unpack

from archdsl.errors import MeasureError
from archdsl.latency.ready import OnProgress, ReadyNetworks
from archdsl.latency.ready import host_of as host_of
from archdsl.latency.result import AGAIN, Comparison, Latency
from archdsl.latency.rounds import Pace
from archdsl.latency.stats import checked_stat, default_stat
from archdsl.latency.subjects import export_network as export_network
from archdsl.latency.subjects import export_seeded as export_seeded
from archdsl.latency.subjects import name_of
from archdsl.latency.subjects import prepared as prepared
from archdsl.latency.subjects import seeded as seeded
from archdsl.latency.subjects import seeded_by as seeded_by
from archdsl.runtimes.onnxruntime import OnnxRuntime
from archdsl.runtimes.setting import Image, Setting, runtime_of
from archdsl.runtimes.target import Target, checked_target
from archdsl.timing.device_lock import OnWait

if TYPE_CHECKING:
    import torch

    from archdsl.latency.subjects import Subject


def measure(
    subject: Subject,
    device: str | None = None,
    batch: int = 1,
    dtype: str = "float32",
    runtime: str | None = None,
    threads: int | None = None,
    *,
    mode: str | None = None,
    image: Image | None = None,
    features_only: bool = False,
    optimize: bool = False,
    on_wait: OnWait | None = None,
    target: str | None = None,
    **pace: Unpack[Pace],
) -> Latency:
    """The latency of a spec, built with seeded weights, of an `nn.Module`, which is left as it is, or of a file.

    A file is the `Path` of an .onnx file, for a runtime that runs such files; it must be for the batch asked for.
    `features_only` builds a spec for dense prediction, without its head. `optimize` measures the inference form that
    `archdsl.optimize` gives; in runtimes that run files, the file exported from it. `image` is needed for a module
    without a `spec`. `threads` default to all physical cores of a CPU if they are 1.5 times faster than one, else to
    one; to all if it is compiled. `runtime` defaults to `graph` on a GPU and to `eager` on a CPU: a module as it is
    called from Python, while `archdsl bench` and the search take ONNX Runtime on a CPU where it is installed. `mode` is
    the former name of `runtime`. `on_wait` is called with a sentence while another process measures on the device; by
    default it prints to stderr. `target` is another machine, `ssh://user@host`, whose CPU measures the exported file;
    `runtime` is then `onnxruntime` by default.

    Raises:
        WrongUse: `runtime` and `mode` differ, or `target` is unusable.
        MeasureError: the setting is refused, the forward pass fails, or the other machine cannot measure.
    """
    there, setting = where_to_measure(target, _device_name(device), batch, dtype, runtime_of(runtime, mode))
    network = ReadyNetworks(
        {name_of(subject): subject}, there, setting, threads, image, features_only, optimize=optimize
    )
    return network.latencies(on_wait, **pace)[0]


def compare(
    items: Mapping[str, Subject],
    device: str | None = None,
    batch: int = 1,
    dtype: str = "float32",
    runtime: str | None = None,
    threads: int | None = None,
    *,
    mode: str | None = None,
    image: Image | None = None,
    features_only: bool = False,
    optimize: bool = False,
    stat: str | None = None,
    on_wait: OnWait | None = None,
    on_progress: OnProgress | None = None,
    target: str | None = None,
    **pace: Unpack[Pace],
) -> Comparison:
    """Specs or modules measured side by side, the first of them twice; `stat` defaults to the device's.

    `threads` and `optimize` are the same for all, and `runtime` is, by default as in `measure`, like `on_wait` and
    `target`.
    `on_progress` is called with a phrase that says what is done now: between rounds, never inside one.

    Raises:
        WrongUse: `runtime` and `mode` differ, or `target` is unusable.
        MeasureError: there is nothing to measure, the setting is refused, or a forward pass fails.
    """
    if not isinstance(items, Mapping):
        raise TypeError(f'compare takes specs or modules by name, as {{"a": spec}}; got a {type(items).__name__}')
    if not items or AGAIN in items:
        raise MeasureError(f"compare needs one item or more, none of them named '{AGAIN}'; got {list(items)}")
    there, setting = where_to_measure(target, _device_name(device), batch, dtype, runtime_of(runtime, mode))
    stat = checked_stat(stat or default_stat(setting.device))
    both = {**items, AGAIN: next(iter(items.values()))}
    networks = ReadyNetworks(both, there, setting, threads, image, features_only, on_progress, optimize)
    *latencies, again = networks.latencies(on_wait, **pace)
    return Comparison(stat, {item.name: item for item in latencies}, again)


def ready_network(
    subject: Subject,
    device: str | None = None,
    batch: int = 1,
    dtype: str = "float32",
    runtime: str | None = None,
    threads: int | None = None,
    *,
    image: Image | None = None,
    features_only: bool = False,
    optimize: bool = False,
    target: str | None = None,
) -> ReadyNetworks:
    """One network that is prepared once and measured in several runs; the arguments are those of `measure`.

    Raises:
        WrongUse, MeasureError: as `measure`.
    """
    there, setting = where_to_measure(target, device, batch, dtype, runtime)
    return ReadyNetworks({name_of(subject): subject}, there, setting, threads, image, features_only, optimize=optimize)


def where_to_measure(
    target: str | None, device: str | None, batch: int, dtype: str, runtime: str | None
) -> tuple[Target | None, Setting]:
    """The other machine, where one is named, and the setting there or here."""
    there = checked_target(target, runtime)
    if there is None:
        return None, Setting.checked(device, batch, dtype, runtime)
    return there, Setting.checked(device or "cpu", batch, dtype, runtime or OnnxRuntime.name)


def _device_name(device: str | torch.device | None) -> str | None:
    """A device as `measure` names it; torch's own devices have a name too."""
    if device is None or isinstance(device, str):
        return device
    if type(device).__name__ != "device":
        raise TypeError(f"measure takes a device by its name, as 'cpu' or 'cuda:0'; got {device!r}")
    return str(device)
