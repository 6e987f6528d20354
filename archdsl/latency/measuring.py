"""From specs or modules to their latencies: built, prepared and measured in one run."""

from __future__ import annotations

import copy
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from archdsl.errors import MeasureError
from archdsl.json_types import JsonObject
from archdsl.language.arguments import wrong_spec
from archdsl.language.document import Spec
from archdsl.language.sizes import sides_in
from archdsl.latency.provenance import provenance
from archdsl.latency.result import AGAIN, Comparison, Latency
from archdsl.latency.rounds import Host, Pace, measure_all
from archdsl.latency.stats import checked_stat, default_stat
from archdsl.latency.threads import fastest_threads
from archdsl.runtimes.file_runtime import FileRuntime, names_of_outputs
from archdsl.runtimes.onnxruntime import OnnxRuntime
from archdsl.runtimes.runner import noise, placed, prepare, refusing, steady
from archdsl.runtimes.runtime import Runner
from archdsl.runtimes.setting import Image, Setting, runtime_of
from archdsl.runtimes.target import Target, checked_target
from archdsl.timing.cores import available_cores
from archdsl.timing.device_lock import OnWait, print_to_stderr
from archdsl.timing.interleaved import wall_timer
from archdsl.timing.machine import ROOT_PROCESS, MachineWatch
from archdsl.timing.rounds import Rounds

if TYPE_CHECKING:
    import torch
    from torch import nn

    from archdsl.latency.remote.measuring import Exported

    Subject = Spec | nn.Module | Path


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
    on_wait: OnWait | None = None,
    target: str | None = None,
    **pace: Unpack[Pace],
) -> Latency:
    """The latency of a spec, built with seeded weights, of an `nn.Module`, which is left as it is, or of a file.

    A file is the `Path` of an .onnx file, for a runtime that runs such files; it must be for the batch asked for.
    `features_only` builds a spec for dense prediction, without its head. `image` is needed for a module without a
    `spec`. `threads` default to all physical cores of a CPU if they are 1.5 times faster than one, else to one; to all
    if it is compiled. `runtime` defaults to `graph` on a GPU and to `eager` on a CPU: a module as it is called from
    Python, while `archdsl bench` and the search take ONNX Runtime on a CPU where it is installed. `mode` is the former
    name of `runtime`. `on_wait` is called with a sentence while another process measures on the device; by default it
    prints to stderr. `target` is another machine, `ssh://user@host`, whose CPU measures the exported file; `runtime` is
    then `onnxruntime` by default.

    Raises:
        WrongUse: `runtime` and `mode` differ, or `target` is unusable.
        MeasureError: the setting is refused, the forward pass fails, or the other machine cannot measure.
    """
    there, setting = where_to_measure(target, _device_name(device), batch, dtype, runtime_of(runtime, mode))
    return _latencies({_name(subject): subject}, there, setting, threads, image, features_only, pace, on_wait)[0]


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
    stat: str | None = None,
    on_wait: OnWait | None = None,
    target: str | None = None,
    **pace: Unpack[Pace],
) -> Comparison:
    """Specs or modules measured side by side, the first of them twice; `stat` defaults to the device's.

    `threads` are the same for all, and `runtime` is, by default as in `measure`, like `on_wait` and `target`.

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
    *latencies, again = _latencies(both, there, setting, threads, image, features_only, pace, on_wait)
    return Comparison(stat, {item.name: item for item in latencies}, again)


def where_to_measure(
    target: str | None, device: str | None, batch: int, dtype: str, runtime: str | None
) -> tuple[Target | None, Setting]:
    """The other machine, where one is named, and the setting there or here."""
    there = checked_target(target, runtime)
    if there is None:
        return None, Setting.checked(device, batch, dtype, runtime)
    return there, Setting.checked(device or "cpu", batch, dtype, runtime or OnnxRuntime.name)


def _latencies(
    subjects: Mapping[str, Subject],
    there: Target | None,
    setting: Setting,
    threads: int | None,
    image: Image | None,
    features_only: bool,
    pace: Pace,
    on_wait: OnWait | None,
) -> list[Latency]:
    """Builds, prepares and measures everything in one run."""
    import torch

    for subject in subjects.values():
        is_file = isinstance(subject, Path) and subject.suffix == ".onnx"
        if not is_file and not isinstance(subject, Spec | torch.nn.Module):
            raise wrong_spec("measure", subject, "a Spec, an nn.Module or the Path of an .onnx file")
    setting.executor.begin()
    images = {name: _image(subject, image, setting) for name, subject in subjects.items()}
    if there is not None:
        return _elsewhere(there, subjects, images, setting, threads, features_only, pace, on_wait)
    is_free = threads is None and setting.device == "cpu" and setting.executor.threads_may_change
    with steady(setting.device, threads, on_wait) as threads:
        built = {name: _module(item, setting.device, features_only) for name, item in subjects.items()}
        runners = {name: prepared(item, images[name], setting) for name, item in built.items()}
        del built
        if is_free:
            with refusing(setting, next(iter(images.values()))):
                threads = fastest_threads(runners.values(), setting.executor)
                runners = {name: setting.executor.with_threads(runner, threads) for name, runner in runners.items()}
        host = host_of(setting, threads)
        wall, busy = time.perf_counter(), time.process_time()
        with refusing(setting, next(iter(images.values()))):
            timer = wall_timer if setting.executor.returns_when_done else None
            rounds = measure_all(runners, device=setting.device, timer=timer, host=host, **pace)
        share = (time.process_time() - busy) / (time.perf_counter() - wall)
        origin = provenance(setting.device, setting.dtype, setting.batch, setting.runtime, threads).as_json()
    origin |= {"cpu_share": round(share, 3) if setting.device == "cpu" else None, **_beside(host.watch)}
    facts = {name: setting.executor.facts(runner) for name, runner in runners.items()}
    return [_latency(name, taken, origin | {"image": [*images[name]]} | facts[name]) for name, taken in rounds.items()]


def _elsewhere(
    there: Target,
    subjects: Mapping[str, Subject],
    images: Mapping[str, Image],
    setting: Setting,
    threads: int | None,
    features_only: bool,
    pace: Pace,
    on_wait: OnWait | None,
) -> list[Latency]:
    """Exports everything here, and measures it in one run on another machine."""
    from archdsl.latency.remote.measuring import LockOptions, latencies_of, machine_of

    if threads is not None and threads < 1:
        raise MeasureError(f"threads must be at least 1; got {threads}")
    if not all(isinstance(subject, Path) for subject in subjects.values()):
        machine_of(there, setting)  # whether it can measure is known in a second, before seconds of exporting
    written: dict[int, Exported] = {}
    with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
        for name, subject in subjects.items():
            if id(subject) not in written:  # the first one is compared with itself
                file = Path(folder) / f"{len(written)}.onnx"
                with refusing(setting, images[name]):
                    module = _module(subject, setting.device, features_only)
                    written[id(subject)] = exported(module, images[name], setting, file)
        networks = {name: written[id(subject)] for name, subject in subjects.items()}
        return latencies_of(there, setting, networks, threads, pace, LockOptions(on_wait or print_to_stderr))


def exported(subject: nn.Module | Path, image: Image, setting: Setting, file: Path) -> Exported:
    """A copy of a module exported to a file, which is held against it; a file that is there is held against itself.

    Raises:
        MeasureError: it cannot be exported, or the runtime cannot run it.
    """
    from archdsl.exporting.frozen import Float32Interface
    from archdsl.latency.remote.measuring import Exported
    from archdsl.runtimes.opened_file import OpenedFile

    runtime = _of_files(setting, file)
    if isinstance(subject, Path):
        network = OpenedFile(runtime, subject)
        return Exported(subject, image, network, network.names_for(noise(setting, image).float()))
    module, x = placed(copy.deepcopy(subject), setting), noise(setting, image)
    runtime.write(module, x, file)
    return Exported(file, image, Float32Interface(module, x.dtype).eval(), names_of_outputs(module, x))


def host_of(setting: Setting, threads: int | None) -> Host:
    """What decides on this machine whether a round was disturbed: a GPU that replays a graph does not wait for it."""
    if setting.device == "cpu":
        root = os.environ.get(ROOT_PROCESS, "")
        watch = MachineWatch(int(root) if root.isdigit() else None)
        return Host(threads or 1, available_cores(), watch)
    return Host(is_waiting=setting.executor.host_waits)


def _beside(watch: MachineWatch | None) -> JsonObject:
    """What ran beside the measurement; null where this machine does not tell."""
    window = watch.whole() if watch is not None else None
    return {
        "other_cores": None if window is None else round(window.others, 2),
        "throttled": None if window is None else window.throttled,
    }


def _latency(name: str, taken: Rounds, origin: JsonObject) -> Latency:
    disturbed = frozenset(number for number, counts in enumerate(taken.undisturbed) if not counts)
    facts: JsonObject = {"rounds": len(taken.ms), "undisturbed": sum(taken.undisturbed), "calls": taken.calls}
    return Latency(name, taken.ms, origin | facts, disturbed)


def _device_name(device: str | torch.device | None) -> str | None:
    """A device as `measure` names it; torch's own devices have a name too."""
    if device is None or isinstance(device, str):
        return device
    if type(device).__name__ != "device":
        raise TypeError(f"measure takes a device by its name, as 'cpu' or 'cuda:0'; got {device!r}")
    return str(device)


def _module(subject: Subject, device: str, features_only: bool) -> nn.Module | Path:
    """A module or a file as it is; a spec built on the device: a CPU draws weights slowly."""
    import torch

    return subject if isinstance(subject, torch.nn.Module | Path) else seeded(subject, device, features_only)


def prepared(subject: nn.Module | Path, image: Image, setting: Setting) -> Runner:
    """A runner of a copy of a module as `prepare` makes it, or of an exported file.

    Raises:
        MeasureError: as `prepare`, or the runtime cannot run the file.
    """
    if not isinstance(subject, Path):
        return prepare(subject, image, *setting)
    return _of_files(setting, subject).runner_of(subject, noise(setting, image))


def _of_files(setting: Setting, file: Path) -> FileRuntime:
    runtime = setting.executor
    if not isinstance(runtime, FileRuntime):
        raise MeasureError(f"runtime {setting.runtime} runs no files; got {file}; use onnxruntime")
    return runtime


def seeded(spec: Spec, device: str = "cpu", features_only: bool = False) -> nn.Module:
    """The module of a spec, built on a device with weights that are the same each time there."""
    from archdsl.compile import build

    return seeded_by(lambda: build(spec, features_only), device)


def seeded_by(make: Callable[[], nn.Module], device: str = "cpu") -> nn.Module:
    """A module, made on a device with weights that are the same each time there."""
    import torch

    place = torch.device(device)
    with torch.random.fork_rng(devices=[] if place.type == "cpu" else [place]), place:
        torch.default_generator.manual_seed(0)
        if place.type == "cuda":
            with torch.cuda.device(place):
                torch.cuda.manual_seed(0)
        return make()


def export_seeded(spec: Spec, file: Path, setting: Setting, features_only: bool = False) -> None:
    """The network of a spec, with seeded weights, exported for a setting to a file that `measure` takes.

    Raises:
        MeasureError: as `export_network`.
    """
    export_network(seeded(spec, setting.device, features_only), (spec.channels, *spec.image_size), file, setting)


def export_network(module: nn.Module, image: Image, file: Path, setting: Setting) -> None:
    """A network of one's own making, exported for a setting to a file that `measure` takes; it is changed.

    Raises:
        MeasureError: the runtime runs no files, or the network cannot be exported.
    """
    with refusing(setting, image):
        _of_files(setting, file).write(placed(module, setting), noise(setting, image), file)


def _image(subject: Subject, image: Image | None, setting: Setting) -> Image:
    """The (C, H, W) asked for, else the file's or the spec's own."""
    if isinstance(subject, Path):
        return _of_files(setting, subject).image_of(subject, setting.batch)
    if image is None:
        spec = subject if isinstance(subject, Spec) else getattr(subject, "spec", None)
        size = getattr(spec, "image", None)
        if spec is None or size is None:
            raise MeasureError(f"the image size of {_name(subject)} is unknown; give one, such as image=(3, 224, 224)")
        image = (spec.channels, *((size, size) if isinstance(size, int) else size))
    whole = isinstance(image, tuple | list) and all(type(side) is int for side in image)
    if not whole or len(image) != 3 or min(image) < 1:
        sides = sides_in(image)
        remedy = f"; use (3, {sides[0]}, {sides[1]})" if len(sides) == 2 and min(sides) > 0 else ""
        raise MeasureError(f"image must be (channels, height, width), each at least 1; got {image!r}{remedy}")
    return (image[0], image[1], image[2])


def _name(subject: Subject) -> str:
    """The spec's name, else the class's."""
    return str(getattr(getattr(subject, "spec", subject), "name", None) or type(subject).__name__)
