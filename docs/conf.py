"""How Sphinx builds the documentation: `make docs` writes it to build/docs."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_extensions")]

import archdsl  # noqa: E402

project = "archdsl"
author = "the authors of archdsl"
project_copyright = "Apache-2.0"
release = version = archdsl.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "command_line", "docstrings"]
exclude_patterns = ["_extensions"]
html_theme = "furo"
html_title = "archdsl"
html_show_sourcelink = False
html_copy_source = False

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
suppress_warnings = ["misc.highlighting_failure"]  # output of commands is highlighted as a console's, whatever it holds

default_role = "code"  # docstrings mark code by single backticks
add_module_names = False
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
