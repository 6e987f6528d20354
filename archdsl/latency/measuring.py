"""From specs or modules to their latencies: built, prepared and measured in one run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

from archdsl.errors import MeasureError
from archdsl.latency.provenance import provenance
from archdsl.latency.result import AGAIN, Comparison, Latency
from archdsl.latency.rounds import Pace, measure_all
from archdsl.latency.runner import prepare, refusing, steady
from archdsl.latency.setting import Image, Setting
from archdsl.latency.stats import checked_stat, default_stat
from archdsl.latency.threads import fastest_threads
from archdsl.schema.arguments import wrong_spec
from archdsl.schema.document import Spec
from archdsl.schema.sizes import sides_in

if TYPE_CHECKING:
    from torch import nn


def measure(
    subject: Any,
    device: str | None = None,
    batch: int = 1,
    dtype: str = "float32",
    mode: str = "eager",
    threads: int | None = None,
    *,
    image: Image | None = None,
    **pace: Unpack[Pace],
) -> Latency:
    """The latency of a spec, built with seeded weights, or of an `nn.Module`, which is left as it is.

    `image` is needed for a module without a `spec`. `threads` default to one or all physical cores of a CPU, on which
    it is faster; to all if it is compiled.

    Raises:
        MeasureError: the setting is refused, or the forward pass fails.
    """
    setting = Setting.checked(_device_name(device), batch, dtype, mode)
    return _latencies({_name(subject): subject}, setting, threads, image, pace)[0]


def compare(
    items: Mapping[str, Any],
    device: str | None = None,
    batch: int = 1,
    dtype: str = "float32",
    mode: str = "eager",
    threads: int | None = None,
    *,
    image: Image | None = None,
    stat: str | None = None,
    **pace: Unpack[Pace],
) -> Comparison:
    """Specs or modules measured side by side, the first of them twice; `stat` defaults to the device's.

    `threads` are the same for all, by default as in `measure`.

    Raises:
        MeasureError: there is nothing to measure, the setting is refused, or a forward pass fails.
    """
    if not isinstance(items, Mapping):
        raise TypeError(f'compare takes specs or modules by name, as {{"a": spec}}; got a {type(items).__name__}')
    if not items or AGAIN in items:
        raise MeasureError(f"compare needs one item or more, none of them named '{AGAIN}'; got {list(items)}")
    setting = Setting.checked(_device_name(device), batch, dtype, mode)
    stat = checked_stat(stat or default_stat(setting.device))
    *latencies, again = _latencies({**items, AGAIN: next(iter(items.values()))}, setting, threads, image, pace)
    return Comparison(stat, {item.name: item for item in latencies}, again)


def _latencies(
    subjects: Mapping[str, Any], setting: Setting, threads: int | None, image: Image | None, pace: Pace
) -> list[Latency]:
    """Builds, prepares and measures everything in one run."""
    import torch

    for subject in subjects.values():
        if not isinstance(subject, Spec | torch.nn.Module):
            raise wrong_spec("measure", subject, "a Spec or an nn.Module")
    if setting.mode == "compile":
        torch._dynamo.reset()
    images = {name: _image(subject, image) for name, subject in subjects.items()}
    is_free = threads is None and (setting.device, setting.mode) == ("cpu", "eager")  # compiled code is for its threads
    with steady(setting.device, threads) as threads:
        runners = {name: prepare(_module(item), images[name], *setting) for name, item in subjects.items()}
        if is_free:
            with refusing(setting, next(iter(images.values()))):
                threads = fastest_threads(runners.values())
        wall, busy = time.perf_counter(), time.process_time()
        with refusing(setting, next(iter(images.values()))):
            samples = measure_all(runners, device=setting.device, **pace)
        share = (time.process_time() - busy) / (time.perf_counter() - wall)
        origin = provenance(setting.device, setting.dtype, setting.batch, setting.mode, threads)
    origin["cpu_share"] = round(share, 3) if setting.device == "cpu" else None
    return [
        Latency(name, taken, origin | {"image": list(images[name]), "rounds": len(taken)})
        for name, taken in samples.items()
    ]


def _device_name(device: Any) -> str | None:
    """A device as `measure` names it; torch's own devices have a name too."""
    if type(device).__name__ == "device":
        return str(device)
    if device is not None and not isinstance(device, str):
        raise TypeError(f"measure takes a device by its name, as 'cpu' or 'cuda:0'; got {device!r}")
    return device


def _module(subject: Any) -> nn.Module:
    """A module as it is; a spec built."""
    import torch

    return subject if isinstance(subject, torch.nn.Module) else seeded(subject)


def seeded(spec: Spec) -> nn.Module:
    """The module of a spec with weights that are the same each time."""
    import torch

    from archdsl.compile import build

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        module: nn.Module = build(spec)
    return module


def _image(subject: Any, image: Image | None) -> Image:
    """The (C, H, W) asked for, else the spec's own."""
    if image is None:
        spec: Any = getattr(subject, "spec", subject)
        size = getattr(spec, "image", None)
        if size is None:
            raise MeasureError(f"the image size of {_name(subject)} is unknown; give one, such as image=(3, 224, 224)")
        image = (spec.channels, *((size, size) if isinstance(size, int) else size))
    whole = isinstance(image, tuple | list) and all(type(side) is int for side in image)
    if not whole or len(image) != 3 or min(image) < 1:
        sides = sides_in(image)
        remedy = f"; use (3, {sides[0]}, {sides[1]})" if len(sides) == 2 and min(sides) > 0 else ""
        raise MeasureError(f"image must be (channels, height, width), each at least 1; got {image!r}{remedy}")
    return (image[0], image[1], image[2])


def _name(subject: Any) -> str:
    """The spec's name, else the class's."""
    return str(getattr(getattr(subject, "spec", subject), "name", None) or type(subject).__name__)
