"""How memory that a forward pass frees is kept for the next one, where the C library is glibc.

glibc gives back blocks from 128 KiB on as soon as they are freed, and what is fresh from the system is cleared page by
page: in networks of small batches this takes a tenth of the time, and more. It raises both limits by itself when a
larger block is freed: to that block's size for giving back at once, and to twice its size for the rest of the heap.
"""

from __future__ import annotations

import torch

_BYTES = 31 << 20
"""Just below 32 MiB, the largest block by which glibc raises its limits."""


def keep_freed_memory() -> None:
    """Let this process keep up to 62 MiB of freed memory; without effect where another allocator is in use."""
    torch.empty(_BYTES, dtype=torch.uint8)
