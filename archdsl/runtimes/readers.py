"""A written file of each format, opened as its user would open it: what it computes is held against the network."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from archdsl.errors import ExportError
from archdsl.exporting.frozen import Float32Interface, frozen
from archdsl.runtimes.file_runtime import Session
from archdsl.runtimes.onnx_session import OnnxSession
from archdsl.weights.model_file import load_model

if TYPE_CHECKING:
    from torch import Tensor

    from archdsl.exporting.frozen import Outputs
    from archdsl.runtimes.verify import Reader

_PROGRAM = """\
import importlib.util
import sys


class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "archdsl":
            raise ImportError("an exported file must not need archdsl")


sys.meta_path.insert(0, Refusal())
import torch

spec = importlib.util.spec_from_file_location("exported", sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules["exported"] = module
spec.loader.exec_module(module)
network = module.build()
dtype = next(network.parameters()).dtype
print("ready", flush=True)
for line in sys.stdin:
    images = torch.load(line.strip(), weights_only=True)
    with torch.inference_mode():
        torch.save(network(images.to(dtype)), line.strip())
    print("done", flush=True)
"""


@contextmanager
def onnx_reader(file: Path) -> Iterator[Reader]:
    """An ONNX file by ONNX Runtime."""
    yield Session(OnnxSession(file)).outputs


@contextmanager
def pt2_reader(file: Path) -> Iterator[Reader]:
    """A pt2 file by `torch.export.load`."""
    with file.open("rb") as opened:
        program = torch.export.load(opened).module()
    yield lambda images: tuple(program(images))


@contextmanager
def safetensors_reader(file: Path) -> Iterator[Reader]:
    """A model file of ours, in float32."""
    net = Float32Interface(frozen(load_model(file)), torch.float32).eval()
    yield lambda images: tuple(net(images))


@contextmanager
def python_reader(file: Path) -> Iterator[Reader]:
    """Python source with its weights beside it, in a process of its own in which archdsl cannot be imported.

    Raises:
        ExportError: the source does not run there.
    """
    with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
        exchange, remarks = Path(folder) / "exchange.pt", Path(folder) / "stderr"
        command = [sys.executable, "-c", _PROGRAM, str(file.absolute())]
        with (
            remarks.open("w") as stderr,
            subprocess.Popen(
                command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True
            ) as process,
        ):
            try:
                _await(process, "ready", remarks)
                yield lambda images: _computed(process, images, exchange, remarks)
            finally:
                process.kill()


def _computed(process: subprocess.Popen[str], images: Tensor, exchange: Path, remarks: Path) -> Outputs:
    assert process.stdin is not None
    torch.save(images, exchange)
    process.stdin.write(f"{exchange}\n")
    process.stdin.flush()
    _await(process, "done", remarks)
    outputs = torch.load(exchange, weights_only=True)
    return tuple(each.float() for each in (outputs if isinstance(outputs, list | tuple) else (outputs,)))


def _await(process: subprocess.Popen[str], word: str, remarks: Path) -> None:
    """Wait for the program's word; its output may hold others."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == word:
            return
    last = (remarks.read_text(encoding="utf-8").strip().splitlines() or ["it ended without a word"])[-1]
    raise ExportError(f"the file is wrong: it does not run without archdsl: {last}; nothing was written")


READERS: dict[str, Callable[[Path], AbstractContextManager[Reader]]] = {
    "onnx": onnx_reader,
    "pt2": pt2_reader,
    "python": python_reader,
    "safetensors": safetensors_reader,
}
"""By format."""
