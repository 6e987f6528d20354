"""What pyproject.toml cannot say: the description on PyPI is the README, whose links lead into this repository.

There they are relative. They become absolute where [project.urls] names the repository as Source; else they become the
paths of what they lead to.
"""

import re
import tomllib
from pathlib import Path

from setuptools import setup

_HERE = Path(__file__).parent
_RELATIVE = re.compile(r"\[([^\]]+)\]\((?!https?:|#)([^)\s]+)\)")
_README = (_HERE / "README.md").read_text(encoding="utf-8")
_PROJECT = tomllib.loads((_HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_SOURCE = _PROJECT.get("urls", {}).get("Source", "").rstrip("/")
_LINK = rf"[\1]({_SOURCE}/blob/HEAD/\2)" if _SOURCE else r"\1 (`\2`)"

setup(long_description=_RELATIVE.sub(_LINK, _README), long_description_content_type="text/markdown")
