"""What a lower layer calls by name in a higher one: the only table of import strings in the project.

A search from Python ends with a page that `render` draws, which stands above `search`; values of lower layers give a
notebook their HTML. Both are loaded when they are called.
"""

from __future__ import annotations

import importlib
from typing import Any, Literal

HOMES = {
    "count_html": "archdsl.render.notebook:count_html",
    "look_html": "archdsl.render.look_html:look_html",
    "result_html": "archdsl.render.notebook:result_html",
    "scores_html": "archdsl.render.notebook:scores_html",
    "space_html": "archdsl.render.notebook:space_html",
    "spec_html": "archdsl.render.notebook:spec_html",
    "write_look": "archdsl.render.look_page:write_look",
    "write_report_page": "archdsl.render.page.page:write_html",
}
"""Where each function is, as MODULE:NAME."""


Name = Literal[
    "count_html",
    "look_html",
    "result_html",
    "scores_html",
    "space_html",
    "spec_html",
    "write_look",
    "write_report_page",
]


def call(name: Name, *arguments: Any) -> Any:
    """What the function of that name gives for these arguments; it raises what that function does."""
    module, _, function = HOMES[name].partition(":")
    return getattr(importlib.import_module(module), function)(*arguments)
