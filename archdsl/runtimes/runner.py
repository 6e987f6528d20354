"""A model made ready to be timed, and what torch shares between models held still meanwhile."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from archdsl.errors import ExportError, MeasureError, one_line
from archdsl.runtimes.by_name import naming_package
from archdsl.runtimes.runtime import Runner as Runner
from archdsl.runtimes.setting import Image, Setting, runtime_of
from archdsl.timing.cores import physical_cores
from archdsl.timing.device_lock import OnWait, device_lock

if TYPE_CHECKING:
    from torch import Tensor, nn


def prepare(
    model: nn.Module,
    image: Image,
    device: str | None = None,
    batch: int = 1,
    dtype: str = "float32",
    runtime: str | None = None,
    *,
    mode: str | None = None,
    optimize: bool = False,
) -> Runner:
    """A runner of a copy of the model on seeded noise (batch, C, H, W); weights and input are of `dtype`.

    It has run once: what compiling, capturing or a first call costs is over. Call it within `steady`.
    `runtime` defaults to the device's; `mode` is its former name. With `optimize` it is of the inference form.

    Raises:
        WrongUse: `runtime` and `mode` differ.
        MeasureError: the setting is refused, or the forward pass fails, for want of memory or otherwise.
    """
    setting = Setting.checked(device, batch, dtype, runtime_of(runtime, mode))
    with refusing(setting, image), _on(setting.device):
        net = placed(copy.deepcopy(model), setting)
        return setting.executor.runner(optimized(net, setting) if optimize else net, noise(setting, image))


def optimized(model: nn.Module, setting: Setting) -> nn.Module:
    """The inference form of a network that lies on its device, in its dtype; for a file that of a CPU, on the CPU.

    A file holds operators of ONNX alone, so that what an accelerator has of its own cannot be in it.

    Raises:
        TypeError: it is not a network that `archdsl.build` made.
        MeasureError: the form differs from the network by more than rounding.
    """
    from archdsl.runtimes.inference_form import inference_form

    placed_model = model.cpu() if setting.executor.runs_files else model
    try:
        return inference_form(placed_model)  # type: ignore[arg-type]  # it refuses other modules
    except ExportError as error:
        raise MeasureError(str(error)) from error


def placed(model: nn.Module, setting: Setting) -> nn.Module:
    """The model itself in eval mode and without gradients, on the setting's device and in its dtype."""
    return model.eval().requires_grad_(False).to(device=setting.device, dtype=setting.torch_dtype)


def noise(setting: Setting, image: Image) -> Tensor:
    """Seeded noise (batch, C, H, W) on the setting's device and in its dtype."""
    import torch

    x = torch.randn(setting.batch, *image, generator=torch.Generator().manual_seed(0))
    return x.to(device=setting.device, dtype=setting.torch_dtype)


@contextmanager
def steady(device: str, threads: int | None = None, on_wait: OnWait | None = None) -> Iterator[int | None]:
    """Takes the device's lock and fixes what torch shares between models: threads, TF32 (off), cuDNN's choice (on).

    Restores them. Yields the threads: as asked, else the physical cores on a CPU; None on a GPU, where they are left as
    they are. `on_wait` is called while another process holds the lock.

    Raises:
        MeasureError: `threads` is below 1, or the lock's file cannot be opened.
    """
    import torch

    if threads is not None and threads < 1:
        raise MeasureError(f"threads must be at least 1; got {threads}")
    cudnn = torch.backends.cudnn
    kept = torch.get_num_threads(), torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.benchmark
    threads = threads or (physical_cores() if device == "cpu" else None)
    try:
        torch.set_num_threads(threads or kept[0])
        torch.set_float32_matmul_precision("highest")
        cudnn.allow_tf32, cudnn.benchmark = False, True
        with device_lock(device, on_wait), _on(device):
            yield threads
    finally:
        torch.set_num_threads(kept[0])
        torch.set_float32_matmul_precision(kept[1])
        cudnn.allow_tf32, cudnn.benchmark = kept[2:]


def _on(device: str) -> AbstractContextManager[None]:
    """Makes a GPU the current one: streams, events and graphs belong to it."""
    import torch

    return nullcontext() if device == "cpu" else torch.cuda.device(device)


@contextmanager
def refusing(setting: Setting, image: Image) -> Iterator[None]:
    """Turns torch's errors, and all errors of others' runtimes, into a MeasureError of one line.

    It names the setting, or the runtime.
    """
    with naming_package(setting.runtime):
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            raise _refusal(setting, image, error) from error


def _refusal(setting: Setting, image: Image, error: RuntimeError | MemoryError) -> MeasureError:
    said = one_line(error, 200)
    full = isinstance(error, MemoryError) or re.search(r"out of memory|can't allocate memory", said)
    what = f"{setting.runtime} {setting.dtype} at {setting.batch}x{'x'.join(map(str, image))} on {setting.device}"
    if full:
        return MeasureError(f"out of memory: {what}; use a smaller batch or image")
    plain = (setting.runtime, setting.dtype) == ("eager", "float32")
    remedy = "give an image that the model takes" if plain else "try runtime eager and dtype float32"
    return MeasureError(f"the forward pass fails: {what}: {said}; {remedy}")
