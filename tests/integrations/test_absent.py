"""Where a library is not installed, importing its integration says what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [("archdsl.timm", "timm", "timm"), ("archdsl.integrations.hub", "huggingface_hub", "hub")],
)
def test_an_integration_without_its_library_says_what_to_install(module: str, package: str, extra: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; import {module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == f"ModuleNotFoundError: {module} needs {package}; pip install 'archdsl[{extra}]'"
