"""What a console prints, as text: at a fixed width and without colour."""

from __future__ import annotations

from rich.cells import cell_len
from rich.console import Console, RenderableType


def text_of(what: RenderableType, width: int = 80, soft_wrap: bool = True) -> str:
    """With `soft_wrap` nothing is broken that does not break itself."""
    console = Console(width=width, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(what, soft_wrap=soft_wrap)
    return capture.get()


def too_wide(text: str, width: int) -> list[str]:
    """The lines that are wider; one that is a single word, as a path is, may be, since no word is broken."""
    return [line for line in text.splitlines() if cell_len(line) > width and len(line.split()) > 1]
