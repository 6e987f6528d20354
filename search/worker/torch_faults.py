"""What torch raises where memory is full or a GPU is lost, told apart from the faults of a network."""

from __future__ import annotations


def full_memory(error: BaseException | None) -> str | None:
    """What is told of an error that comes of full memory, of the host or of the GPU; None of any other."""
    while error is not None:
        text = " ".join(str(error).split())
        if isinstance(error, MemoryError) or "can't allocate memory" in text:
            return f"out of memory: {text.rpartition('DefaultCPUAllocator: ')[2][:200]}".rstrip(" :")
        if "out of memory" in text:
            return f"out of GPU memory: {text[:200]}"
        error = error.__cause__ or error.__context__
    return None


def is_broken(error: BaseException | None) -> bool:
    """Whether the GPU's context is lost with this error: all that follows in the process would fail."""
    while error is not None:
        if "CUDA error" in str(error) and "out of memory" not in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
