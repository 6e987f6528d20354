"""Exported source, run in a process that has no archdsl, or in this one."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from tests.support.forked import run_forked

if TYPE_CHECKING:
    from archdsl.runtimes.verify import Reader

REFUSE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("archdsl", "acme", "own"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import torch
"""
RUN = (
    REFUSE
    + """
from pathlib import Path
for file in sorted(Path().glob("*.py")):
    name = file.stem
    model = __import__(name).build()
    with torch.inference_mode():
        output = model(torch.load(f"{name}.images"))
    torch.save(output, f"{name}.output")
    torch.save(dict(model.state_dict()), f"{name}.state")
"""
)


def run(folder: Path) -> None:
    """Build every network of a folder in a process without archdsl, and save what it gives for its images."""
    done = run_forked("-c", RUN, folder=folder, strict=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@contextmanager
def reader_of_this_process(file: Path) -> Iterator[Reader]:
    """What exported source computes, for exports of which the process that checks them is not the point."""
    spec = importlib.util.spec_from_file_location("exported", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.build()
    dtype = next(network.parameters()).dtype

    def outputs(images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with torch.inference_mode():
            computed = network(images.to(dtype))
        return tuple(each.float() for each in (computed if isinstance(computed, list | tuple) else (computed,)))

    yield outputs
