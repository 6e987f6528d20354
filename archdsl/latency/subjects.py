"""What is measured: a spec, a module or a file, built with seeded weights, prepared, or exported to a file."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.errors import MeasureError
from archdsl.language.document import Spec
from archdsl.language.sizes import sides_in
from archdsl.runtimes.file_runtime import FileRuntime, names_of_outputs
from archdsl.runtimes.runner import noise, optimized, placed, prepare, refusing
from archdsl.runtimes.runtime import Runner
from archdsl.runtimes.setting import Image, Setting

if TYPE_CHECKING:
    from torch import nn

    from archdsl.latency.remote.measuring import Exported

    Subject = Spec | nn.Module | Path


def name_of(subject: Subject) -> str:
    """The spec's name, else the class's."""
    return str(getattr(getattr(subject, "spec", subject), "name", None) or type(subject).__name__)


def image_of(subject: Subject, image: Image | None, setting: Setting) -> Image:
    """The (C, H, W) asked for, else the file's or the spec's own."""
    if isinstance(subject, Path):
        return of_files(setting, subject).image_of(subject, setting.batch)
    if image is None:
        spec = subject if isinstance(subject, Spec) else getattr(subject, "spec", None)
        size = getattr(spec, "image", None)
        if spec is None or size is None:
            raise MeasureError(
                f"the image size of {name_of(subject)} is unknown; give one, such as image=(3, 224, 224)"
            )
        image = (spec.channels, *((size, size) if isinstance(size, int) else size))
    whole = isinstance(image, tuple | list) and all(type(side) is int for side in image)
    if not whole or len(image) != 3 or min(image) < 1:
        sides = sides_in(image)
        remedy = f"; use (3, {sides[0]}, {sides[1]})" if len(sides) == 2 and min(sides) > 0 else ""
        raise MeasureError(f"image must be (channels, height, width), each at least 1; got {image!r}{remedy}")
    return (image[0], image[1], image[2])


def module_of(subject: Subject, device: str, features_only: bool) -> nn.Module | Path:
    """A module or a file as it is; a spec built on the device: a CPU draws weights slowly."""
    import torch

    return subject if isinstance(subject, torch.nn.Module | Path) else seeded(subject, device, features_only)


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


def prepared(subject: nn.Module | Path, image: Image, setting: Setting, optimize: bool = False) -> Runner:
    """A runner of a copy of a module as `prepare` makes it, or of an exported file.

    Raises:
        MeasureError: as `prepare`, or the runtime cannot run the file.
    """
    if not isinstance(subject, Path):
        return prepare(subject, image, *setting, optimize=optimize)
    with refusing(setting, image):
        return of_files(setting, subject).runner_of(subject, noise(setting, image))


def exported(subject: nn.Module | Path, image: Image, setting: Setting, file: Path, optimize: bool = False) -> Exported:
    """A copy of a module exported to a file, which is held against it; a file that is there is held against itself.

    With `optimize` the file is of its inference form.

    Raises:
        MeasureError: it cannot be exported, or the runtime cannot run it.
    """
    from archdsl.exporting.frozen import Float32Interface
    from archdsl.latency.remote.measuring import Exported
    from archdsl.runtimes.opened_file import OpenedFile

    runtime = of_files(setting, file)
    if isinstance(subject, Path):
        network = OpenedFile(runtime, subject)
        return Exported(subject, image, network, network.names_for(noise(setting, image).float()))
    module, x = placed(copy.deepcopy(subject), setting), noise(setting, image)
    runtime.write(optimized(module, setting) if optimize else module, x, file)
    return Exported(file, image, Float32Interface(module, x.dtype).eval(), names_of_outputs(module, x))


def export_seeded(spec: Spec, file: Path, setting: Setting, features_only: bool = False) -> None:
    """The network of a spec, with seeded weights, exported for a setting to a file that `measure` takes.

    Raises:
        MeasureError: as `export_network`.
    """
    export_network(seeded(spec, setting.device, features_only), (spec.channels, *spec.image_size), file, setting)


def export_network(module: nn.Module, image: Image, file: Path, setting: Setting, optimize: bool = False) -> None:
    """A network of one's own making, exported for a setting to a file that `measure` takes; it is changed.

    With `optimize` the file is of its inference form.

    Raises:
        MeasureError: the runtime runs no files, or the network cannot be exported.
    """
    with refusing(setting, image):
        net = placed(module, setting)
        net = optimized(net, setting) if optimize else net
        of_files(setting, file).write(net, noise(setting, image), file)


def of_files(setting: Setting, file: Path) -> FileRuntime:
    """The setting's runtime, which must be one that runs files.

    Raises:
        MeasureError: it runs modules.
    """
    runtime = setting.executor
    if not isinstance(runtime, FileRuntime):
        raise MeasureError(f"runtime {setting.runtime} runs no files; got {file}; use onnxruntime")
    return runtime
