"""Runtimes that run a file: the network is exported, the file is held against it, and that very file is measured."""

from __future__ import annotations

import copy
import shutil
import tempfile
import weakref
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from archdsl.errors import ExportError, MeasureError, WrongSetting, one_of
from archdsl.runtimes.array_session import ArraySession
from archdsl.runtimes.runtime import Runner, Runtime

if TYPE_CHECKING:
    from torch import Tensor, nn

    from archdsl.exporting.frozen import Outputs
    from archdsl.json_types import JsonObject
    from archdsl.runtimes.runtime import NetInput


_CALIBRATION_BATCHES = 4


class _Folder:
    """A temporary folder that goes with the last pass of its file, or with the process."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="archdsl-"))
        self.remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


class Session:
    """An opened file, for a number of threads, with tensors in and out."""

    def __init__(self, session: ArraySession) -> None:
        self._session = session

    def bound(self, images: Tensor) -> Runner:
        """One pass over images (B, C, H, W) of float32 on buffers that are made now."""
        return self._session.bound(images.contiguous().numpy())

    def outputs(self, images: Tensor) -> Outputs:
        """What the file gives for images (B, C, H, W) of float32: its outputs, float32 on the CPU.

        Raises:
            ExportError: the runtime cannot run the file on them.
        """
        import torch

        return tuple(torch.from_numpy(each) for each in self._session.outputs(images.contiguous().numpy()))

    def options(self) -> JsonObject:
        """What is in force, as the runtime itself says: precision, threads."""
        return {**self._session.options()}


class FilePass:
    """One forward pass of a file, and the file itself, which is kept as long as the pass."""

    def __init__(self, runtime: FileRuntime, file: Path, images: Tensor, threads: int, folder: _Folder | None) -> None:
        self._runtime, self.file, self._images, self._folder = runtime, file, images, folder
        self.session = runtime.open(file, threads)
        self._run = self.session.bound(images)
        self._run()

    def __call__(self) -> None:
        """Run once."""
        self._run()

    def on(self, threads: int) -> FilePass:
        """The same pass with another number of threads, which a session is made for."""
        return FilePass(self._runtime, self.file, self._images, threads, self._folder)

    def facts(self) -> JsonObject:
        """What was measured: the file's hash and size, versions, and what is in force."""
        from archdsl.files import sha256_of

        return {
            "sha256": sha256_of(self.file),
            "bytes": self.file.stat().st_size,
            "versions": {**self._runtime.versions()},
            "options": self.session.options(),
        }


class FileRuntime(Runtime):
    """A runtime that opens an ONNX file; it runs on a CPU."""

    threads_may_change = True
    times_parts = False
    runs_files = True
    returns_when_done = True
    dtypes: ClassVar[tuple[str, ...]] = ("float32",)
    runs_elsewhere: ClassVar[bool] = False
    """Whether the runner that is sent to another machine knows the runtime."""
    package: ClassVar[str]
    """What has to be installed."""
    extra: ClassVar[str] = ""
    """The extra of archdsl that installs it; none of a runtime that another package adds."""
    is_int8 = False
    """Whether files are quantised when they are written."""

    device = "cpu"
    """Where files are run."""

    def for_setting(self, device: str, dtype: str) -> FileRuntime:
        """As `Runtime.for_setting`."""
        runtime = copy.copy(self)
        runtime.device, runtime.is_int8 = device, dtype == "int8"
        return runtime

    def quantize(self, file: Path, quantized: Path, batches: Sequence[Tensor]) -> None:
        """Write a float32 file again in the int8 form that this runtime runs fast; those with `int8` in `dtypes` can.

        `batches` of images, each (B, C, H, W), tell the range of activations, where the form needs it.

        Raises:
            ExportError: a package is missing, or the file cannot be quantised.
        """
        raise ExportError(f"runtime {self.name} has no dtype int8")

    @abstractmethod
    def open(self, file: Path, threads: int) -> Session:
        """A session of a file for so many threads.

        Raises:
            ExportError: the runtime cannot run the file.
        """

    @abstractmethod
    def package_version(self) -> str:
        """The version of `package`.

        Raises:
            ImportError: it is not installed, or cannot be imported.
        """

    def versions(self) -> dict[str, str]:
        """Of the packages that write and run the file."""
        from archdsl.exporting.onnx_file import versions

        return {self.package: self.package_version(), **versions()}

    def check(self, device: str, dtype: str) -> None:
        """As `Runtime.check`."""
        if device != "cpu":
            raise WrongSetting(f"runtime {self.name} runs on a CPU here; got device {device}; use graph or eager")
        if dtype not in self.dtypes:
            raise WrongSetting(f"runtime {self.name} takes dtype {one_of(self.dtypes)}; got {dtype}")
        try:
            self.package_version()
        except ImportError:
            remedy = f"pip install 'archdsl[{self.extra}]'" if self.extra else f"pip install {self.package}"
            raise MeasureError(f"runtime {self.name} needs the package {self.package}; {remedy}") from None

    def runner(self, net: nn.Module, x: NetInput) -> FilePass:
        """As `Runtime.runner`: the network is exported to a file in a temporary folder and held against it first."""
        folder = _Folder()
        try:
            return self._written(net, x, folder.path / "network.onnx", folder)
        except MeasureError:
            folder.remove()
            raise

    def write(self, net: nn.Module, x: Tensor, file: Path) -> None:
        """The network exported to a file for images like x, under this name once it was held against the network.

        The file of an inference form is held against the network that the form was made of.

        Raises:
            MeasureError: it cannot be exported, the runtime cannot run it, or it differs from the network.
        """
        from archdsl.files import replacing

        with replacing(file) as partial:
            self._written(net, x, partial, None)

    def _written(self, net: nn.Module, x: NetInput, file: Path, folder: _Folder | None) -> FilePass:
        import torch

        from archdsl.compile import Backbone, declared
        from archdsl.exporting.frozen import Float32Interface
        from archdsl.exporting.onnx_file import write_onnx
        from archdsl.runtimes.verify import difference, refuse

        if isinstance(x, tuple):
            raise MeasureError(f"runtime {self.name} runs whole networks, on one tensor of images")
        net, x = net.cpu(), x.cpu()  # a file is exported on the CPU, whatever runs it
        images, names = x.float(), names_of_outputs(net, x)
        dtype = {torch.float16: "float16"}.get(x.dtype, "float32")
        plain = declared(net) if isinstance(net, Backbone) else net
        if plain is not net:
            for parameter in net.parameters():
                parameter.data = parameter.contiguous()  # in which order they lie is the file's affair
        try:
            whole = file.with_name(f"{file.name}.float32") if self.is_int8 else file
            write_onnx(Float32Interface(net, x.dtype).eval(), images, whole, names)
            opened = FilePass(self, whole, images, torch.get_num_threads(), folder)
            image = (images.shape[1], images.shape[2], images.shape[3])
            reference = Float32Interface(plain, x.dtype).eval()
            refuse(difference(opened.session.outputs, reference, image, (len(images),), names), dtype)
            if self.is_int8:
                self.quantize(whole, file, _noise_like(images))
                opened = FilePass(self, file, images, torch.get_num_threads(), folder)
        except ExportError as error:
            raise MeasureError(f"runtime {self.name}: {error}") from error
        finally:
            if self.is_int8:
                file.with_name(f"{file.name}.float32").unlink(missing_ok=True)
        return opened

    def with_threads(self, runner: Runner, threads: int) -> Runner:
        """As `Runtime.with_threads`."""
        return runner.on(threads) if isinstance(runner, FilePass) else runner

    def facts(self, runner: Runner) -> JsonObject:
        """As `Runtime.facts`: the file's hash and size, versions, and what is in force."""
        return {"file": runner.facts()} if isinstance(runner, FilePass) else {}

    def runner_of(self, file: Path, images: Tensor) -> FilePass:
        """The pass of a file that is there, which was held against its network when it was written.

        Raises:
            MeasureError: the runtime cannot run it.
        """
        import torch

        try:
            return FilePass(self, file, images.float(), torch.get_num_threads(), None)
        except ExportError as error:
            raise MeasureError(f"{file}: {error}") from error

    @staticmethod
    def image_of(file: Path, batch: int) -> tuple[int, int, int]:
        """(C, H, W) that a file reads.

        Raises:
            MeasureError: it is no ONNX file of images of one size in float32.
            WrongSetting: it is for another batch.
        """
        from archdsl.exporting.onnx_file import input_shape

        try:
            first, channels, height, width = input_shape(file)
        except ExportError as error:
            raise MeasureError(str(error)) from error
        if first not in (None, batch):
            raise WrongSetting(f"{file}: is for a batch of {first}; got batch {batch}")
        return channels, height, width


def session_as_module(session: Session, batch: int) -> nn.Module:
    """A classifier's file as a module, from images (N, C, H, W) to logits (N, classes), N at most the file's batch."""
    import torch

    class _Module(torch.nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            """(N, C, H, W) -> (N, classes); what the file's batch lacks is filled with zeros."""
            missing = batch - len(images)
            whole = torch.cat([images, images.new_zeros(missing, *images.shape[1:])]) if missing else images
            return session.outputs(whole)[0][: len(images)]

    return _Module()


def _noise_like(images: Tensor) -> list[Tensor]:
    """What stands for images where a latency alone is asked for: how activations are scaled does not change it."""
    import torch

    generator = torch.Generator().manual_seed(1)
    return [torch.randn(images.shape, generator=generator) for _ in range(_CALIBRATION_BATCHES)]


def names_of_outputs(net: nn.Module, x: Tensor) -> list[str]:
    """Names of a network's outputs: a module that is none of ours numbers them."""
    import torch

    from archdsl.compile import Backbone
    from archdsl.exporting.metadata import output_names

    if isinstance(net, Backbone):
        return output_names(net)
    with torch.inference_mode():
        outputs = net(x)
    return [f"output{number}" for number in range(len(outputs) if isinstance(outputs, list | tuple) else 1)]
