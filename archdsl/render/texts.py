"""Small texts that many drawings share."""

from __future__ import annotations


def printable(text: str, keep: str = "") -> str:
    """Control characters as their escapes, those in `keep` aside: what stands in a file may be anything."""
    return "".join(char if char.isprintable() or char in keep else escaped(char) for char in text)


def escaped(char: str) -> str:
    """A character as its escape, as Python writes it."""
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def clock(seconds: float) -> str:
    """Seconds as m:ss, or h:mm:ss."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def counted(count: int, what: str, several: str = "") -> str:
    """`1 trial`, `2 trials`; `several` is a plural that is no s more."""
    return f"{count:,} {what if count == 1 else several or f'{what}s'}"
