"""torch.save by way of memory: its own writer ends the whole process where a disc is full, instead of raising."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch

Value = TypeVar("Value")


def write_torch(content: Mapping[str, Value], file: Path) -> None:
    """Write a mapping as `torch.save` does; it takes the memory of the file meanwhile.

    Raises:
        OSError: the file cannot be written.
    """
    written = io.BytesIO()
    torch.save(content, written)
    file.write_bytes(written.getbuffer())
