"""Our docstrings as napoleon should read them: a property's first line is a sentence, not `type: description`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    """Hook into Sphinx, which calls this; before napoleon, whose priority is 500."""
    app.connect("autodoc-process-docstring", _as_sentences, priority=400)
    return {"parallel_read_safe": True}


def _as_sentences(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    if what in ("attribute", "property"):
        if lines[0].startswith("Alias for field number"):  # what a NamedTuple says of a field without a docstring
            lines.clear()
        else:
            lines[0] = lines[0].replace(": ", " \N{EN DASH} ", 1)  # napoleon takes what is before a colon for a type
