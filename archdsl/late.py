"""What a lower layer calls by name in a higher one: the only table of import strings in the project.

A search from Python ends with a page that `render` draws, which stands above `search`; it is loaded when it is called.
"""

from __future__ import annotations

import importlib
from typing import Any, Literal

HOMES = {"write_report_page": "archdsl.render.page.page:write_html"}
"""Where each function is, as MODULE:NAME."""


def call(name: Literal["write_report_page"], *arguments: Any) -> Any:
    """What the function of that name gives for these arguments; it raises what that function does."""
    module, _, function = HOMES[name].partition(":")
    return getattr(importlib.import_module(module), function)(*arguments)
