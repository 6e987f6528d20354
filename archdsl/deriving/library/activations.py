"""What a parent's blocks read and give, one stage at a time, with large maps in files."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from torch import Tensor

from archdsl.deriving.fitting import AllocateMap, Maps
from archdsl.deriving.running import RunningNetwork, entered, through_block
from archdsl.families.common.stage_modules import Stage
from archdsl.graphs import ScheduledStep

MAPS = ".maps-"
"""How a folder of maps is called; a number follows."""
_IN_MEMORY = 64 * 2**20
"""Bytes of a map of all images, up to which it is held in memory."""


@contextmanager
def map_allocator(folder: Path, in_memory: int = _IN_MEMORY) -> Iterator[AllocateMap]:
    """Allocates maps: in memory, and from so many bytes on in files of `folder`, which are gone afterwards.

    On a GPU all maps stay in its memory.
    """
    with tempfile.TemporaryDirectory(prefix=MAPS, dir=folder, ignore_cleanup_errors=True) as place:
        count = 0

        def allocate(shape: tuple[int, ...], like: Tensor) -> Tensor:
            nonlocal count
            if like.device.type != "cpu" or math.prod(shape) * like.element_size() <= in_memory:
                return like.new_empty(shape)
            count += 1
            file = Path(place) / str(count)
            made = torch.from_file(str(file), shared=True, size=math.prod(shape), dtype=like.dtype)
            with suppress(OSError):  # where a file in use can be removed, nothing is left behind by a kill
                file.unlink()
            return made.reshape(shape)

        yield allocate


def stage_maps(running: RunningNetwork, step: ScheduledStep) -> tuple[Maps, ...]:
    """What each block of a stage reads, and last what leaves the last one.

    The network has run up to the stage, and is left there.
    """
    stage = running.module(step)
    assert isinstance(stage, Stage)
    maps = [entered(stage, running.inputs(step), running.allocate)]
    for block in stage.blocks:
        maps.append(through_block(block, maps[-1], running.allocate))
    return tuple(maps)
