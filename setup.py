"""What pyproject.toml cannot say: the description on PyPI is the README, with paths for links into this repository."""

import re
from pathlib import Path

from setuptools import setup

_RELATIVE = re.compile(r"\[([^\]]+)\]\((?!https?:|#)([^)\s]+)\)")
_README = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")

setup(long_description=_RELATIVE.sub(r"\1 (`\2`)", _README), long_description_content_type="text/markdown")
